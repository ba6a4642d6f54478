//! The clock of the bot: it shows the wall clock's time and measures by one that nobody can set.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use super::{Clock, JUMPS_FROM, Mark, Running, moved};

/// The longest sleep in one piece: the runtime's timers stand still while the machine is suspended, and windows do not.
const LOOKS_UP_EVERY: Duration = Duration::from_secs(1);

/// The two clocks under a [`SteadyClock`].
pub trait Sources: Send + Sync + 'static {
    /// The wall clock, which anybody may set.
    fn wall(&self) -> Timestamp;
    /// How long the machine has been running, suspended time included: nobody can set it.
    fn running(&self) -> SignedDuration;
    /// The kernel's name of this boot, if it has one.
    fn boot(&self) -> Option<String>;
}

/// The computer's own clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct Machine;

impl Sources for Machine {
    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }

    fn running(&self) -> SignedDuration {
        // CLOCK_MONOTONIC stands still while a Linux machine is suspended; elsewhere there is no other.
        #[cfg(target_os = "linux")]
        let clock = rustix::time::ClockId::Boottime;
        #[cfg(not(target_os = "linux"))]
        let clock = rustix::time::ClockId::Monotonic;
        let time = rustix::time::clock_gettime(clock);
        SignedDuration::new(time.tv_sec, i32::try_from(time.tv_nsec).unwrap_or(0))
    }

    fn boot(&self) -> Option<String> {
        let name = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        Some(name.trim().to_owned())
    }
}

/// A clock that shows the wall clock's time and measures by one that nobody can set: it starts with the former, follows
/// the latter, and notices when they part.
#[derive(Debug)]
pub struct SteadyClock<S = Machine> {
    sources: S,
    started: SignedDuration,
    began: Timestamp,
    /// What is shown, less how long the machine has been running.
    offset: Mutex<Offset>,
}

#[derive(Debug, Clone, Copy)]
struct Offset {
    shown: Timestamp,
    running: SignedDuration,
}

impl Offset {
    fn at(self, running: SignedDuration) -> Timestamp {
        moved(self.shown, running.saturating_sub(self.running))
    }
}

impl SteadyClock<Machine> {
    /// The computer's clock.
    pub fn of_this_machine() -> Self {
        Self::new(Machine)
    }
}

impl<S: Sources> SteadyClock<S> {
    /// A clock that shows the wall clock's time now.
    pub fn new(sources: S) -> Self {
        let (began, started) = (sources.wall(), sources.running());
        Self { sources, started, began, offset: Mutex::new(Offset { shown: began, running: started }) }
    }

    fn lock(&self) -> MutexGuard<'_, Offset> {
        // The guarded value is a plain copy: it is whole even when a holder panicked.
        self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: Sources> Clock for SteadyClock<S> {
    fn now(&self) -> Timestamp {
        let offset = self.lock();
        offset.at(self.sources.running())
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let wakes = self.sources.running().saturating_add(moment.duration_since(self.now()));
        loop {
            // A negative distance converts to an error, and there is then nothing to wait for.
            let Ok(left) = Duration::try_from(wakes.saturating_sub(self.sources.running())) else { return };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left.min(LOOKS_UP_EVERY)).await;
        }
    }

    fn steady(&self) -> Timestamp {
        moved(self.began, self.sources.running().saturating_sub(self.started))
    }

    fn jump(&self) -> Option<SignedDuration> {
        let mut offset = self.lock();
        let (wall, running) = (self.sources.wall(), self.sources.running());
        let jump = wall.duration_since(offset.at(running));
        if jump.abs() >= JUMPS_FROM {
            return Some(jump);
        }
        *offset = Offset { shown: wall, running };
        None
    }

    fn set_by(&self, by: SignedDuration) {
        let mut offset = self.lock();
        offset.shown = moved(offset.shown, by);
    }

    fn mark(&self) -> Mark {
        let running = self.sources.running();
        let micros = i64::try_from(running.as_micros()).unwrap_or(i64::MAX);
        Mark { shown: self.lock().at(running), running: self.sources.boot().map(|boot| Running { boot, micros }) }
    }

