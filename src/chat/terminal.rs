//! The incident channel as a readable log on a terminal, with the clock in front of each line.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    card::{Card, Line, Span},
    wording::{self, Post},
};
use crate::{
    clock::Clock,
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    incident::{Destination, Outcome, Work},
    people::Mention,
};

/// Where lines go.
pub type Sink = Box<dyn Fn(&str) + Send + Sync>;

/// The terminal as a face of the bot. What it printed is not remembered: nothing decides by it.
pub struct Terminal {
    clock: Arc<dyn Clock>,
    sink: Sink,
    last_state: Mutex<String>,
}

impl Terminal {
    /// A terminal that prints with this clock in front.
    pub fn new(clock: Arc<dyn Clock>, sink: Sink) -> Self {
        Self { clock, sink, last_state: Mutex::new(String::new()) }
    }

    /// Prints what somebody says, or is told.
    pub fn say(&self, who: &str, text: &str) {
        let clock = clock_face(self.clock.now());
        for (place, line) in text.lines().enumerate() {
            let who = if place == 0 { format!("{who}:") } else { String::new() };
            (self.sink)(&format!("{clock}  {who:<14} {}", safe(line)));
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
                self.say("card", &state);
                *last = state;
            }
        }
        shown(to, "card", task, Outcome::Shown { to: to.clone(), first_card })
    }

    fn post(&self, post: &Post) {
        for line in &post.lines {
            self.say("mtls-medic", &plain_line(line));
        }
    }
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
        Span::Time(at) => clock_face(*at),
        Span::Person(person) => format!("@{}", person.user),
        Span::Mention(Mention::User(name) | Mention::Group(name)) => format!("@{name}"),
    }
}

/// Without control characters: what comes from outside must not move a terminal's cursor.
fn safe(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

#[async_trait]
impl Perform for Terminal {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        Ok(match &task.work {
            Work::DrawCard { to } => self.card(&task, to),
            Work::Post { to, notice } => {
                self.post(&wording::notice(notice, &task.incident));
                shown(to, &task.key, &task, Outcome::Shown { to: to.clone(), first_card: false })
            }
            Work::Mention { to, level, reason, .. } => {
                self.post(&wording::call(*level, reason, &task.incident));
                shown(to, &task.key, &task, Outcome::Mentioned { level: *level, to: to.clone() })
            }
            _ => Outcome::NoLongerWanted.into(),
        })
    }
}
