//! How SQLite carries out what is asked all the time. A `SCAN` of a table, or a search that names no rank, reads more the
//! more is open: the bot is slowest in the night in which everything fails.

use sqlx::Row;

use super::*;
use crate::journal::queries;

async fn plans(queries: &[(&str, &'static str)]) -> String {
    let (_folder, journal) = fresh().await;
    let mut text = String::new();
    for (name, query) in queries {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"));
        let steps = sqlx::query(explain).fetch_all(&journal.readers).await.unwrap();
        text += name;
        text.push('\n');
        for step in steps {
            text += "  ";
            text += step.get::<&str, _>("detail");
            text.push('\n');
        }
    }
    text
}

#[tokio::test]
async fn what_is_asked_with_every_transaction_goes_by_an_index_and_never_over_what_is_planned_for_later() {
    let asked = [
        ("an alert is repeated", queries::SEEN),
        ("an incident moves on", queries::UPDATE_INCIDENT),
        ("an edit is replaced", queries::REPLACE_IN_SLOT),
        ("the newest edit takes over", queries::TAKE_OVER),
        ("older edits give way", queries::GIVE_WAY),
        ("claims that ran out", queries::RUN_OUT),
        ("ranks with something due", queries::DUE_RANKS),
        ("a claim", queries::CLAIM),
        ("when something is due next", queries::NEXT_DUE),
        ("incidents of keys", queries::NEWEST_OF),
        ("names of keys", queries::NAMES_OF),
        ("incidents of a group", queries::IN_GROUP),
        ("names of a group", queries::NAMES_IN_GROUP),
    ];
    insta::assert_snapshot!(plans(&asked).await, @"");
}

#[tokio::test]
async fn looks_at_the_whole_read_only_what_they_return() {
    let asked = [
        ("open incidents", queries::LIVE),
        ("the newest incidents", queries::NEWEST),
        ("incidents of a storm", queries::QUIET),
        ("how many", queries::QUIET_COUNT),
        ("openings of the last minute", queries::OPENINGS),
        ("what waits", queries::BACKLOG),
        ("what is late", queries::OVERDUE),
        ("what was done long ago", queries::DONE_LONG_AGO),
        ("old evidence", queries::OLD_EVIDENCE),
        ("old answers", queries::OLD_ANSWERS),
    ];
    insta::assert_snapshot!(plans(&asked).await, @"");
}
