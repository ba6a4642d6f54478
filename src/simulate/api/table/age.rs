//! Ages as kubectl shows them.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// How long ago, in at most two units: fine when young, coarse when old.
pub(super) fn human(passed: SignedDuration) -> String {
    let seconds = passed.as_secs().max(0);
    let two = |big: i64, small: i64, names: (&str, &str)| {
        let (whole, rest) = (seconds / big, seconds % big / small);
        if rest == 0 { format!("{whole}{}", names.0) } else { format!("{whole}{}{rest}{}", names.0, names.1) }
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(MINUTE, 1, ("m", "s")),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(HOUR, MINUTE, ("h", "m")),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(DAY, HOUR, ("d", "h")),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(YEAR, DAY, ("y", "d")),
        _ => format!("{}y", seconds / YEAR),
    }
}

/// The age since a time field of an object.
pub(super) fn since(object: &Value, path: &str, now: Timestamp) -> String {
    let moment = object.pointer(path).and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    moment.map_or_else(|| "<unknown>".to_owned(), |moment| human(now.duration_since(moment)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_in_kubectl() {
        let shown = [5, 119, 125, 540, 3_600, 11_000, 90_000, 700_000, 70_000_000]
            .map(|seconds| human(SignedDuration::from_secs(seconds)));
        assert_eq!(shown, ["5s", "119s", "2m5s", "9m", "60m", "3h3m", "25h", "8d", "2y80d"]);
    }
}
