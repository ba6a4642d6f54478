//! Discord's ids: numbers whose upper 42 bits are the milliseconds since Discord began.
//! <https://discord.com/developers/docs/reference#snowflakes>

use jiff::Timestamp;

/// The beginning of Discord's time, in milliseconds since 1970.
const EPOCH: i64 = 1_420_070_400_000;
/// How far the time stands above the rest of an id, in bits.
const TIME_SHIFT: u32 = 22;
/// The most digits of a number of 64 bits.
const DIGITS_MOST: usize = 20;

/// Whether it is an id: nothing else can stand inside a mention.
pub(super) fn is_id(id: &str) -> bool {
    (1..=DIGITS_MOST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// When Discord gave an id.
pub(super) fn made_at(id: u64) -> Timestamp {
    let millis = i64::try_from(id >> TIME_SHIFT).unwrap_or_default().saturating_add(EPOCH);
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

/// The lowest id that Discord can have given at that time.
pub(super) fn lowest_id(at: Timestamp) -> String {
    let since = at.as_millisecond().saturating_sub(EPOCH).max(0);
    since.saturating_mul(1 << TIME_SHIFT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_when_it_was_given() {
        // The example of Discord's reference: 2016-04-30 11:18:25.796 UTC.
        let (id, at) = (175_928_847_299_117_063_u64, "2016-04-30T11:18:25.796Z".parse().unwrap());
        assert_eq!(made_at(id), at);
        assert_eq!(lowest_id(at), (id >> 22 << 22).to_string());
        assert_eq!(lowest_id(Timestamp::UNIX_EPOCH), "0");
    }
}
