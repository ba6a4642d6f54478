//! What was posted and whose answer was lost: looked for before it is posted again, long after Discord forgot its nonce.

use super::{
    fake_rest::Trouble,
    outbound::{DiscordStory, call, channel, draw, id, note, root},
};
use crate::{
    chat::card::tests as night,
    engine::{PerformError, Task},
    incident::{Notice, Work},
};

fn loud() -> Work {
    Work::Post { to: channel(), notice: Notice::RuleUnseeing }
}

/// Sends it, loses the answer, restarts, and sends it again when Discord knows its nonce no more; returns how many stand there.
async fn sent_twice(work: Work, key: &str, with_card: bool, meanwhile: impl FnOnce(&DiscordStory)) -> usize {
    let night = DiscordStory::of(night::opened()).await;
    let card = if with_card { Some(root(&night.performs(night.task("card", draw())).await)) } else { None };
    let before = night.discord.messages().len();
    let task = |night: &DiscordStory, attempt| Task { attempt, root: card.clone(), ..night.task(key, work.clone()) };
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(task(&night, 5)).await;
    night.discord.forgets_nonces();
    meanwhile(&night);
    let night = night.restarted();
    let again = night.performs(task(&night, 6)).await;
    let there = night.discord.messages();
    let found = there.iter().any(|message| id(&again) == format!("{}/{}", message.channel, message.id));
    assert!(found, "{}", night.discord.transcript());
    there.len() - before
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_is_posted_once_also_when_its_nonce_is_forgotten() {
    for (key, work, with_card) in [
        ("card", draw(), false),
        ("call-1", call(), false),
        ("call-1", call(), true),
        ("note-1", note("x"), false),
        ("loud-1", loud(), true),
    ] {
        assert_eq!(sent_twice(work, key, with_card, |_| {}).await, 1, "{key}, with a card: {with_card}");
    }
}

#[tokio::test]
async fn a_post_that_went_into_the_channel_before_its_card_did_is_found_there() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(Task { attempt: 5, ..night.task("note-1", note("x")) }).await;
    night.discord.forgets_nonces();
    let card = night.performs(night.task("card", draw())).await;
    night.performs(Task { attempt: 6, root: Some(root(&card)), ..night.task("note-1", note("x")) }).await;
    assert_eq!(night.discord.messages().len(), 2, "{}", night.discord.transcript());
}

#[tokio::test]
async fn a_post_that_its_thread_refused_is_found_in_the_channel() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    let task =
        |night: &DiscordStory, attempt| Task { attempt, root: Some(root(&card)), ..night.task("note-1", note("x")) };
    night.discord.trouble("POST threads", Trouble::Refuses(50_013));
    // The thread is not known, so the first of these is a refusal of Discord's own.
    night.discord.trouble("POST messages", Trouble::Refuses(10_003));
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(task(&night, 1)).await;
    night.discord.forgets_nonces();
    night.performs(task(&night, 2)).await;
    assert_eq!(night.discord.messages().len(), 2, "{}", night.discord.transcript());
}

#[tokio::test]
async fn a_copy_that_somebodys_webhook_made_of_a_card_is_not_taken_for_the_card() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    let first = night.discord.messages().pop().unwrap();
    night.discord.hears_a_copy_of(&first);
    let night = night.restarted();
    let again = night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(id(&again), id(&card), "{}", night.discord.transcript());
}

#[tokio::test]
async fn what_may_stand_behind_more_messages_than_are_looked_through_is_not_posted_again_but_a_card_is() {
    let night = DiscordStory::of(night::opened()).await;
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(Task { attempt: 5, ..night.task("note-1", note("x")) }).await;
    night.discord.forgets_nonces();
    for _ in 0..600 {
        night.discord.hears("hello");
    }
    let before = night.discord.messages().len();
    let error = night.fails(Task { attempt: 6, ..night.task("note-1", note("x")) }).await;
    assert!(matches!(&error, PerformError::Refused { .. }), "{error:?}");
    assert_eq!(night.discord.messages().len(), before);
    let night = night.restarted();
    night.performs(Task { attempt: 2, ..night.task("card", draw()) }).await;
    assert_eq!(night.discord.messages().len(), before + 1);
}

#[tokio::test]
async fn a_card_that_was_posted_anew_just_before_a_crash_is_found() {
    let night = DiscordStory::of(night::opened()).await;
    let card = night.performs(night.task("card", draw())).await;
    night.discord.delete(&night.discord.in_channel()[0].id, false);
    let task = |night: &DiscordStory, attempt| Task { attempt, root: Some(root(&card)), ..night.task("card", draw()) };
    night.discord.trouble("POST messages", Trouble::AnswerLost);
    night.fails(task(&night, 1)).await;
    night.discord.forgets_nonces();
    let night = night.restarted();
    night.performs(task(&night, 2)).await;
    assert_eq!(night.discord.in_channel().len(), 1, "{}", night.discord.transcript());
}
