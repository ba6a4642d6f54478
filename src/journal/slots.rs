//! Edits of one message: the newest state wins, and inherits what is known of the attempts before it.

use sqlx::SqliteConnection;

/// Leaves of the due effects of each slot the newest only. It takes over how often the message was attempted (so that
/// one whose answer was lost is looked for and not posted twice), how long the other side asked us to wait, and since
/// when the message is owed. A timer is not owed before its own time, so it keeps that.
pub(super) async fn merge(db: &mut SqliteConnection, incident: Option<i64>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE effects AS newest SET \
             attempts = (SELECT max(attempts) FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due'), \
             due = max(newest.due, coalesce((SELECT max(due) FROM effects AS other \
                 WHERE other.incident = newest.incident AND other.slot = newest.slot AND other.state = 'due' \
                 AND other.last_error IS NOT NULL), newest.due)), \
             last_error = coalesce((SELECT last_error FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due' AND other.last_error IS NOT NULL \
                 ORDER BY other.id DESC LIMIT 1), newest.last_error), \
             noticed = (SELECT max(noticed) FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due'), \
             wanted_at = CASE WHEN newest.room = 'engine' THEN newest.wanted_at \
                 ELSE (SELECT min(wanted_at) FROM effects AS other WHERE other.incident = newest.incident \
                     AND other.slot = newest.slot AND other.state = 'due') END \
         WHERE state = 'due' AND slot IS NOT NULL AND (?1 IS NULL OR incident = ?1) \
             AND EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due' AND other.id < newest.id) \
             AND NOT EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = newest.incident \
                 AND other.slot = newest.slot AND other.state = 'due' AND other.id > newest.id)",
    )
    .bind(incident)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "DELETE FROM effects WHERE state = 'due' AND slot IS NOT NULL AND (?1 IS NULL OR incident = ?1) \
         AND EXISTS (SELECT 1 FROM effects AS other WHERE other.incident = effects.incident \
             AND other.slot = effects.slot AND other.state = 'due' AND other.id > effects.id)",
    )
    .bind(incident)
    .execute(db)
    .await?;
    Ok(())
}
