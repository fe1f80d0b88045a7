//! Symbolic links, as service slots have them: set, exchanged and removed at once.

use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

use super::PlaceOutcome;
use super::directory::{Place, check_last};
use super::file::{digest, open_file, unfinished_name};
use crate::order::Refusal;

/// What a name is now.
enum There {
    Nothing,
    Link(String),
    File,
}

/// Makes the name a link to the target.
pub(super) fn set(place: &Place, target: &Path, counter: u64) -> Result<PlaceOutcome, Refusal> {
    let text = target.to_str().unwrap_or("");
    let inside = target.components().all(|step| matches!(step, Component::Normal(_)));
    if text.is_empty() || !inside || text.contains('\0') {
        return Err(Refusal::invalid("target", "is relative, without `..`"));
    }
    let there = look(place, &place.name)?;
    match &there {
        There::Link(to) if to == text => return Ok(PlaceOutcome::Unchanged),
        There::File => return Err(Refusal::not_allowed(format!("`{}` is no symbolic link", place.name))),
        There::Nothing | There::Link(_) => {}
    }
    let failed = |error| Refusal::system(format!("set link `{}`", place.name), error);
    let unfinished = unfinished_name(counter);
    rustix::fs::symlinkat(text, &place.directory, unfinished.as_str()).map_err(failed)?;
    let set =
        rustix::fs::renameat(&place.directory, unfinished.as_str(), &place.directory, place.name.as_str());
    if let Err(error) = set {
        let _left_for_tidy = rustix::fs::unlinkat(&place.directory, unfinished.as_str(), AtFlags::empty());
        return Err(failed(error));
    }
    place.sync()?;
    Ok(if matches!(there, There::Nothing) { PlaceOutcome::Created } else { PlaceOutcome::Replaced })
}

/// Exchanges two links; `expected` is where the first must lead to before.
pub(super) fn exchange(place: &Place, with: &str, expected: &Path) -> Result<PlaceOutcome, Refusal> {
    check_last("with", with)?;
    if with == place.name {
        return Err(Refusal::invalid("with", "is the other link"));
    }
    let expected = expected.to_str().unwrap_or("");
    let (There::Link(first), There::Link(second)) = (look(place, &place.name)?, look(place, with)?) else {
        return Err(Refusal::not_allowed(format!("`{}` and `{with}` are not both links", place.name)));
    };
    if first == expected {
        if second == expected {
            return Ok(PlaceOutcome::Unchanged);
        }
        let (directory, flags) = (&place.directory, RenameFlags::EXCHANGE);
        return match rustix::fs::renameat_with(directory, place.name.as_str(), directory, with, flags) {
            Ok(()) => place.sync().map(|()| PlaceOutcome::Replaced),
            Err(Errno::INVAL | Errno::NOSYS) => Err(Refusal::Unsupported {
                what: "the file system cannot exchange two names at once".to_owned(),
            }),
            Err(error) => Err(Refusal::system(format!("exchange `{}` and `{with}`", place.name), error)),
        };
    }
    if second == expected {
        return Ok(PlaceOutcome::Unchanged);
    }
    Err(Refusal::not_allowed(format!("`{}` leads to `{first}`, not to `{expected}`", place.name)))
}

/// Takes a file or link away.
pub(super) fn remove(place: &Place, wanted: Option<&str>) -> Result<PlaceOutcome, Refusal> {
    match (look(place, &place.name)?, wanted) {
        (There::Nothing, _) => return Ok(PlaceOutcome::Unchanged),
        (There::Link(_), Some(_)) => {
            return Err(Refusal::not_allowed(format!("`{}` is a link and has no digest", place.name)));
        }
        (There::File, Some(wanted)) => {
            let failed = |error| Refusal::system(format!("read `{}`", place.name), error);
            let file = open_file(place).map_err(failed)?;
            let found = digest(&file).map_err(failed)?;
            if found != wanted {
                return Err(Refusal::not_allowed(format!("another `{}` is there: {found}", place.name)));
            }
        }
        (There::Link(_) | There::File, None) => {}
    }
    rustix::fs::unlinkat(&place.directory, place.name.as_str(), AtFlags::empty())
        .map_err(|error| Refusal::system(format!("remove `{}`", place.name), error))?;
    place.sync()?;
    Ok(PlaceOutcome::Removed)
}

fn look(place: &Place, name: &str) -> Result<There, Refusal> {
    let failed = |error| Refusal::system(format!("look at `{name}`"), error);
    let stat = match rustix::fs::statat(&place.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(There::Nothing),
        other => other.map_err(failed)?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(There::File),
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(&place.directory, name, Vec::new()).map_err(failed)?;
            Ok(There::Link(target.to_string_lossy().into_owned()))
        }
        _ => Err(Refusal::not_allowed(format!("`{name}` is neither a file nor a link"))),
    }
}
