//! The pages about the bot's own journal, kept beside it: the next process ends them if this one does not live until the
//! journal works again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::shared::Shared;
use crate::{
    escalation::{LevelNumber, PagerName},
    journal::Journal,
};

/// How long the disk may take: people are called meanwhile or after that, and never instead.
const KEPT_WITHIN: Duration = Duration::from_secs(2);

/// A page that may ring.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AlarmPage {
    pub(super) pager: PagerName,
    pub(super) level: LevelNumber,
    /// The name under which the pager knows it.
    pub(super) key: String,
}

/// Keeps the pages before they are sent. A disk that does not take that keeps nobody from being called.
pub(super) async fn keep(shared: &Shared, pages: &[AlarmPage]) {
    let Ok(text) = serde_json::to_string(pages) else { return };
    if let Err(error) = in_time(shared.journal.keep_alarm(text)).await {
        let pages: Vec<_> = pages.iter().map(|page| page.key.as_str()).collect();
        tracing::error!(%error, ?pages, "the pages about the journal could not be kept beside it: if the bot is started again before the journal works, end them by hand");
    }
}

/// The pages that an earlier process sent and did not end.
pub(super) async fn kept(journal: &Journal) -> Vec<AlarmPage> {
    let text = match in_time(journal.kept_alarm()).await {
        Ok(text) => text.unwrap_or_default(),
        Err(error) => {
            tracing::error!(%error, "whether an earlier process called people about the journal could not be read: end such pages by hand");
            return Vec::new();
        }
    };
    if text.is_empty() {
        return Vec::new();
    }
    serde_json::from_str(&text).unwrap_or_else(|error| {
        tracing::error!(%error, "the pages about the journal that an earlier process kept cannot be read: end them by hand");
        Vec::new()
    })
}

/// All of them have ended.
pub(super) async fn forget(shared: &Shared) {
    if let Err(error) = in_time(shared.journal.forget_alarm()).await {
        tracing::warn!(%error, "the pages about the journal were ended, and the next start ends them once more");
    }
}

async fn in_time<T>(act: impl Future<Output = std::io::Result<T>>) -> std::io::Result<T> {
    let late = |_| std::io::Error::other(format!("no answer from the disk in {} s", KEPT_WITHIN.as_secs()));
    tokio::time::timeout(KEPT_WITHIN, act).await.map_err(late)?
}
