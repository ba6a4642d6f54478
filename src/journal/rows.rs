//! Many rows in few statements: each statement costs a way to SQLite's thread and back, which is more than its row.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, query_builder::Separated};

/// How many rows one statement writes. Prepared statements are kept by their text, so there are few sizes of them: this
/// one, and those up to [`REST`].
const TOGETHER: usize = 64;
/// What is left over is written by so many rows.
const REST: usize = 8;

/// Writes `rows` in order. `insert` is the statement up to `VALUES`; `bind` binds the columns of one row.
pub(super) async fn insert<R>(
    db: &mut SqliteConnection,
    insert: &'static str,
    rows: &[R],
    bind: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &R),
) -> Result<(), sqlx::Error> {
    insert_or(db, insert, "", rows, bind).await
}

/// The same, with what is done about a row that exists already, in the statement's end.
pub(super) async fn insert_or<R>(
    db: &mut SqliteConnection,
    insert: &'static str,
    on_conflict: &'static str,
    rows: &[R],
    mut bind: impl FnMut(&mut Separated<'_, Sqlite, &'static str>, &R),
) -> Result<(), sqlx::Error> {
    let (together, rest) = rows.as_chunks::<TOGETHER>();
    for chunk in together.iter().map(<[R; TOGETHER]>::as_slice).chain(rest.chunks(REST)) {
        let mut builder = QueryBuilder::new(insert);
        builder.push_values(chunk, |mut row, one| bind(&mut row, one));
        builder.push(on_conflict);
        builder.build().execute(&mut *db).await?;
    }
    Ok(())
}
