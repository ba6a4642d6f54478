//! What a SPIRE agent says of itself on its admin socket (`spire-agent debug getinfo -output json`, SPIRE 1.15.3 and newer): when
//! it last had everything from its server. A cycle that could not fetch or renew something does not count as a success.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Agents ask their server every five seconds, and every few minutes at most where it refuses them.
const OF_LATE: SignedDuration = SignedDuration::from_mins(2);
/// One that had nothing for longer does not get through.
const TOO_LONG: SignedDuration = SignedDuration::from_mins(10);

/// What an agent says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentInfo {
    /// When it last had everything from its server; `None` where it never had.
    pub last_sync: Option<Timestamp>,
    /// When its own SVID ends.
    pub svid_ends: Option<Timestamp>,
    /// For how many seconds it has been running.
    pub uptime: i64,
}

/// What the last success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Synced {
    /// It works with its server.
    OfLate(Timestamp),
    /// Neither: it may be between two tries, or has just begun.
    Unclear,
    /// It has not got through for too long; since when, if it ever did.
    TooLongAgo(Option<Timestamp>),
}

impl AgentInfo {
    pub(super) fn synced(&self, at: Timestamp) -> Synced {
        match self.last_sync {
            Some(last) if at.duration_since(last) <= OF_LATE => Synced::OfLate(last),
            Some(last) if at.duration_since(last) > TOO_LONG => Synced::TooLongAgo(Some(last)),
            None if SignedDuration::from_secs(self.uptime) > TOO_LONG => Synced::TooLongAgo(None),
            Some(_) | None => Synced::Unclear,
        }
    }
}

/// Reads the answer; `None` where it is none, as that of older versions, which do not know the command.
pub fn read_agent_info(stdout: &[u8]) -> Option<AgentInfo> {
    let answer: Value = serde_json::from_slice(stdout).ok()?;
    // Protocol buffers write 64 bits as text.
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let time = |value: &Value| Timestamp::from_second(number(value)?).ok().filter(|at| at.as_second() > 0);
    let last_sync = answer.get("last_sync_success")?;
    let chain = answer.get("svid_chain").and_then(Value::as_array);
    let leaf = chain.and_then(|chain| chain.first()).and_then(|leaf| leaf.get("expires_at"));
    let uptime = answer.get("uptime").and_then(number).unwrap_or(0);
    Some(AgentInfo { last_sync: time(last_sync), svid_ends: leaf.and_then(time), uptime })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_read_as_protocol_buffers_write_it_and_what_is_none_is_nothing() {
        let answer = br#"{"svid_chain":[{"id":{"trust_domain":"example.org","path":"/spire/agent/a"},
            "expires_at":"1795489200","subject":""}],"uptime":42,"svids_count":0,"last_sync_success":"1795485600"}"#;
        let info = read_agent_info(answer).unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(
            info,
            AgentInfo { last_sync: Some(at(1_795_485_600)), svid_ends: Some(at(1_795_489_200)), uptime: 42 }
        );
        let never = read_agent_info(br#"{"uptime":9000,"last_sync_success":"0","svid_chain":[]}"#).unwrap();
        assert_eq!((never.last_sync, never.svid_ends), (None, None));
        assert_eq!(never.synced(at(1_795_485_600)), Synced::TooLongAgo(None));
        for none in ["", "Agent is healthy.", "{}", "[]", "{\"last_sync_success\"", "null"] {
            assert_eq!(read_agent_info(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn between_of_late_and_too_long_ago_nothing_is_said() {
        let at = Timestamp::from_second(1_795_485_600).unwrap();
        let synced = |minutes| {
            let last_sync = Some(at - SignedDuration::from_mins(minutes));
            AgentInfo { last_sync, svid_ends: None, uptime: 0 }.synced(at)
        };
        assert!(matches!(
            (synced(1), synced(5), synced(11)),
            (Synced::OfLate(_), Synced::Unclear, Synced::TooLongAgo(_))
        ));
        // Its clock is ahead of ours.
        assert!(matches!(synced(-1), Synced::OfLate(_)));
    }
}
