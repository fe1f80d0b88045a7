//! Makes components in production writable for emergency service, and closes them again.
//!
//! The parts of a level are hard links to objects that other levels share. Whoever changes a part in place would
//! change the object, and with it the way back. So before a component is given to people, each of its parts becomes
//! a file of its own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use tender_package::{ComponentName, LevelRef};

use crate::home::{Home, HomeError, remove_file};

/// Makes every part a file of its own that its owner may write, and every directory one its owner may change.
pub(crate) fn open_up(home: &Home, level: &LevelRef, components: &[ComponentName]) -> Result<(), HomeError> {
    let aside = home.root().join("tmp/opening");
    each(home, level, components, &mut |path, metadata| {
        if metadata.is_file() && metadata.nlink() > 1 {
            // Another name for the bytes first: a kill leaves the old part or the new one.
            remove_file(&aside)?;
            fs::copy(path, &aside).map_err(HomeError::io("copy", path))?;
            set_mode(&aside, metadata.mode() | 0o200)?;
            fs::rename(&aside, path).map_err(HomeError::io("replace", path))
        } else {
            set_mode(path, metadata.mode() | 0o200)
        }
    })
}

/// Takes the permission to write away.
pub(crate) fn seal(home: &Home, level: &LevelRef, components: &[ComponentName]) -> Result<(), HomeError> {
    each(home, level, components, &mut |path, metadata| set_mode(path, metadata.mode() & !0o222))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), HomeError> {
    fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))
        .map_err(HomeError::io("set the mode of", path))
}

/// Does something with every file and directory, each directory before what is in it; links are left alone.
fn each(
    home: &Home,
    level: &LevelRef,
    components: &[ComponentName],
    act: &mut dyn FnMut(&Path, &fs::Metadata) -> Result<(), HomeError>,
) -> Result<(), HomeError> {
    let dir = home.level_dir(level);
    let mut work: Vec<_> = components.iter().map(|name| dir.join(name.as_str())).collect();
    while let Some(path) = work.pop() {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(HomeError::io("look at", &path)(error)),
        };
        if !(metadata.is_file() || metadata.is_dir()) {
            continue;
        }
        act(&path, &metadata)?;
        if metadata.is_dir() {
            for entry in fs::read_dir(&path).map_err(HomeError::io("list", &path))? {
                work.push(entry.map_err(HomeError::io("list", &path))?.path());
            }
        }
    }
    Ok(())
}
