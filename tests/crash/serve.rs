//! The real `serve`, killed at the moments that people see, and started again on the same journal.

use crate::mesh::Mesh;

#[tokio::test(flavor = "multi_thread")]
async fn a_night_in_which_serve_is_killed_six_times_is_one_incident_with_one_card_and_every_pod_evicted_once() {
    let (mesh, outside) = Mesh::and_outside().await;
    let sick = mesh.alive();

    let bot = outside.starts().await;
    outside.alertmanager_sends("firing-one-service.json").await;
    bot.killed(); // after the 2xx

    let bot = outside.starts().await;
    outside.slack.until("the card", |slack| slack.messages().iter().any(crate::fake_slack::Message::is_card)).await;
    bot.killed(); // after the card

    let bot = outside.starts().await;
    outside.channel_shows("expired certificate").await;
    let opened = outside.incidents().await;
    outside.pager.until("the page", |call| call["action"] == "trigger").await;
    outside.says("U0ONCALL", "fix restart-pod").await;
    outside.channel_shows("Approval wanted").await;
    outside.slack.until("the button", |slack| slack.with_button("Approve").is_some()).await;
    let old_button = outside.slack.pressed("U0SEC", "Approve");
    bot.killed(); // while the plan waits

    let bot = outside.starts().await;
    outside.presses(&old_button).await;
    outside.channel_shows("starts, approved by").await;
    bot.killed(); // after the approval

    let bot = outside.starts().await;
    mesh.evicted_one_of(&sick).await;
    bot.killed(); // after the mesh has seen the eviction

    let bot = outside.starts().await;
    let replaced = |slack: &crate::fake_slack::FakeSlack| slack.transcript().matches("was replaced by").count();
    outside.slack.until("every pod is replaced", |slack| replaced(slack) == sick.len()).await;
    bot.killed(); // while it verifies

    let bot = outside.starts().await;
    outside.channel_shows("worked").await;
    assert!(mesh.alive().is_disjoint(&sick), "every pod of the plan was replaced");
    assert_eq!(mesh.ever_lived(), 2 * sick.len(), "and none of the new ones was evicted");
    outside.alertmanager_sends("resolved-one-service.json").await;
    outside.channel_shows("Closed").await;

    let incidents = outside.incidents().await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0]["id"], opened[0]["id"]);
    assert_eq!(incidents[0]["opened_at"], opened[0]["opened_at"]);
    assert_eq!(outside.cards(), 1, "{}", outside.slack.transcript());
    // A kill between the pager's answer and our commit doubles a page, with the same key; none is lost.
    let mut pages = outside.pager.rung();
    pages.dedup();
    assert_eq!(pages.len(), 1, "L1 was paged once: {pages:?}");
    assert!(outside.slack.transcript().contains("is mentioned"));
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_that_is_killed_at_the_approval_runs_the_fix_once_whether_the_answer_was_stored_or_not() {
    let (mesh, outside) = Mesh::and_outside().await;
    let sick = mesh.alive();
    let bot = outside.starts().await;
    outside.alertmanager_sends("firing-one-service.json").await;
    outside.channel_shows("expired certificate").await;
    outside.says("U0ONCALL", "fix restart-pod").await;
    outside.slack.until("the button", |slack| slack.with_button("Approve").is_some()).await;
    let button = outside.slack.pressed("U0SEC", "Approve");
    outside.presses(&button).await;
    bot.killed(); // Slack is answered before the work, so this press may be lost

    let bot = outside.starts().await;
    outside.presses(&button).await; // the same press, sent again
    outside.channel_shows("worked").await;
    assert!(mesh.alive().is_disjoint(&sick));
    assert_eq!(mesh.ever_lived(), 2 * sick.len());
    assert_eq!(outside.slack.transcript().matches("starts, approved by").count(), 1);
    bot.killed();
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_stops_within_ten_seconds_of_sigterm_and_loses_nothing() {
    let (mesh, outside) = Mesh::and_outside().await;
    let sick = mesh.alive();
    let bot = outside.starts().await;
    outside.alertmanager_sends("firing-one-service.json").await;
    assert_eq!(bot.asked_to_stop().await.code(), Some(0), "while it diagnoses");

    let bot = outside.starts().await;
    outside.channel_shows("expired certificate").await;
    outside.channel_shows("is mentioned").await;
    outside.pager.until("the page", |call| call["action"] == "trigger").await;
    outside.says("U0ONCALL", "fix restart-pod").await;
    outside.channel_shows("Approval wanted").await;
    outside.says("U0SEC", "approve").await;
    mesh.evicted_one_of(&sick).await;
    assert_eq!(bot.asked_to_stop().await.code(), Some(0), "in the middle of a fix");

    let bot = outside.starts().await;
    outside.channel_shows("worked").await;
    assert_eq!(mesh.ever_lived(), 2 * sick.len());
    assert_eq!((outside.incidents().await.len(), outside.cards(), outside.pager.rung().len()), (1, 1, 1));
    assert_eq!(bot.asked_to_stop().await.code(), Some(0), "with nothing to do");
    mesh.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_wakes_people_with_the_cause_and_ends_the_page_of_a_pager_that_said_it_failed() {
    let (mesh, outside) = Mesh::and_outside().await;
    outside.pager.fails(true);
    let bot = outside.starts().await;
    outside.alertmanager_sends("firing-one-service.json").await;
    let page = outside.pager.until("the page", |call| call["action"] == "trigger").await;
    assert_eq!(page["diagnosis"]["scenario"], "expired-certificate", "{page:#}");
    assert!(page["card"].as_str().is_some_and(|link| link.starts_with("https://fake.slack.com/archives/")), "{page:#}");

    outside.says("U0ONCALL", "ack").await;
    outside.pager.fails(false);
    let end = outside.pager.until("its end", |call| call["action"] == "acknowledge").await;
    assert_eq!(end["key"], page["key"]);
    bot.killed();
    mesh.ends().await;
}
