//! What holds on every platform, against one that says nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    chat::card::tests as night,
    clock::VirtualClock,
    engine::Progress,
    escalation::Rung,
    incident::{CallReason, Face},
};

#[derive(Debug, Clone)]
struct Paper;

impl Sent for Paper {
    fn presses(&self) -> Vec<Press> {
        Vec::new()
    }

    fn is_card(&self) -> bool {
        false
    }

    fn without_buttons(&self, _: &Line) -> Self {
        Self
    }

    fn file(&self) -> Option<&Raw> {
        None
    }

    fn without_file(&self) -> Self {
        Self
    }

    fn cuts(&self) -> usize {
        0
    }
}

#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

impl From<Lost> for PerformError {
    fn from(error: Lost) -> Self {
        Self::Again { reason: error.to_string(), after: None }
    }
}

impl SendError for Lost {
    fn is_certain(&self) -> bool {
        false
    }

    fn is_refusal(&self) -> bool {
        false
    }

    fn is_gone(&self) -> bool {
        false
    }

    fn is_beyond_reach(&self) -> bool {
        false
    }
}

/// A platform that takes messages and answers no question.
#[derive(Debug, Clone, Default)]
struct Mute {
    sent: Arc<AtomicUsize>,
    /// It does not even answer what it takes.
    hangs: bool,
}

#[async_trait]
impl Carrier for Mute {
    type Message = Paper;
    type Error = Lost;

    fn platform(&self) -> Platform {
        Platform::Slack
    }

    fn count_call(&self) {}

    fn set_waiting(&self, _: usize) {}

    fn card(&self, _: &Card, _: &str) -> Paper {
        Paper
    }

    fn post(&self, _: &Post, _: &[Mention], _: &str) -> Paper {
        Paper
    }

    async fn send(&self, _: Whither<'_>, _: &Paper, _: &str) -> Result<String, Lost> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        if self.hangs {
            std::future::pending::<()>().await;
        }
        Ok("1".to_owned())
    }

    async fn edit(&self, _: Whither<'_>, _: &str, _: &Paper) -> Result<(), Lost> {
        Ok(())
    }

    async fn find(&self, _: Whither<'_>, _: Timestamp, _: &str) -> Result<Option<String>, Lost> {
        std::future::pending().await
    }

    async fn thread(&self, _: &str, _: &str) -> Result<Vec<(String, Paper)>, Lost> {
        std::future::pending().await
    }

    async fn upload(&self, _: Whither<'_>, _: &Raw) -> Result<(), Lost> {
        Ok(())
    }

    async fn link(&self, _: &str, _: &str) -> Result<String, Lost> {
        std::future::pending().await
    }

    async fn nobody_behind(&self, _: &[Mention]) -> Option<String> {
        std::future::pending().await
    }

    fn holders(&self, _: Role) -> Vec<Mention> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_is_sent_again_while_the_platform_answers_no_question_before_the_engine_gives_it_up() {
    let platform = Mute::default();
    let clock = Arc::new(VirtualClock::starting_at(night::at(5)));
    let out = Outbox::over(platform.clone(), clock, Look::default());
    let call = Work::Mention {
        to: Destination { face: Face::Slack, channel: "C1".to_owned() },
        level: LevelNumber(1),
        mentions: vec![Mention::group(Platform::Slack, "S0ONCALL")],
        reason: CallReason::Opened,
        rung: Rung::Waiting { level: LevelNumber(1), until: night::at(15) },
    };
    let task = Task {
        key: "call-1".to_owned(),
        work: call,
        incident: night::opened().into(),
        attempt: 2,
        wanted: jiff::Timestamp::UNIX_EPOCH,
        root: None,
        writes_enabled: true,
        progress: Progress::default(),
    };
    // The shorter one of the engine's two limits, less the time for the call itself.
    tokio::time::timeout(Duration::from_secs(7), out.perform(task)).await.expect("the call came too late").unwrap();
    assert_eq!(platform.sent.load(Ordering::Relaxed), 1);
}

/// The engine drops what takes too long in the middle of the call.
#[tokio::test(start_paused = true)]
async fn a_post_that_is_given_up_in_the_middle_of_its_call_is_looked_for_before_it_is_sent_again() {
    let platform = Mute { hangs: true, ..Mute::default() };
    let clock = Arc::new(VirtualClock::starting_at(night::at(5)));
    let out = Outbox::over(platform.clone(), clock, Look::default());
    let to = Destination { face: Face::Slack, channel: "C1".to_owned() };
    let incident = Arc::new(night::opened());
    let key = key(&incident, "post-1");
    let task = Task {
        key: "post-1".to_owned(),
        work: Work::Post { to, notice: Notice::Closed },
        incident,
        attempt: 1,
        wanted: night::at(5),
        root: Some(MessageRef { id: "1".to_owned(), version: 1 }),
        writes_enabled: true,
        progress: Progress::default(),
    };
    // As after a 429.
    out.memory.unsent(&key);
    tokio::time::timeout(Duration::from_secs(30), out.perform(task)).await.unwrap_err();
    assert_eq!(platform.sent.load(Ordering::Relaxed), 1);
    assert!(out.memory.may_be_there(&key, false));
}
