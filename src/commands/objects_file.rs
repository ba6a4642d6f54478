//! Reads the files of objects that `pair` and `whatif` are given.

use std::{
    io::{Read, stdin},
    path::{Path, PathBuf},
};

use crate::triage::istio::{Objects, ObjectsError};

/// The largest file of objects that is read, in bytes: some thousand pods as kubectl prints them are 50 MiB.
const OBJECTS_MOST: u64 = 256 * 1024 * 1024;

/// The objects could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsFileError {
    /// The file itself.
    #[error("{path} could not be read")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// It is cut where it would be too much.
    #[error("{path} is larger than {OBJECTS_MOST} bytes: leave out kinds that Istio does not read")]
    TooLarge { path: PathBuf },
    /// What is in it.
    #[error("the objects in {path} cannot be used")]
    Objects {
        path: PathBuf,
        #[source]
        source: ObjectsError,
    },
}

/// The text of a file, or of standard input for `-`.
pub(super) fn text(path: &Path) -> Result<String, ObjectsFileError> {
    let failed = |source| ObjectsFileError::Read { path: path.to_owned(), source };
    let source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(stdin()) } else { Box::new(std::fs::File::open(path).map_err(failed)?) };
    let mut text = String::new();
    source.take(OBJECTS_MOST + 1).read_to_string(&mut text).map_err(failed)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > OBJECTS_MOST) {
        return Err(ObjectsFileError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// All objects of these files together.
pub(super) fn objects(paths: &[PathBuf]) -> Result<Objects, ObjectsFileError> {
    let mut objects = Objects::default();
    for path in paths {
        let failed = |source| ObjectsFileError::Objects { path: path.clone(), source };
        objects.apply(&text(path)?).map_err(failed)?;
    }
    Ok(objects)
}
