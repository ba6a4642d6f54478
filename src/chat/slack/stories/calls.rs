//! A person who is mentioned finds the card, and the cause as soon as the bot knows it.

use super::{
    SlackStory, channel,
    fake_slack::{CHANNEL, Trouble},
    night,
    outbound::{call, draw, id},
    root,
};
use crate::{
    engine::{Done, Task},
    escalation::LevelNumber,
    incident::{Outcome, WebAddress, Work},
};

/// The address under which Slack shows a message.
pub(super) fn link_of(night: &SlackStory, done: &Done) -> Option<WebAddress> {
    let id = id(done);
    assert!(night.slack.messages().iter().any(|message| message.ts == id));
    WebAddress::parse(&format!("https://fake.slack.com/archives/{CHANNEL}/p{}", id.replace('.', "")))
}

#[tokio::test]
async fn a_card_whose_link_slack_does_not_give_is_posted_all_the_same() {
    let night = SlackStory::of(night::opened()).await;
    night.slack.trouble("chat.getPermalink", Trouble::Down);
    let first = night.performs(night.task("card", draw())).await;
    assert_eq!(first.outcome, Outcome::CardPosted { to: channel(), link: None });
}

#[tokio::test]
async fn a_mention_that_could_not_wait_is_written_anew_with_the_cause_and_mentions_nobody_again() {
    let mut incident = night::opened();
    for alert in incident.alerts.values_mut() {
        alert.sighting.generator_url = WebAddress::parse("http://prometheus.example/graph?g0.expr=up");
    }
    let night = SlackStory::of(incident).await;
    let card = night.performs(night.task("card", draw())).await;
    let sent = night.performs(Task { root: root(&id(&card)), ..night.task("call-1", call()) }).await;
    let Outcome::Mentioned { unexplained: Some(post), .. } = sent.outcome.clone() else { panic!("{:?}", sent.outcome) };
    let before = night.slack.messages()[1].clone();
    assert!(
        before.seen().contains("The diagnosis is still running; this message will say the cause."),
        "{}",
        before.seen()
    );

    let mut incident = night::diagnosed();
    incident.alerts = night.incident().alerts.clone();
    incident.calls.card = link_of(&night, &card);
    let work = Work::UpdateMention { to: channel(), level: LevelNumber(1), post };
    let task = Task { root: root(&id(&sent)), incident: incident.into(), ..night.task("update-1", work) };
    let done = night.performs(task).await;
    assert_eq!(done.outcome, Outcome::CallCompleted);
    let messages = night.slack.messages();
    assert_eq!((messages.len(), &messages[1].ts), (2, &before.ts), "an edit, and no other message");
    let seen = messages[1].seen().replace(&id(&card).replace('.', ""), "TS");
    insta::assert_snapshot!(seen, @r"
    <!subteam^S0ONCALL> *L1 Platform On-Call* is mentioned: a new incident.
    *INC-7* MTLSHandshakeFailureRateHigh on `web svc/frontend`. Diagnosis: expired certificate.
    Acknowledge by <!date^1772334900^{date_short_pretty} {time}|2026-03-01 03:15:00 UTC>, or L2 Platform Security is called. Acknowledging stops the clock: `/mtls ack INC-7`
    [Acknowledge]
    ~ <https://fake.slack.com/archives/C0NIGHT/pTS|Card> · <http://prometheus.example/graph?g0.expr=up|Graph>
    ");
}
