//! What is stored is moved when the clock that it was measured by is set: a window that had a quarter of an hour left has
//! a quarter of an hour left by the new time.
//!
//! Every moment moves, whatever field it stands in, so that a deadline of tomorrow moves without anybody's remembering
//! this; what other clocks measured (certificates, the API server, Alertmanager) and what people wrote is named here, and
//! stays.

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The fields that hold what another clock than ours says, what was seen at that time, or words.
const STAYS: [&str; 22] = [
    "because",
    "claimed_start",
    "created_at",
    "ends_at",
    "evidence",
    "gathered_at",
    "issued_at",
    "key",
    "labels",
    "message",
    "name",
    "not_after",
    "not_before",
    "observed_at",
    "reason",
    "reasons",
    "start_before",
    "starts_at",
    "summary",
    "svid_not_after",
    "text",
    "what",
];

/// Of a verdict, which quotes what others measured, only the moment moves at which we gave it: fixes are older or newer
/// than that.
const VERDICT: &str = "verdict";

/// The same by a clock that was set by `by`.
pub fn moved<T: Serialize + DeserializeOwned>(stored: &T, by: SignedDuration) -> Result<T, serde_json::Error> {
    let mut value = serde_json::to_value(stored)?;
    move_all(&mut value, by);
    serde_json::from_value(value)
}

fn move_all(value: &mut Value, by: SignedDuration) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if name == VERDICT {
                    if let Some(at) = field.get_mut("at") {
                        move_all(at, by);
                    }
                } else if !STAYS.contains(&name.as_str()) {
                    move_all(field, by);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_all(item, by)),
        Value::String(text) => {
            let moment = text.parse::<Timestamp>().ok();
            if let Some(moved) = moment.and_then(|moment| moment.saturating_add(by).ok()) {
                *text = moved.to_string();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_measured_moves_and_what_others_measured_or_wrote_stays() {
        let stored = serde_json::json!({
            "ladder": {"running": {"rung": {"waiting": {"level": 1, "until": "2026-11-24T03:15:00.25Z"}}}},
            "history": [{"at": "2026-11-24T03:00:00Z", "text": "2026-11-24T03:00:00Z"}],
            "alerts": {"f": {"sighting": {"starts_at": "2026-11-24T02:58:00Z", "labels": {"since": "2026-11-24T02:58:00Z"}}}},
            "verdict": {"at": "2026-11-24T03:00:10Z", "checks": [{"since": "2026-11-24T03:00:10Z"}]},
            "svid_not_after": "2026-11-24T04:00:00Z",
            "left": "PT10M", "day": "2026-11-24", "count": 3,
        });
        let moved: Value = moved(&stored, SignedDuration::from_hours(-1)).unwrap();
        insta::assert_snapshot!(serde_json::to_string_pretty(&moved).unwrap(), @r#"
        {
          "alerts": {
            "f": {
              "sighting": {
                "labels": {
                  "since": "2026-11-24T02:58:00Z"
                },
                "starts_at": "2026-11-24T02:58:00Z"
              }
            }
          },
          "count": 3,
          "day": "2026-11-24",
          "history": [
            {
              "at": "2026-11-24T02:00:00Z",
              "text": "2026-11-24T03:00:00Z"
            }
          ],
          "ladder": {
            "running": {
              "rung": {
                "waiting": {
                  "level": 1,
                  "until": "2026-11-24T02:15:00.25Z"
                }
              }
            }
          },
          "left": "PT10M",
          "svid_not_after": "2026-11-24T04:00:00Z",
          "verdict": {
            "at": "2026-11-24T02:00:10Z",
            "checks": [
              {
                "since": "2026-11-24T03:00:10Z"
              }
            ]
          }
        }
        "#);
    }
}
