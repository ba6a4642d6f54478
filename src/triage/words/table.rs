//! How a table is read.

use super::{PointsTo, Words};

/// What stands for the parts of a line that differ.
const DIFFERS: char = '…';

/// The rows behind the first line. A test reads every table, so that a row of another shape does not get here.
pub(super) fn read(table: &'static str) -> Vec<Words> {
    table.lines().skip(1).filter_map(row).collect()
}

/// `words level where versions meaning cause not`, each behind a tab.
fn row(line: &'static str) -> Option<Words> {
    let mut columns = line.split('\t');
    let words = columns.next()?;
    let meaning = columns.nth(3)?;
    let points_to = PointsTo::parse(columns.next()?)?;
    let parts: Vec<&'static str> = words.split(DIFFERS).map(str::trim).filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then_some(Words { parts, meaning, points_to })
}
