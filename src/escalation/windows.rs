//! How long people have, and when the bot calls again: every window and wait of the ladder that holds where the configuration
//! names none (`escalation` in `config/example.yaml`), and those that no configuration changes.

use jiff::SignedDuration;

/// How long each level of the runbook's ladder ("Escalation") has to acknowledge, first level first. An acknowledgement lasts
/// as long without a sign of work.
pub const LEVEL_WINDOWS: [SignedDuration; 3] =
    [SignedDuration::from_mins(15), SignedDuration::from_mins(30), SignedDuration::from_hours(1)];

/// After the last window the bot calls all levels again, and again after each such time.
pub const REPEAT_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The bot reminds when this percentage of a window is left: a third.
pub const REMINDER_PERCENT: u8 = 33;

/// How long all alerts must stay resolved before an incident closes.
pub const HOLD: SignedDuration = SignedDuration::from_mins(5);

/// An alert that fires within this time after an incident closed reopens it.
pub const FLAP: SignedDuration = SignedDuration::from_mins(30);

/// The card shows an alert as stale when nobody repeated it for this long: twice Alertmanager's default `repeat_interval`.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_hours(8);

/// How long the first call of an opening waits for the diagnosis: the call should name the cause, and must not come much later
/// for it.
pub const DIAGNOSIS_WAIT: SignedDuration = SignedDuration::from_secs(20);

/// The ladder does not call a level again that the bot called beside it this short a time ago: two calls within a few minutes
/// tell nobody anything new.
pub const JUST_CALLED: SignedDuration = SignedDuration::from_mins(5);

/// When the bot notices the end of a window later than this (it was down), the next window starts now and not then, so that it
/// does not call three levels in one second.
pub const NOTICED_TOO_LATE: SignedDuration = SignedDuration::from_secs(60);
