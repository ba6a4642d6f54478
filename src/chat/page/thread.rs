//! What the page shows of each incident: its card and its thread.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    chat::{
        card::{Button, COMMAND, Card, Line, Span, Style},
        posts::{self, Post},
    },
    clock::Clock,
    engine::{Delivery, Done, MessageRef, Perform, PerformError, Task},
    incident::{Destination, IncidentId, Outcome, Work},
    legible,
    people::Mention,
};

/// How many incidents and how many posts of each are kept.
const INCIDENTS_MOST: usize = 20;
const POSTS_MOST: usize = 200;

#[derive(Default)]
struct Thread {
    card: Value,
    posts: Vec<(String, Value)>,
}

/// The page as a face of the bot.
pub struct DemoChannel {
    clock: Arc<dyn Clock>,
    threads: Mutex<BTreeMap<IncidentId, Thread>>,
}

impl DemoChannel {
    /// An empty page.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, threads: Mutex::default() }
    }

    /// The clock of the demo.
    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// The time that it shows.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Everything on it, newest incident first.
    pub fn shown(&self) -> Vec<Value> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads
            .values()
            .rev()
            .map(|thread| {
                let posts: Vec<&Value> = thread.posts.iter().map(|(_, post)| post).collect();
                legible::document(json!({"card": thread.card, "posts": posts}))
            })
            .collect()
    }

    /// Shows what somebody typed, so that the thread reads like a conversation.
    pub fn said(&self, incident: IncidentId, who: &str, what: &str) {
        let post = json!({"at": self.now(), "who": who, "lines": [[{"text": what}]], "buttons": []});
        self.add(incident, format!("said:{}", self.now()), post);
    }

    /// Draws the card of a task as it can be used now.
    fn draw_for(&self, task: &Task) {
        let card = Card::of(&task.incident).with_progress(task.progress.looked().as_ref());
        self.draw(&if task.writes_enabled { card } else { card.with_writes_off() });
    }

    fn add(&self, incident: IncidentId, key: String, post: Value) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = threads.entry(incident).or_default();
        // A repeat after a crash or a lost claim is recognised by its key.
        if thread.posts.iter().any(|(known, _)| *known == key) {
            return;
        }
        thread.posts.push((key, post));
        let surplus = thread.posts.len().saturating_sub(POSTS_MOST);
        thread.posts.drain(..surplus);
        while threads.len() > INCIDENTS_MOST {
            threads.pop_first();
        }
    }

    fn draw(&self, card: &Card) {
        let sections: Vec<Value> = card
            .sections
            .iter()
            .map(|section| json!({"heading": section.part.heading(), "lines": lines(&section.lines)}))
            .collect();
        let drawn = json!({
            "incident": card.incident.to_string(), "title": card.title, "state": card.state.word(),
            "colour": card.state.colour(), "headline": line(&card.headline), "sections": sections,
            "buttons": card.buttons.iter().map(button).collect::<Vec<_>>(),
        });
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.entry(card.incident).or_default().card = drawn;
        while threads.len() > INCIDENTS_MOST {
            threads.pop_first();
        }
    }

    fn post(&self, task: &Task, post: Post) {
        let post = if task.writes_enabled { post } else { post.with_writes_off() };
        let approvers = post.to_approvers.then(|| "@approvers".to_owned());
        let called: Vec<String> = post.mentions.iter().map(mention).chain(approvers).collect();
        let view = json!({
            "at": self.now(), "who": "mtls-medic", "lines": lines(&post.lines),
            "raw": post.raw.as_ref().map(|raw| json!({"title": raw.title, "text": raw.text})),
            "mentions": called,
            "links": post.links.iter().map(|link| json!({"label": link.label, "url": link.url})).collect::<Vec<_>>(),
            // The card has the newest buttons; a thread keeps none that would grow old.
            "buttons": [],
        });
        self.add(task.incident.id, task.key.clone(), view);
    }
}

fn mention(one: &Mention) -> String {
    format!("@{}", one.id())
}

pub(super) fn lines(all: &[Line]) -> Vec<Value> {
    all.iter().map(|one| line(one)).collect()
}

fn line(spans: &[Span]) -> Value {
    spans
        .iter()
        .map(|span| match span {
            Span::Text(text) => json!({"text": text}),
            Span::Strong(text) => json!({"strong": text}),
            Span::Code(text) => json!({"code": text}),
            Span::Command(words) => json!({"code": format!("{COMMAND} {words}")}),
            Span::Time(at) => json!({"time": at}),
            Span::Person(person) => json!({"mention": format!("@{}", person.user)}),
            Span::Mention(one) => json!({"mention": mention(one)}),
        })
        .collect()
}

fn button(button: &Button) -> Value {
    let style = match button.style {
        Style::Primary => "primary",
        Style::Danger => "danger",
        Style::Plain => "plain",
    };
    let confirm = button.confirm.as_ref().map(|confirm| format!("{}\n\n{}", confirm.title, confirm.text));
    json!({"label": button.label, "style": style, "press": button.press, "confirm": confirm})
}

fn shown(to: &Destination, slot: &str, task: &Task, outcome: Outcome) -> Done {
    let message = MessageRef { id: format!("{}:{slot}", task.incident.id), version: task.incident.version };
    Done { outcome, delivery: Some(Delivery { to: to.clone(), slot: slot.to_owned(), message }), evidence: None }
}

#[async_trait]
impl Perform for DemoChannel {
    async fn perform(&self, task: Task) -> Result<Done, PerformError> {
        Ok(match &task.work {
            Work::DrawCard { to } => {
                self.draw_for(&task);
                let first_card = task.root.is_none();
                shown(to, "card", &task, Outcome::Shown { to: to.clone(), first_card })
            }
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
