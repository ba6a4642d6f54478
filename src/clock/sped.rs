//! A clock for the demo: a quarter of an hour in as many seconds.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::{sync::watch, time::Instant};

use super::Clock;

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
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_sped_clock_passes_an_hour_in_a_minute() {
        let clock = SpedClock::new(Timestamp::UNIX_EPOCH, 60.0);
        let began = Instant::now();
        clock.sleep_until(Timestamp::from_second(3600).unwrap()).await;
        let real = began.elapsed().as_secs_f64();
        assert!((real - 60.0).abs() < 0.1, "{real}");
    }
}
