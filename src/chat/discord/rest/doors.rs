//! Where Discord lets nobody in for a while: by its buckets, for the bot as a whole, and for the address that it calls from.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hyper::{
    HeaderMap,
    header::{self, HeaderName},
};
use serde::Deserialize;

use super::Call;
use crate::chat::rate_limits::RateLimits;

/// The longest wait that Discord can ask of us: a wrong answer must not silence the bot for a day.
const RETRY_AFTER_MOST: f64 = 900.0;
/// How long is waited after a 429 that does not say how long.
const WITHOUT_A_WORD: f64 = 5.0;
/// The longest name of a bucket that is believed.
const BUCKET_MOST: usize = 64;
/// The door of a 429 that is about all calls with the bot's token.
const EVERY_CALL: &str = "every call";
/// The door of one that is about all that comes from this address: who knocks on makes it longer.
const THIS_ADDRESS: &str = "this address";
/// The doors of Discord's own buckets.
const BUCKET: &str = "bucket";

/// Why Discord asks to wait.
#[derive(Default, Deserialize)]
#[serde(default)]
struct TooMany {
    retry_after: Option<f64>,
    global: bool,
}

/// The doors of one bot. Cheap to clone; all clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Doors {
    limits: RateLimits,
    /// Discord's name for what it counts together, by the name of the call: calls of several names may share one.
    buckets: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Doors {
    /// How long a call still has to wait.
    pub(super) fn wait(&self, call: &Call<'_>) -> Option<Duration> {
        let now = Instant::now();
        // Answers to interactions are not among the calls that Discord limits all together.
        let all = call.with_token.then_some(EVERY_CALL);
        let of_all = [Some(THIS_ADDRESS), all].into_iter().flatten().map(|door| (door, String::new()));
        let own = (call.bucket, call.place.to_owned());
        let waits = of_all.chain([own]).chain(self.shared(call));
        waits.filter_map(|(door, place)| self.limits.wait(door, &place, call.turn, now)).max()
    }

    /// The door of the bucket that Discord counts the call in, once it has said so.
    fn shared(&self, call: &Call<'_>) -> Option<(&'static str, String)> {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        Some((BUCKET, format!("{}/{}", buckets.get(call.bucket)?, call.place)))
    }

    fn learn(&self, call: &Call<'_>, headers: &HeaderMap) {
        let named = headers.get("x-ratelimit-bucket").and_then(|value| value.to_str().ok());
        if let Some(named) = named.filter(|named| (1..=BUCKET_MOST).contains(&named.len())) {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            buckets.insert(call.bucket, named.to_owned());
        }
    }

    fn shut(&self, call: &Call<'_>, until: Instant) {
        self.limits.shut(call.bucket, call.place, until);
        if let Some((door, place)) = self.shared(call) {
            self.limits.shut(door, &place, until);
        }
    }

    /// Discord says with each answer how many calls are left of the same kind: the last one shuts the door.
    pub(super) fn heed(&self, call: &Call<'_>, headers: &HeaderMap) {
        self.learn(call, headers);
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
        let left = header(HeaderName::from_static("x-ratelimit-remaining"));
        let opens = header(HeaderName::from_static("x-ratelimit-reset-after"));
        if let (Some(0.0), Some(opens)) = (left, opens) {
            self.shut(call, Instant::now() + bounded(opens));
        }
    }

    /// Takes a 429, and says how long to wait. One without JSON comes from what stands before Discord, and is about all calls of
    /// this address.
    pub(super) fn told_to_wait(&self, call: &Call<'_>, headers: &HeaderMap, body: &[u8]) -> Duration {
        let said: Option<TooMany> = serde_json::from_slice(body).ok();
        let header = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let after = said.as_ref().and_then(|said| said.retry_after).or(header);
        let wait = bounded(after.unwrap_or(WITHOUT_A_WORD));
        let until = Instant::now() + wait;
        let is_global = headers.contains_key("x-ratelimit-global") || said.as_ref().is_some_and(|said| said.global);
        if said.is_none() {
            self.limits.shut(THIS_ADDRESS, "", until);
        } else if is_global {
            self.limits.shut(EVERY_CALL, "", until);
        } else {
            self.shut(call, until);
        }
        wait
    }
}

/// Seconds of Discord's, which may be anything, as a wait.
fn bounded(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.clamp(0.0, RETRY_AFTER_MOST)).unwrap_or_default()
}
