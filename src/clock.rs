//! The clock that everything above the pure rooms is handed, so that a night passes in a second in tests and demos.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};

/// A source of time. There is one a process; the simulated mesh and the bot share it.
///
/// What it shows may differ from the computer's wall clock for a moment: when that jumps, this one goes on as before until
/// somebody who has moved the stored deadlines sets it ([`Clock::set_by`]).
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;
    /// Returns at `moment` as it is shown now, or at once when it has passed. Setting the clock meanwhile changes nothing.
    async fn sleep_until(&self, moment: Timestamp);

    /// The time as it would be shown had this clock never been set: for ages that are kept in memory only.
    fn steady(&self) -> Timestamp {
        self.now()
    }

    /// How far the wall clock has jumped away from what is shown; negative when it was set back. Small differences, as time
    /// synchronisation makes them all day, are followed and not told.
    fn jump(&self) -> Option<SignedDuration> {
        None
    }

    /// Shows so much more from now on.
    fn set_by(&self, _by: SignedDuration) {}

    /// What is kept so that a later process can tell whether the clock was set between the two.
    fn mark(&self) -> Mark {
        Mark { shown: self.now(), running: None }
    }

    /// By how much the clock was set since `mark` was made by an earlier process, as far as that can be known: exactly
    /// within one boot of the machine, and else only that it was set back, and by no less than this.
    fn set_since(&self, mark: &Mark) -> Option<SignedDuration> {
        let back = self.now().duration_since(mark.shown);
        (back <= -JUMPS_FROM).then_some(back)
    }
}

/// What a clock showed, and how long its machine had been running then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What was shown.
    pub shown: Timestamp,
    /// How long the machine had been running, and since which boot.
    pub running: Option<Running>,
}

/// How long a machine has been running since a boot, suspended time included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The kernel's name of the boot.
    pub boot: String,
    /// How long, in microseconds.
    pub micros: i64,
}

/// A difference between the two clocks from which on it is a jump. Time synchronisation steps by less all the time, and
/// nobody's window is the worse for it.
pub const JUMPS_FROM: SignedDuration = SignedDuration::from_secs(2);

/// The longest sleep in one piece: the runtime's timers stand still while the machine is suspended, and windows do not.
const LOOKS_UP_EVERY: Duration = Duration::from_secs(1);

/// What a [`SteadyClock`] is made of.
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

fn moved(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX })
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

/// The computer's wall clock, for commands that keep nothing.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // A negative distance converts to an error, and there is then nothing to wait for.
        let wait = Duration::try_from(moment.duration_since(self.now())).unwrap_or_default();
        tokio::time::sleep(wait).await;
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct VirtualClock(watch::Sender<Hands>);

#[derive(Debug, Clone, Copy)]
struct Hands {
    shown: Timestamp,
    /// By how much it was set in all.
    set: SignedDuration,
    /// How far the wall clock has jumped away from it.
    jump: SignedDuration,
}

impl Hands {
    fn steady(self) -> Timestamp {
        moved(self.shown, -self.set)
    }
}

impl VirtualClock {
    /// A clock that shows `start`.
    pub fn starting_at(start: Timestamp) -> Self {
        let (set, jump) = (SignedDuration::ZERO, SignedDuration::ZERO);
        Self(watch::Sender::new(Hands { shown: start, set, jump }))
    }

    /// Moves the clock to `moment` and wakes those who waited for it.
    pub fn set(&self, moment: Timestamp) {
        self.0.send_modify(|hands| hands.shown = moment);
    }

    /// Moves the clock on.
    pub fn advance(&self, by: SignedDuration) {
        self.0.send_modify(|hands| hands.shown = moved(hands.shown, by));
    }

    /// Somebody sets the wall clock; what this one shows stays until it is set too.
    pub fn wall_jumps(&self, by: SignedDuration) {
        self.0.send_modify(|hands| hands.jump = hands.jump.saturating_add(by));
    }

    /// Returns when it was set in all by so much.
    pub async fn was_set(&self, by: SignedDuration) {
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|hands| hands.set == by).await;
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.borrow().shown
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let wakes = moved(moment, -self.0.borrow().set);
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|hands| hands.steady() >= wakes).await;
    }

    fn steady(&self) -> Timestamp {
        self.0.borrow().steady()
    }

    fn jump(&self) -> Option<SignedDuration> {
        let jump = self.0.borrow().jump;
        (!jump.is_zero()).then_some(jump)
    }

    fn set_by(&self, by: SignedDuration) {
        self.0.send_modify(|hands| {
            hands.shown = moved(hands.shown, by);
            hands.set = hands.set.saturating_add(by);
            hands.jump = hands.jump.saturating_sub(by);
        });
    }
}

/// A clock that runs `rate` times as fast as real time; the rate can be changed while it runs. For the demo.
#[derive(Debug)]
pub struct SpedClock {
    anchor: Mutex<Anchor>,
    changed: watch::Sender<f64>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    shown: Timestamp,
    real: Instant,
    rate: f64,
}

impl Anchor {
    fn now(self) -> Timestamp {
        let passed = SignedDuration::try_from_secs_f64(self.real.elapsed().as_secs_f64() * self.rate);
        self.shown.saturating_add(passed.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
    }
}

/// The slowest and fastest rates of a [`SpedClock`]; at a greater one, minutes would pass within one HTTP call.
pub const RATE_LIMITS: (f64, f64) = (0.1, 600.0);

impl SpedClock {
    /// A clock that shows `start` now and runs at `rate` (clamped to [`RATE_LIMITS`]).
    pub fn new(start: Timestamp, rate: f64) -> Self {
        let rate = rate.clamp(RATE_LIMITS.0, RATE_LIMITS.1);
        Self {
            anchor: Mutex::new(Anchor { shown: start, real: Instant::now(), rate }),
            changed: watch::Sender::new(rate),
        }
    }

    /// How many times faster than real time it runs.
    pub fn rate(&self) -> f64 {
        *self.changed.borrow()
    }

    /// Changes the rate from now on; the time shown does not jump.
    pub fn set_rate(&self, rate: f64) {
        let rate = rate.clamp(RATE_LIMITS.0, RATE_LIMITS.1);
        {
            let mut anchor = self.lock();
            *anchor = Anchor { shown: anchor.now(), real: Instant::now(), rate };
        }
        self.changed.send_replace(rate);
    }

    fn lock(&self) -> MutexGuard<'_, Anchor> {
        // The guarded value is a plain copy: it is whole even when a holder panicked.
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for SpedClock {
    fn now(&self) -> Timestamp {
        self.lock().now()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        let mut changed = self.changed.subscribe();
        loop {
            let rate = *changed.borrow_and_update();
            let left = moment.duration_since(self.now()).as_secs_f64();
            if left <= 0.0 {
                return;
            }
            let wait = Duration::try_from_secs_f64(left / rate).unwrap_or(Duration::MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changed.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    #[tokio::test]
    async fn a_virtual_clock_wakes_those_whose_time_has_come() {
        let clock = std::sync::Arc::new(VirtualClock::starting_at(Timestamp::UNIX_EPOCH));
        let due = Timestamp::from_second(60).unwrap();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(due).await }
        });
        clock.advance(SignedDuration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(SignedDuration::from_secs(1));
        sleeper.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_sped_clock_passes_an_hour_in_a_minute() {
        let clock = SpedClock::new(Timestamp::UNIX_EPOCH, 60.0);
        let began = Instant::now();
        clock.sleep_until(Timestamp::from_second(3600).unwrap()).await;
        let real = began.elapsed().as_secs_f64();
        assert!((real - 60.0).abs() < 0.1, "{real}");
    }
}
