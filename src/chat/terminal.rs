//! The incident channel as a readable log on a terminal, with the clock in front of each line.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    card::{COMMAND, Card, Line, Span},
    posts::{self, Post},
};
#[cfg(feature = "discord")]
use crate::people::{Mention, Platform};
use crate::{
    clock::Clock,
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    incident::{Destination, Outcome, Work},
    legible,
};

/// Where lines go.
pub type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// How posts look on a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shape {
    /// A line for what is new.
    #[default]
    Log,
    /// Whole messages, as Discord shows them.
    #[cfg(feature = "discord")]
    Discord,
}

/// The terminal as a face of the bot. What it printed is not remembered: nothing decides by it.
pub struct Terminal {
    clock: Arc<dyn Clock>,
    sink: Sink,
    shape: Shape,
    last_state: Mutex<String>,
}

impl Terminal {
    /// A terminal that prints with this clock in front.
    pub fn new(clock: Arc<dyn Clock>, sink: Sink) -> Self {
        Self { clock, sink, shape: Shape::default(), last_state: Mutex::new(String::new()) }
    }

    /// The same terminal with posts of that shape.
    pub fn in_the_shape_of(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// Prints what somebody types, as it is typed on the platform whose shape this is.
    pub fn typed(&self, who: &str, text: &str) {
        #[cfg(feature = "discord")]
        if let (Shape::Discord, Some(command)) = (self.shape, text.strip_prefix(COMMAND)) {
            let named = super::grammar::with_names(command.trim_start());
            return self.say(who, &format!("{COMMAND} {named}"));
        }
        self.say(who, text);
    }

    /// Prints a message as Discord shows it.
    #[cfg(feature = "discord")]
    fn message(&self, who: &str, message: &super::discord::message::Message) {
        self.say(who, &super::discord::as_read::as_read(message, clock_face).join("\n"));
    }

    /// Prints what somebody says, or is told.
    pub fn say(&self, who: &str, text: &str) {
        let clock = clock_face(self.clock.now());
        for (place, line) in text.lines().enumerate() {
            let who = if place == 0 && !who.is_empty() { format!("{}:", legible::line(who)) } else { String::new() };
            (self.sink)(&format!("{clock}  {who:<14} {}", legible::line(line)));
        }
    }

    fn card(&self, task: &Task, to: &Destination) -> Done {
        let card = Card::of(&task.incident);
        let state = format!("{} is {}: {}", card.incident, card.state.word(), plain_line(&card.headline));
        let first_card = task.root.is_none();
        {
            let mut last = self.last_state.lock().unwrap_or_else(PoisonError::into_inner);
            // A log is no place for redrawing: the card is printed when it says something new.
            if *last != state {
                match self.shape {
                    Shape::Log => self.say("card", &state),
                    #[cfg(feature = "discord")]
                    Shape::Discord => {
                        let who = if first_card { "card" } else { "card (edited)" };
                        self.message(who, &super::discord::message::card(&card, &task.key));
                    }
                }
                *last = state;
            }
        }
        shown(to, "card", task, Outcome::Shown { to: to.clone(), first_card })
    }

    fn post(&self, task: &Task, post: Post) {
        let post = if task.writes_enabled { post } else { post.with_writes_off() };
        #[cfg(feature = "discord")]
        if self.shape == Shape::Discord {
            let mut mentions = post.mentions.clone();
            // The demo has no configuration that names them.
            mentions.extend(post.to_approvers.then(|| Mention::group(Platform::Page, "approvers")));
            return self.message("mtls-medic", &super::discord::message::post(&post, &mentions, &task.key));
        }
        for (place, line) in post.lines.iter().enumerate() {
            let called = if place == 0 { called(&post) } else { String::new() };
            self.say("mtls-medic", &format!("{called}{}", plain_line(line)));
        }
        for link in &post.links {
            self.say("", &format!("{}: {}", link.label, link.url));
        }
        if let Some(raw) = &post.raw {
            let lines = raw.text.lines();
            let more = lines.clone().count().saturating_sub(RAW_LINES_MOST);
            for line in lines.take(RAW_LINES_MOST) {
                self.say("", &format!("    {line}"));
            }
            if more > 0 {
                self.say("", &format!("    … {more} more lines of {}", raw.title));
            }
        }
    }
}

/// How many lines of raw output are printed: a log is read, not searched.
const RAW_LINES_MOST: usize = 30;

/// Who is called or asked, in front of what is said.
fn called(post: &Post) -> String {
    let mentions = post.mentions.iter().map(|one| format!("@{} ", one.id()));
    let approvers = post.to_approvers.then(|| "@approvers ".to_owned());
    mentions.chain(approvers).collect()
}

fn shown(to: &Destination, slot: &str, task: &Task, outcome: Outcome) -> Done {
    let message = MessageRef { id: format!("{}:{slot}", task.incident.id), version: task.incident.version };
    let delivery = Some(Delivery { to: to.clone(), slot: slot.to_owned(), message });
    Done { outcome, delivery, evidence: None }
}

fn clock_face(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

fn plain_line(line: &Line) -> String {
    line.iter().map(plain_span).collect()
}

fn plain_span(span: &Span) -> String {
    match span {
        Span::Text(text) | Span::Strong(text) => text.clone(),
        Span::Code(text) => format!("`{text}`"),
        Span::Command(words) => format!("`{COMMAND} {words}`"),
        Span::Time(at) => clock_face(*at),
        Span::Person(person) => format!("@{}", person.user),
        Span::Mention(whom) => format!("@{}", whom.id()),
    }
}

#[async_trait]
impl Perform for Terminal {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        Ok(match &task.work {
            Work::DrawCard { to } => self.card(&task, to),
            Work::Post { to, notice } => {
                self.post(&task, posts::notice(notice, &task.incident));
                shown(to, &task.key, &task, Outcome::Shown { to: to.clone(), first_card: false })
            }
            Work::Mention { to, level, reason, .. } => {
                self.post(&task, posts::call(*level, reason, &task.incident));
                shown(to, &task.key, &task, Outcome::Mentioned { level: *level, to: to.clone(), unexplained: None })
            }
            _ => Outcome::NoLongerWanted.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chat::card::tests as night,
        clock::VirtualClock,
        engine::Progress,
        incident::{Face, Notice},
    };

    #[tokio::test]
    async fn who_is_called_and_the_lines_to_type_by_hand_are_printed() {
        let printed: Arc<Mutex<Vec<String>>> = Arc::default();
        let lines = printed.clone();
        let sink = Box::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
        let terminal = Terminal::new(Arc::new(VirtualClock::starting_at(night::at(5))), sink);
        let to = Destination { face: Face::Terminal, channel: "incidents".to_owned() };
        let work = Work::Post { to, notice: Notice::ApprovalWanted { plan: night::plan().id() } };
        let task = Task {
            key: "ask".to_owned(),
            work,
            incident: night::asking().into(),
            attempt: 1,
            wanted: jiff::Timestamp::UNIX_EPOCH,
            root: None,
            writes_enabled: true,
            progress: Progress::default(),
        };
        terminal.perform(task).await.unwrap();
        let all = printed.lock().unwrap().join("\n");
        assert!(all.contains("@approvers Approval wanted"), "{all}");
        assert_eq!(night::plan().kubectl().count(), 1);
        for line in night::plan().kubectl() {
            assert!(all.contains(&line), "{line} in {all}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_turns_hides_or_steers_on_the_terminal(text in crate::legible::hostile::text()) {
            let printed: Arc<Mutex<Vec<String>>> = Arc::default();
            let lines = printed.clone();
            let sink = Box::new(move |line: &str| lines.lock().unwrap().push(line.to_owned()));
            Terminal::new(Arc::new(VirtualClock::starting_at(night::at(5))), sink).say(&text, &text);
            for line in printed.lock().unwrap().iter() {
                let legible = crate::legible::hostile::is_legible(line) && !line.contains('\n');
                proptest::prop_assert!(legible, "{:?}", line);
            }
        }
    }
}
