//! Files that only their owner may read, whatever the umask: what the bot keeps tells of people, services and logs.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// The bits of a mode that say what may be done with a file.
const MODE: u32 = 0o7777;
/// The rights of everybody but the owner.
const OF_OTHERS: u32 = 0o077;
/// The rights that the owner needs.
const OF_OWNER: u32 = 0o600;

/// Opens a file to read and write, and makes it if it is not there. The mode that it had when others could read it is
/// returned with it; they no longer can.
pub fn open(path: &Path) -> io::Result<(File, Option<u32>)> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(OF_OWNER).open(path)?;
    let (had, wanted) = modes(&file.metadata()?);
    if had != wanted {
        file.set_permissions(Permissions::from_mode(wanted))?;
    }
    Ok((file, readable_by_others(had)))
}

/// The same for a file that may be another user's: a volume whose files belong to a group lets us write them, and not
/// change their mode. A warning says so.
pub fn open_anybodys(path: &Path) -> io::Result<(File, Option<u32>)> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(OF_OWNER).open(path)?;
    let (had, wanted) = modes(&file.metadata()?);
    if had == wanted {
        return Ok((file, None));
    }
    let narrowed = file.set_permissions(Permissions::from_mode(wanted));
    Ok((file, narrowed_or_warned(path, had, narrowed)?))
}

/// The mode that a file had when others could read it; `None` also where it still has it, since it is not ours to change.
fn narrowed_or_warned(path: &Path, had: u32, narrowed: io::Result<()>) -> io::Result<Option<u32>> {
    match narrowed {
        Ok(()) => Ok(readable_by_others(had)),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            tracing::warn!(path = %path.display(), %error, "others may be able to read this file: it belongs to another user");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Takes the rights of others away from a file that is there, without opening it; the mode that it had, if it had any.
pub fn narrow(path: &Path) -> io::Result<Option<u32>> {
    let (had, wanted) = match fs::metadata(path) {
        Ok(metadata) => modes(&metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if had != wanted {
        fs::set_permissions(path, Permissions::from_mode(wanted))?;
    }
    Ok(readable_by_others(had))
}

/// Writes a whole file in place of what it held.
pub fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    // A pipe or /dev/stdout has no contents to keep from others, and its mode is not ours.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return File::options().write(true).open(path)?.write_all(contents);
    }
    let (mut file, _) = open(path)?;
    file.set_len(0)?;
    file.write_all(contents)
}

/// Makes a folder that only its owner may enter.
pub fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// The mode that a file has, and the one that it should have.
fn modes(metadata: &Metadata) -> (u32, u32) {
    let had = metadata.permissions().mode() & MODE;
    (had, if metadata.is_file() { (had | OF_OWNER) & !OF_OTHERS } else { had })
}

fn readable_by_others(mode: u32) -> Option<u32> {
    (mode & OF_OTHERS != 0).then_some(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & MODE
    }

    #[test]
    fn evidence_that_is_saved_over_a_file_everybody_could_read_can_be_read_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new"), folder.path().join("old"));
        fs::write(&old, "something longer than the evidence").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o664)).unwrap();
        for path in [&new, &old] {
            write(path, b"evidence").unwrap();
            assert_eq!((mode(path), fs::read(path).unwrap()), (0o600, b"evidence".to_vec()));
        }
        write(Path::new("/dev/null"), b"evidence").unwrap();
        assert_eq!(mode(Path::new("/dev/null")), 0o666, "a device is left as it is");
    }

    #[test]
    fn a_file_of_another_user_that_we_may_write_is_used_as_it_is() {
        let path = Path::new("journal");
        let refused =
            |kind: io::ErrorKind| narrowed_or_warned(path, 0o660, Err(kind.into())).map_err(|error| error.kind());
        assert_eq!(refused(io::ErrorKind::PermissionDenied), Ok(None));
        assert_eq!(refused(io::ErrorKind::ReadOnlyFilesystem), Err(io::ErrorKind::ReadOnlyFilesystem));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert_eq!(open_anybodys(&path).unwrap().1, None);
        fs::set_permissions(&path, Permissions::from_mode(0o660)).unwrap();
        assert_eq!((open_anybodys(&path).unwrap().1, mode(&path)), (Some(0o660), 0o600), "our own is narrowed");
    }

    #[test]
    fn a_file_that_others_could_read_is_narrowed_and_its_old_mode_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        assert_eq!(narrow(&path).unwrap(), None);
        let (_, had) = open(&path).unwrap();
        assert_eq!((had, mode(&path)), (None, 0o600));
        for wide in [0o644, 0o660, 0o604] {
            fs::set_permissions(&path, Permissions::from_mode(wide)).unwrap();
            assert_eq!((narrow(&path).unwrap(), mode(&path)), (Some(wide), 0o600));
            fs::set_permissions(&path, Permissions::from_mode(wide)).unwrap();
            assert_eq!((open(&path).unwrap().1, mode(&path)), (Some(wide), 0o600));
        }
    }
}
