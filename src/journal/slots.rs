//! Edits of one message: the newest state wins, and inherits what is known of the attempts before it.

use sqlx::SqliteConnection;

use super::queries;

/// Leaves of the due effects of each slot of an incident the newest only. It takes over how often the message was
/// attempted (so that one whose answer was lost is looked for and not posted twice), how long the other side asked us to
/// wait, and since when the message is owed. A timer is not owed before its own time, so it keeps that; what is told to a
/// pager has a key that makes a repeat harmless, so it begins afresh.
pub(super) async fn merge(db: &mut SqliteConnection, incident: i64) -> Result<(), sqlx::Error> {
    sqlx::query(queries::TAKE_OVER).bind(incident).execute(&mut *db).await?;
    sqlx::query(queries::GIVE_WAY).bind(incident).execute(db).await?;
    Ok(())
}

/// The same for every incident.
pub(super) async fn merge_all(db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let doubled: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT incident FROM effects AS newest WHERE state = 'due' AND slot IS NOT NULL \
             AND EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due' AND other.id < newest.id)",
    )
    .fetch_all(&mut *db)
    .await?;
    merge_each(db, doubled).await
}

/// The same for these incidents.
pub(super) async fn merge_each(db: &mut SqliteConnection, mut incidents: Vec<i64>) -> Result<(), sqlx::Error> {
    incidents.sort_unstable();
    incidents.dedup();
    for incident in incidents {
        merge(db, incident).await?;
    }
    Ok(())
}