    fn set_since(&self, mark: &Mark) -> Option<SignedDuration> {
        let shown = self.now().duration_since(mark.shown);
        let same_boot = mark.running.as_ref().filter(|running| self.sources.boot().as_ref() == Some(&running.boot));
        let set = match same_boot {
            Some(then) => {
                shown.saturating_sub(self.sources.running().saturating_sub(SignedDuration::from_micros(then.micros)))
            }
            // How long nobody looked is not known: no less than nothing.
            None => shown.min(SignedDuration::ZERO),
        };
        (set.abs() >= JUMPS_FROM).then_some(set)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::time::Instant;

    use super::*;

    /// A machine whose clocks a test moves.
    #[derive(Clone)]
    struct Bench(Arc<Mutex<(Timestamp, SignedDuration)>>);

    impl Bench {
        fn new() -> Self {
            Self(Arc::new(Mutex::new((Timestamp::from_second(1_000_000).unwrap(), SignedDuration::from_secs(500)))))
        }

        fn passes(&self, by: SignedDuration) {
            let mut clocks = self.0.lock().unwrap();
            *clocks = (clocks.0 + by, clocks.1 + by);
        }

        fn wall_is_set(&self, by: SignedDuration) {
            self.0.lock().unwrap().0 += by;
        }
    }

    impl Sources for Bench {
        fn wall(&self) -> Timestamp {
            self.0.lock().unwrap().0
        }

        fn running(&self) -> SignedDuration {
            self.0.lock().unwrap().1
        }

        fn boot(&self) -> Option<String> {
            Some("boot".to_owned())
        }
    }

    const HOUR: SignedDuration = SignedDuration::from_hours(1);
    const MINUTE: SignedDuration = SignedDuration::from_mins(1);

    #[test]
    fn a_wall_clock_that_is_set_moves_nothing_until_the_jump_is_taken_over() {
        for by in [HOUR, -HOUR] {
            let bench = Bench::new();
            let clock = SteadyClock::new(bench.clone());
            let start = clock.now();
            bench.passes(MINUTE);
            bench.wall_is_set(by);
            assert_eq!((clock.now(), clock.jump()), (start + MINUTE, Some(by)));
            bench.passes(MINUTE);
            clock.set_by(by);
            assert_eq!((clock.now(), clock.jump()), (start + MINUTE * 2 + by, None), "true wall time again");
            assert_eq!(clock.steady(), start + MINUTE * 2);
        }
    }

    #[test]
    fn a_machine_that_was_suspended_for_an_hour_has_not_had_its_clock_set() {
        let bench = Bench::new();
        let clock = SteadyClock::new(bench.clone());
        let start = clock.now();
        // The runtime's timers stood still; boot time and wall clock went on.
        bench.passes(HOUR);
        assert_eq!((clock.now(), clock.jump()), (start + HOUR, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_ended_while_the_machine_was_suspended_is_noticed_within_a_second_of_waking() {
        let bench = Bench::new();
        let clock = Arc::new(SteadyClock::new(bench.clone()));
        let until = clock.now() + HOUR;
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        tokio::task::yield_now().await;
        bench.passes(HOUR);
        let woke = Instant::now();
        sleeper.await.unwrap();
        assert!(woke.elapsed() <= LOOKS_UP_EVERY, "{:?}", woke.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sleeps_while_the_clock_is_set_back_wakes_when_it_would_have() {
        let bench = Bench::new();
        let clock = Arc::new(SteadyClock::new(bench.clone()));
        let until = clock.now() + MINUTE;
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(until).await }
        });
        tokio::task::yield_now().await;
        bench.wall_is_set(-HOUR);
        clock.set_by(-HOUR);
        bench.passes(MINUTE);
        sleeper.await.unwrap();
    }

    #[test]
    fn what_time_synchronisation_does_all_day_is_followed_and_not_told() {
        let bench = Bench::new();
        let clock = SteadyClock::new(bench.clone());
        for step in [900, -900, 1999, -128, -128] {
            bench.wall_is_set(SignedDuration::from_millis(step));
            assert_eq!((clock.jump(), clock.now()), (None, bench.wall()));
        }
    }

    #[test]
    fn a_clock_that_was_set_while_the_bot_was_away_is_known_exactly_within_one_boot() {
        for (set, told) in [(HOUR, Some(HOUR)), (-HOUR, Some(-HOUR)), (SignedDuration::from_secs(1), None)] {
            let bench = Bench::new();
            let mark = SteadyClock::new(bench.clone()).mark();
            bench.passes(MINUTE * 10);
            bench.wall_is_set(set);
            assert_eq!(SteadyClock::new(bench).set_since(&mark), told);
        }
    }

    #[test]
    fn after_another_boot_only_a_clock_that_went_back_is_known_to_have_been_set() {
        for (set, told) in [(HOUR, None), (-HOUR, Some(MINUTE * 10 - HOUR))] {
            let bench = Bench::new();
            let mut mark = SteadyClock::new(bench.clone()).mark();
            mark.running = Some(Running { boot: "before".to_owned(), micros: 0 });
            bench.passes(MINUTE * 10);
            bench.wall_is_set(set);
            assert_eq!(SteadyClock::new(bench).set_since(&mark), told, "by no less than this");
        }
    }

    #[test]
    fn this_machine_has_a_clock_that_nobody_can_set() {
        let clock = SteadyClock::of_this_machine();
        assert_eq!(clock.jump(), None);
        assert!(clock.now().duration_since(Timestamp::now()).abs() < JUMPS_FROM);
    }
}
