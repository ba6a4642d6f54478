//! Every metric of the bot. Adding one is a variant here, what the compiler then asks for, its row in
//! `deploy/operations.md` and a panel in `deploy/chart/files/dashboard.json`.

use strum::{EnumDiscriminants, EnumIter, IntoStaticStr};

/// What every name in `/metrics` begins with.
pub(super) const PREFIX: &str = "mtls_medic_";

/// One series: a metric, and the value of each of its labels. A `&'static str` is one of a closed list in the code, so that
/// nobody outside can make series; the other labels are names of our own configuration.
#[derive(Debug, Clone, Copy, EnumDiscriminants)]
#[strum_discriminants(name(MetricName), derive(PartialOrd, Ord, Hash, EnumIter, IntoStaticStr))]
#[strum_discriminants(strum(serialize_all = "snake_case"))]
#[strum_discriminants(doc = "The name of a metric, whatever its labels.")]
pub enum Metric<'a> {
    EscalationWindowsTotal { level: &'a str, window: &'static str, end: &'static str },
    CallsSentTotal { way: CallWay },
    PagerCallsTotal { pager: &'a str, act: &'static str, result: &'static str },
    EffectsDue { room: &'a str },
    EngineOverdue,
    Ready,
    ClockJumpsTotal { direction: ClockDirection },
    JournalReadable,
    JournalTransactionsTotal,
    HeartbeatsTotal { result: &'static str },
    WebhookRequestsTotal { status: &'a str },
    WebhookRefusalsTotal { reason: &'static str },
    WebhookUnknownAlertsTotal,
    WebhookUnreadableAlertsTotal,
    SlackSocketsOpen,
    SlackAppConnections,
    SlackPostsWaiting,
    SlackRateLimitedTotal { method: &'static str },
    SlackRefusalsTotal { reason: &'static str },
    DiscordCommandsRegistered,
    DiscordGatewayOpen,
    DiscordGatewayOpenedTotal,
    DiscordGatewaySessionsLeft,
    DiscordPostsWaiting,
    DiscordRateLimitedTotal { call: &'static str },
    DiscordRefusalsTotal { reason: &'static str },
}

/// The way on which a person was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CallWay {
    Slack,
    Discord,
    Pager,
}

/// Where the machine's clock was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ClockDirection {
    Back,
    Forward,
}

/// How a metric moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum MetricKind {
    /// It only grows, and begins at nothing with the process.
    Counter,
    /// It is what it is now.
    Gauge,
}

impl<'a> Metric<'a> {
    /// Its labels, each with its value, in the order of [`MetricName::labels`].
    pub(super) fn labels(self) -> Vec<(&'static str, &'a str)> {
        let values: Vec<&'a str> = match self {
            Self::EscalationWindowsTotal { level, window, end } => vec![level, window, end],
            Self::CallsSentTotal { way } => vec![way.into()],
            Self::PagerCallsTotal { pager, act, result } => vec![pager, act, result],
            Self::ClockJumpsTotal { direction } => vec![direction.into()],
            Self::EffectsDue { room: one }
            | Self::WebhookRequestsTotal { status: one }
            | Self::HeartbeatsTotal { result: one }
            | Self::WebhookRefusalsTotal { reason: one }
            | Self::SlackRateLimitedTotal { method: one }
            | Self::SlackRefusalsTotal { reason: one }
            | Self::DiscordRateLimitedTotal { call: one }
            | Self::DiscordRefusalsTotal { reason: one } => vec![one],
            Self::EngineOverdue
            | Self::Ready
            | Self::JournalReadable
            | Self::JournalTransactionsTotal
            | Self::WebhookUnknownAlertsTotal
            | Self::WebhookUnreadableAlertsTotal
            | Self::SlackSocketsOpen
            | Self::SlackAppConnections
            | Self::SlackPostsWaiting
            | Self::DiscordCommandsRegistered
            | Self::DiscordGatewayOpen
            | Self::DiscordGatewayOpenedTotal
            | Self::DiscordGatewaySessionsLeft
            | Self::DiscordPostsWaiting => Vec::new(),
        };
        MetricName::from(self).labels().iter().copied().zip(values).collect()
    }
}

impl MetricName {
    /// As Prometheus knows it, without the prefix.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What its labels are called.
    pub fn labels(self) -> &'static [&'static str] {
        match self {
            Self::EscalationWindowsTotal => &["level", "window", "end"],
            Self::CallsSentTotal => &["way"],
            Self::PagerCallsTotal => &["pager", "act", "result"],
            Self::EffectsDue => &["room"],
            Self::ClockJumpsTotal => &["direction"],
            Self::HeartbeatsTotal => &["result"],
            Self::WebhookRequestsTotal => &["status"],
            Self::WebhookRefusalsTotal | Self::SlackRefusalsTotal | Self::DiscordRefusalsTotal => &["reason"],
            Self::SlackRateLimitedTotal => &["method"],
            Self::DiscordRateLimitedTotal => &["call"],
            _ => &[],
        }
    }

    /// How it moves.
    pub fn kind(self) -> MetricKind {
        match self {
            Self::EffectsDue
            | Self::EngineOverdue
            | Self::Ready
            | Self::JournalReadable
            | Self::SlackSocketsOpen
            | Self::SlackAppConnections
            | Self::SlackPostsWaiting
            | Self::DiscordCommandsRegistered
            | Self::DiscordGatewayOpen
            | Self::DiscordGatewaySessionsLeft
            | Self::DiscordPostsWaiting => MetricKind::Gauge,
            _ => MetricKind::Counter,
        }
    }

    /// What it says, for people: the `# HELP` line, and its row in `deploy/operations.md`.
    pub fn help(self) -> &'static str {
        match self {
            Self::EscalationWindowsTotal => {
                "windows of the ladder that were `met` or `breached`: to `answer` a call, or, once taken, to show a sign of \
                 work (`idle`); level `all` when every level was called"
            }
            Self::CallsSentTotal => "calls of people by `slack`, by `discord` and by `pager`",
            Self::PagerCallsTotal => {
                "calls (`call`), updates with the cause (`update`) and ends (`end`) of pages: `sent`, `refused`, \
                 `rate_limited`, `server_error`, `unreachable`, `unanswered`, `not_configured`"
            }
            Self::EffectsDue => "what waits to be done",
            Self::EngineOverdue => "1 when something is over 60 s late",
            Self::Ready => "1 when `/readyz` is well",
            Self::ClockJumpsTotal => {
                "how often the machine's clock was set `back` or `forward`; the bot moves every deadline with it, so that no \
                 call is late or early"
            }
            Self::JournalReadable => "1 when the bot could read the journal at the last look",
            Self::JournalTransactionsTotal => "transactions of the journal, each one fsync",
            Self::HeartbeatsTotal => "`sent`, `withheld` because the engine stands still, `failed` on the way",
            Self::WebhookRequestsTotal => "what Alertmanager sent, by the bot's answer",
            Self::WebhookRefusalsTotal => "bodies that the bot did not take",
            Self::WebhookUnknownAlertsTotal => "alerts that the configuration does not name",
            Self::WebhookUnreadableAlertsTotal => "alerts that the bot could not read",
            Self::SlackSocketsOpen => "sockets that this bot has open to Slack",
            Self::SlackAppConnections => {
                "sockets of the app by Slack's count: more than this bot's are another bot's with the same token"
            }
            Self::SlackPostsWaiting => "posts that Slack has not taken yet",
            Self::SlackRateLimitedTotal => "calls that Slack told to wait",
            Self::SlackRefusalsTotal => "what came from Slack and the bot did not take",
            Self::DiscordCommandsRegistered => "1 once Discord has taken the commands of this version",
            Self::DiscordGatewayOpen => "1 while the gateway is open",
            Self::DiscordGatewayOpenedTotal => "how often the bot opened the gateway",
            Self::DiscordGatewaySessionsLeft => {
                "sessions that Discord still lets the bot begin today: few left means that it loses its connection all the \
                 time, or that a second bot uses its token"
            }
            Self::DiscordPostsWaiting => "posts that Discord has not taken yet",
            Self::DiscordRateLimitedTotal => "calls that Discord told to wait",
            Self::DiscordRefusalsTotal => "what came from Discord and the bot did not take",
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator;

    use super::*;

    /// Prometheus' naming rules; a counter that is called a gauge would break every `rate()` of the dashboard.
    #[test]
    fn a_name_ends_with_total_exactly_when_it_is_a_counter() {
        for metric in MetricName::iter() {
            assert_eq!(metric.name().ends_with("_total"), metric.kind() == MetricKind::Counter, "{}", metric.name());
        }
    }

    #[test]
    fn each_label_of_a_metric_has_its_value() {
        let every = [
            Metric::EscalationWindowsTotal { level: "L1", window: "answer", end: "met" },
            Metric::CallsSentTotal { way: CallWay::Pager },
            Metric::PagerCallsTotal { pager: "night", act: "call", result: "sent" },
            Metric::EffectsDue { room: "cluster" },
            Metric::ClockJumpsTotal { direction: ClockDirection::Back },
            Metric::HeartbeatsTotal { result: "sent" },
            Metric::WebhookRequestsTotal { status: "200" },
            Metric::WebhookRefusalsTotal { reason: "slow" },
            Metric::SlackRateLimitedTotal { method: "chat.update" },
            Metric::SlackRefusalsTotal { reason: "unreadable" },
            Metric::DiscordRateLimitedTotal { call: "post" },
            Metric::DiscordRefusalsTotal { reason: "unreadable" },
        ];
        let labelled: Vec<MetricName> = every.into_iter().map(MetricName::from).collect();
        assert_eq!(labelled, MetricName::iter().filter(|one| !one.labels().is_empty()).collect::<Vec<_>>());
        for metric in every {
            assert_eq!(metric.labels().len(), MetricName::from(metric).labels().len(), "{metric:?}");
        }
    }
}
