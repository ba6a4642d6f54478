//! Commands that are wrong get an answer that helps: what was not understood, and the nearest right one.

use std::fmt;

use super::Verb;
use crate::{
    chat::{LIVE_MOST, OtherBot},
    incident::IncidentId,
    legible,
    triage::FixName,
};

/// Below this likeness (Jaro-Winkler, 0 to 1) a guess would only confuse.
const LIKE_ENOUGH: f64 = 0.75;
/// How much of what was typed is repeated.
const ECHO_MOST: usize = 40;

/// Why a command was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misunderstood {
    /// No such command.
    #[error("I do not know `{word}`.{} `help` lists what you can say.", Guess(.nearest.map(Verb::usage)))]
    Verb {
        /// What was typed.
        word: String,
        /// The nearest command.
        nearest: Option<Verb>,
    },
    /// No such fix.
    #[error("{}", no_such_fix(.name, *.nearest))]
    Fix {
        /// What was typed.
        name: String,
        /// The nearest fix.
        nearest: Option<FixName>,
    },
    /// Something is missing.
    #[error("`{}` needs {what}: `{}`", .verb.word(), .verb.usage())]
    Missing {
        /// For which command.
        verb: Verb,
        what: &'static str,
    },
    /// Something is left over.
    #[error("I do not know what `{}` means after `{}`: say `{}`", echo(.extra), .verb.word(), .verb.usage())]
    TooMuch {
        /// After which command.
        verb: Verb,
        extra: String,
    },
    /// Not a target.
    #[error("{0}: say `{usage}`, for example `target INC-7 web deploy/frontend`", usage = Verb::Target.usage())]
    Target(String),
    /// Neither a person nor a level.
    #[error(
        "`{}` is neither a person nor a level: type `@` and pick the person from the list that opens, as in \
         `handoff INC-7 @user`, or name a level, as in `handoff INC-7 L2`",
        echo(.0)
    )]
    Whom(String),
    /// The incident is named, and too late.
    #[error("the incident comes first: `{} {incident} {}`", .verb.word(), echo(.rest))]
    Order {
        /// For which command.
        verb: Verb,
        /// Which incident.
        incident: IncidentId,
        /// All the rest.
        rest: String,
    },
    /// Not the id of an incident.
    #[error("`{}` is no incident: they are called INC-7", echo(.0))]
    NoIncident(String),
    /// More than one incident is open.
    #[error("{} incidents are open ({}): name one, as in `{} {}`", count_of_live(.live), some(.live), .verb.word(), first(.live))]
    WhichIncident {
        /// What was typed.
        verb: Verb,
        live: Vec<IncidentId>,
    },
    /// Other bots hear what is typed as well.
    #[error(
        "bots of several clusters hear what you type here, and this is the one of {cluster}: say what you mean with the cluster, as in \
         `{} {example}`",
        .verb.word()
    )]
    WhichBot {
        /// What was typed.
        verb: Verb,
        /// The cluster of this bot.
        cluster: &'static str,
        /// How one of its incidents is written.
        example: String,
    },
    /// All incidents of another bot.
    #[error(
        "this is not the bot of {theirs}: say it again until that one hears you, and give each bot an app of its own"
    )]
    AllOfAnother {
        /// The cluster of the bot that is meant.
        theirs: String,
    },
    /// An incident of another bot.
    #[error(transparent)]
    OtherBot(#[from] OtherBot),
    /// No incident is open.
    #[error("no incident is open: name an old one, as in `status INC-7`")]
    NothingOpen,
    /// Too long.
    #[error("that is longer than {most} characters: put long texts into a file or a message of your own")]
    TooLong {
        /// The longest that is read.
        most: usize,
    },
}

impl Misunderstood {
    pub(super) fn verb(word: &str) -> Self {
        let nearest = nearest(word, Verb::ALL, Verb::word);
        Self::Verb { word: echo(word), nearest }
    }

    pub(super) fn fix(name: &str) -> Self {
        let all = FixName::CARRIED_OUT;
        Self::Fix { name: echo(name), nearest: nearest(name, all, FixName::as_str) }
    }
}

/// The candidate that is most like what was typed, if any is like it at all.
fn nearest<T: Copy>(
    typed: &str,
    candidates: impl IntoIterator<Item = T>,
    word: impl Fn(T) -> &'static str,
) -> Option<T> {
    let typed: String = typed.chars().take(ECHO_MOST).collect::<String>().to_ascii_lowercase();
    let scored = candidates.into_iter().map(|candidate| (strsim::jaro_winkler(&typed, word(candidate)), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= LIKE_ENOUGH).map(|(_, candidate)| candidate)
}

struct Guess(Option<String>);

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |guess| write!(f, " Did you mean `{guess}`?"))
    }
}

fn no_such_fix(name: &str, nearest: Option<FixName>) -> String {
    let known: Vec<&str> = FixName::CARRIED_OUT.iter().map(|fix| fix.as_str()).collect();
    let known = known.join("`, `");
    match (name, nearest) {
        ("", _) => format!("`fix` needs a name: I can do `{known}`, as in `{}`", Verb::Fix.usage()),
        (name, Some(fix)) => format!("There is no fix `{name}`. Did you mean `fix {fix}`?"),
        (name, None) => format!("There is no fix `{name}`. I can do `{known}`."),
    }
}

/// What was typed, short and without the back-ticks and line ends that would break the answer.
fn echo(word: &str) -> String {
    let clean: String = legible::line(word).chars().filter(|letter| *letter != '`').take(ECHO_MOST).collect();
    if clean.len() < word.len() { format!("{clean}…") } else { clean }
}

/// How many are open. No more than [`LIVE_MOST`] are read, so that many may be more.
fn count_of_live(live: &[IncidentId]) -> String {
    if live.len() < LIVE_MOST { live.len().to_string() } else { format!("{LIVE_MOST} or more") }
}

fn first(live: &[IncidentId]) -> String {
    live.first().map_or_else(String::new, ToString::to_string)
}

fn some(live: &[IncidentId]) -> String {
    let shown: Vec<String> = live.iter().take(8).map(ToString::to_string).collect();
    let more = if live.len() > shown.len() { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}
