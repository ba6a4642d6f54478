//! Texts full of braces and brackets: a text is a text, whatever it is full of.

use super::{
    fake_rest::Trouble,
    outbound::{DiscordStory, call, draw, id, root},
};
use crate::{
    bounds::{DISCORD_ANSWER_WEIGHT, DISCORD_WEIGHT, OBJECT, weigh},
    chat::card::tests as night,
    engine::Task,
    incident::{Fingerprint, Incident},
};

/// An incident whose alerts came from somebody who means harm.
fn of_braces() -> Incident {
    let mut incident = night::opened();
    let mut alert = incident.alerts.values().next().unwrap().clone();
    for number in 0..8 {
        alert.sighting.summary = Some(format!("{number}{}", "{".repeat(199)));
        incident.alerts.insert(Fingerprint(format!("braces-{number}")), alert.clone());
    }
    incident
}

#[tokio::test]
async fn a_member_who_writes_braces_keeps_nothing_from_being_found() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(night.task("card", draw())).await;
    night.discord.forgets_nonces();
    let braces = "{".repeat(1_500);
    assert!(braces.len() * OBJECT > DISCORD_ANSWER_WEIGHT, "they weigh nothing in any case");
    night.discord.hears(&braces);
    let night = night.restarted();
    let card = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(night.discord.messages().len(), 2, "{}", night.discord.transcript());
    assert!(id(&card).ends_with(&night.discord.messages()[0].id));
}

#[tokio::test]
async fn a_message_that_is_too_much_to_be_read_is_passed_over() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(night.task("card", draw())).await;
    night.discord.forgets_nonces();
    night.discord.hears_parts(2_000);
    let night = night.restarted();
    night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(night.discord.messages().len(), 2, "{}", night.discord.transcript());
}

#[tokio::test]
async fn a_card_of_alerts_full_of_braces_is_known_as_posted_and_edited_in_place() {
    let night = DiscordStory::of(of_braces()).await;
    let card = night.performs(night.task("card", draw())).await;
    assert!(night.discord.messages()[0].seen().matches('{').count() * OBJECT > DISCORD_WEIGHT);
    night.performs(Task { root: Some(root(&card)), ..night.task("card", draw()) }).await;
    night.performs(Task { root: Some(root(&card)), ..night.task("call-1", call()) }).await;
    assert_eq!(night.discord.in_channel().len(), 2, "{}", night.discord.transcript());
}

#[tokio::test]
async fn the_buttons_of_such_a_card_work() {
    let night = DiscordStory::of(of_braces()).await;
    night.performs(night.task("card", draw())).await;
    let (message, _) = night.discord.with_button("Acknowledge").unwrap();
    let weight = weigh(message.to_string().as_bytes());
    assert!(weight < DISCORD_WEIGHT / 2, "a press that brings it is dropped without a word: it weighs {weight}");
}
