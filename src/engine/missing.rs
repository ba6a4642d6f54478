//! What was answered and is not in the journal at the start: somebody cut its files, or put an older one in its place. People
//! are called about it as about an alert, and fixes stay off until somebody has looked: that they were switched off may be
//! among what is gone.

use super::{deliver::deliver, shared::Shared, submit_error::SubmitError};
use crate::{
    incident::{AlertDelivery, AlertSighting, AlertStatus, Fingerprint, IncidentKey, WriteSwitch},
    journal::{Append, MissingTransactions},
    people::{PersonId, Platform},
};

/// The name of the alert.
const ALERT: &str = "MtlsMedicJournalLostRecords";
/// Who switches fixes off. No platform gives such an id.
const ITSELF: &str = "mtls-medic";

/// Says what is missing, once. Before the bot takes anything in.
pub(super) async fn tell(shared: &Shared) {
    let Some(missing) = shared.journal.missing().copied() else { return };
    let what = describe(&missing);
    tracing::error!(transactions = missing.transactions, until = %missing.until, "{what}");
    if let Err(error) = call(shared, what).await {
        tracing::error!(%error, "nobody could be called about what is missing in the journal; the next start tries again");
    }
}

fn describe(missing: &MissingTransactions) -> String {
    let since = missing.since.map_or_else(|| "the beginning".to_owned(), |at| format!("{at:.0}"));
    format!(
        "The bot's journal lost what was stored from {since} to {:.0} ({} transactions), and alerts that were answered may \
         be among it: look in Alertmanager for what fires. Fixes are off until an approver says `writes on`",
        missing.until, missing.transactions
    )
}

async fn call(shared: &Shared, what: String) -> Result<(), SubmitError> {
    let now = shared.clock.now();
    let by = PersonId { platform: Platform::Page, workspace: ITSELF.to_owned(), user: ITSELF.to_owned() };
    let off = WriteSwitch { on: false, by, at: now, reason: what.clone() };
    shared.journal.append(Append { switch: Some(off), ..Append::default() }).await?;
    shared.rules.put_switch(false);
    let key = IncidentKey(format!("{}/mtls-medic/journal-lost", shared.settings.cluster));
    let fingerprint = Fingerprint("mtls-medic/journal-lost".to_owned());
    let alert = AlertSighting {
        summary: Some(what),
        ..AlertSighting::firing(ALERT, &shared.settings.cluster, key, fingerprint, now)
    };
    let delivery =
        AlertDelivery { group_key: String::new(), status: AlertStatus::Firing, alerts: vec![alert], truncated: 0 };
    deliver(shared, &delivery).await?;
    shared.journal.missing_is_told().await.map_err(SubmitError::from)
}
