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
    insta::assert_snapshot!(plans(&asked).await, @"
    an alert is repeated
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
    an incident moves on
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
    an edit is replaced
      SEARCH effects USING INDEX effects_slot_due (incident=? AND slot=?)
    the newest edit takes over
      SEARCH newest USING COVERING INDEX effects_slot_due (incident=? AND slot>?)
      CORRELATED SCALAR SUBQUERY 6
      SEARCH other USING COVERING INDEX effects_slot_due (incident=? AND slot=? AND rowid<?)
      CORRELATED SCALAR SUBQUERY 7
      SEARCH other USING COVERING INDEX effects_slot_due (incident=? AND slot=? AND rowid>?)
      CORRELATED SCALAR SUBQUERY 2
      SEARCH other USING INDEX effects_slot_due (incident=? AND slot=?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH other USING INDEX effects_slot_due (incident=? AND slot=?)
      CORRELATED SCALAR SUBQUERY 3
      SEARCH other USING INDEX effects_slot_due (incident=? AND slot=?)
      CORRELATED SCALAR SUBQUERY 5
      SEARCH other USING INDEX effects_slot_due (incident=? AND slot=?)
      CORRELATED SCALAR SUBQUERY 4
      SEARCH other USING INDEX effects_slot_due (incident=? AND slot=?)
    older edits give way
      SEARCH effects USING COVERING INDEX effects_slot_due (incident=? AND slot>?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH other USING COVERING INDEX effects_slot_due (incident=? AND slot=? AND rowid>?)
    claims that ran out
      SEARCH effects USING COVERING INDEX effects_claimed (room=? AND claimed_until<?)
      LIST SUBQUERY 1
      SCAN json_each VIRTUAL TABLE INDEX 1:
      CREATE BLOOM FILTER
    ranks with something due
      SCAN rank VIRTUAL TABLE INDEX 1:
      SEARCH effects EXISTS USING COVERING INDEX effects_to_do (room=? AND priority=? AND due<?)
    a claim
      SEARCH effects USING INTEGER PRIMARY KEY (rowid=?)
      LIST SUBQUERY 5
      SEARCH e USING INDEX effects_to_do (room=? AND priority=? AND due<?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH other USING COVERING INDEX effects_slot_claimed (incident=? AND slot=?)
      CORRELATED SCALAR SUBQUERY 2
      SEARCH other USING COVERING INDEX effects_slot_due (incident=? AND slot=? AND rowid>?)
      CORRELATED SCALAR SUBQUERY 3
      SEARCH before USING INDEX effects_in_sequence (incident=? AND sequence=? AND priority=? AND rowid<?)
      CORRELATED SCALAR SUBQUERY 4
      SEARCH page USING INDEX effects_in_sequence (incident=? AND sequence=? AND priority=?)
      CREATE BLOOM FILTER
    when something is due next
      CO-ROUTINE (subquery-3)
      COMPOUND QUERY
      LEFT-MOST SUBQUERY
      SCAN rank VIRTUAL TABLE INDEX 1:
      CORRELATED SCALAR SUBQUERY 1
      SEARCH effects USING COVERING INDEX effects_to_do (room=? AND priority=? AND due>?)
      UNION ALL
      SEARCH effects USING COVERING INDEX effects_claimed (room=? AND claimed_until>?)
      SEARCH (subquery-3)
    incidents of keys
      SCAN wanted VIRTUAL TABLE INDEX 1:
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH other USING COVERING INDEX incidents_by_key (key=?)
    names of keys
      SCAN wanted VIRTUAL TABLE INDEX 1:
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH other USING COVERING INDEX incidents_by_key (key=?)
    incidents of a group
      SEARCH groups USING PRIMARY KEY (group_key=?)
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
    names of a group
      SEARCH groups USING PRIMARY KEY (group_key=?)
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
    ");
}

#[tokio::test]
async fn looks_at_the_whole_read_only_what_they_return() {
    let asked = [
        ("open incidents", queries::LIVE),
        ("the newest incidents", queries::NEWEST),
        ("incidents of a storm", queries::QUIET),
        ("how many", queries::QUIET_COUNT),
        ("what opened just before a storm", queries::OPENED_ALOUD),
        ("openings of the last minute", queries::OPENINGS),
        ("what waits", queries::BACKLOG),
        ("what is late", queries::OVERDUE),
        ("what was done long ago", queries::DONE_LONG_AGO),
        ("groups of long ago", queries::GROUPS_LONG_AGO),
        ("what a set clock is told to", queries::ASKED_ABOUT),
        ("old evidence", queries::OLD_EVIDENCE),
        ("old answers", queries::OLD_ANSWERS),
    ];
    insta::assert_snapshot!(plans(&asked).await, @"
    open incidents
      SCAN incidents USING INDEX incidents_live
    the newest incidents
      SCAN incidents
    incidents of a storm
      SCAN incidents USING INDEX incidents_quiet
    how many
      SCAN incidents USING COVERING INDEX incidents_quiet
    what opened just before a storm
      SEARCH incidents USING INDEX incidents_aloud (opened_at>?)
    openings of the last minute
      SEARCH incidents USING COVERING INDEX incidents_by_opened (opened_at>?)
    what waits
      SEARCH effects USING INDEX effects_by_wanted (wanted_at<?)
      USE TEMP B-TREE FOR GROUP BY
    what is late
      SEARCH e USING INDEX effects_by_wanted (wanted_at<?)
      CORRELATED SCALAR SUBQUERY 1
      SEARCH told USING INDEX sqlite_autoindex_effects_1 (incident=?)
      USE TEMP B-TREE FOR ORDER BY
    what was done long ago
      SEARCH incidents USING COVERING INDEX incidents_closed (last_event_at<?)
      SEARCH effects USING INDEX sqlite_autoindex_effects_1 (incident=?)
    groups of long ago
      SEARCH incidents USING COVERING INDEX incidents_closed (last_event_at<?)
      SEARCH groups USING COVERING INDEX groups_by_incident (incident=?)
    what a set clock is told to
      COMPOUND QUERY
      LEFT-MOST SUBQUERY
      SCAN incidents USING INDEX incidents_live
      UNION ALL
      SEARCH incidents USING COVERING INDEX incidents_closed (last_event_at>?)
    old evidence
      SEARCH evidence USING PRIMARY KEY (digest=?)
      LIST SUBQUERY 1
      SEARCH evidence USING COVERING INDEX evidence_by_at (at<?)
      SEARCH incidents USING INTEGER PRIMARY KEY (rowid=?)
      CREATE BLOOM FILTER
    old answers
      SEARCH requests USING PRIMARY KEY (key=?)
      LIST SUBQUERY 1
      SEARCH requests USING COVERING INDEX requests_by_at (at<?)
      CREATE BLOOM FILTER
    ");
}
