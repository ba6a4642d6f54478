//! What is being performed is performed once, however fast the clock runs meanwhile.

use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::{
    clock::{Clock, SpedClock},
    incident::Outcome,
};

/// A chat that needs three minutes of the demo's clock to take a card: 0.3 s of a real one.
struct SlowChat {
    clock: Arc<SpedClock>,
    asked: AtomicU32,
}

#[async_trait]
impl Perform for SlowChat {
    async fn perform(&self, _task: Task) -> Result<Done, PerformError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.clock.sleep_until(self.clock.now() + SignedDuration::from_mins(3)).await;
        Ok(Outcome::Shown { to: slack(), first_card: true }.into())
    }
}

/// The hard limit of a call is real time, a claim is 40 s of the engine's clock: on a demo's clock the claim of a slow call
/// ended while the call was under way, and it was made twice.
#[tokio::test]
async fn a_slow_call_on_a_fast_clock_is_made_once() {
    let clock = Arc::new(SpedClock::new(Timestamp::UNIX_EPOCH, 600.0));
    let chat = Arc::new(SlowChat { clock: clock.clone(), asked: AtomicU32::new(0) });
    let bot = TestBot::new().on(clock).with([CHAT], &chat);
    let journal = bot.journal().await;
    opens(&journal, 1, Timestamp::UNIX_EPOCH, vec![card(Timestamp::UNIX_EPOCH)], |_| {}).await;
    let engine = bot.built_on(journal).await;
    engine.start();
    let settled = tokio::time::timeout(Duration::from_secs(10), engine.settled()).await;
    settled.expect("it is made again and again").unwrap();
    assert_eq!(chat.asked.load(Ordering::SeqCst), 1);
    engine.stop(Duration::from_secs(5)).await;
}

/// A chat that is in trouble and says "come again at once".
struct ComeAtOnce(AtomicU32);

#[async_trait]
impl Perform for ComeAtOnce {
    async fn perform(&self, _task: Task) -> Result<Done, PerformError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Err(PerformError::Again { reason: "503".to_owned(), after: Some(SignedDuration::ZERO) })
    }
}

#[tokio::test]
async fn who_is_in_trouble_and_asks_to_come_again_at_once_is_asked_with_pauses_all_the_same() {
    let chat = Arc::new(ComeAtOnce(AtomicU32::new(0)));
    let bot = TestBot::new().with([CHAT], &chat);
    let journal = bot.journal().await;
    opens(&journal, 1, Timestamp::UNIX_EPOCH, vec![card(Timestamp::UNIX_EPOCH)], |_| {}).await;
    let engine = bot.built_on(journal).await;
    engine.start();
    let settled = tokio::time::timeout(Duration::from_secs(10), engine.settled()).await;
    settled.expect("it is asked again and again").unwrap();
    assert_eq!(chat.0.load(Ordering::SeqCst), 1);
    engine.stop(Duration::from_secs(5)).await;
}
