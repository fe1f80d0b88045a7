//! Linux users and groups, as the name service of this machine knows them.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

/// A group of Linux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinuxGroup {
    /// Its number.
    pub gid: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// A user of Linux with its groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinuxIdentity {
    /// Its number.
    pub uid: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its groups.
    pub groups: Vec<LinuxGroup>,
}

/// Says that the name service did not answer.
#[derive(Debug, thiserror::Error)]
pub enum LinuxError {
    /// About a user.
    #[error("look up user {uid}")]
    User {
        /// Which.
        uid: u32,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// About a user by name.
    #[error("look up user `{name}`")]
    UserName {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// About a group.
    #[error("look up group {gid}")]
    Group {
        /// Which.
        gid: u32,
        /// Why.
        #[source]
        source: nix::Error,
    },
    /// About the groups of a user.
    #[error("list the groups of user `{name}`")]
    Groups {
        /// Whose.
        name: String,
        /// Why.
        #[source]
        source: nix::Error,
    },
}

impl LinuxIdentity {
    /// Looks up a user by number, and the groups that it would have after logging in.
    ///
    /// A number without a name is an identity without a name and without groups.
    pub fn of_uid(uid: u32) -> Result<Self, LinuxError> {
        let found = User::from_uid(Uid::from_raw(uid)).map_err(|source| LinuxError::User { uid, source })?;
        match found {
            Some(user) => Self::of_user(user),
            None => Ok(Self { uid, name: None, groups: Vec::new() }),
        }
    }

    /// Looks up a user by name; `None` when there is none.
    pub fn of_name(name: &str) -> Result<Option<Self>, LinuxError> {
        let failed = |source| LinuxError::UserName { name: name.to_owned(), source };
        User::from_name(name).map_err(failed)?.map(Self::of_user).transpose()
    }

    /// Looks up the names of what the kernel says a process is: its user and all of its groups.
    ///
    /// The groups are those of the process, which may be fewer or others than those of the user.
    pub fn of_process(uid: u32, gids: &[u32]) -> Result<Self, LinuxError> {
        let found = User::from_uid(Uid::from_raw(uid)).map_err(|source| LinuxError::User { uid, source })?;
        let groups = gids.iter().map(|gid| group(*gid)).collect::<Result<_, _>>()?;
        Ok(Self { uid, name: found.map(|user| user.name), groups })
    }

    fn of_user(user: User) -> Result<Self, LinuxError> {
        let failed = |source| LinuxError::Groups { name: user.name.clone(), source };
        let name = CString::new(user.name.clone()).map_err(|_| failed(nix::Error::EINVAL))?;
        let gids = getgrouplist(&name, user.gid).map_err(failed)?;
        let groups = gids.into_iter().map(|gid| group(gid.as_raw())).collect::<Result<_, _>>()?;
        Ok(Self { uid: user.uid.as_raw(), name: Some(user.name), groups })
    }
}

fn group(gid: u32) -> Result<LinuxGroup, LinuxError> {
    let found = Group::from_gid(Gid::from_raw(gid)).map_err(|source| LinuxError::Group { gid, source })?;
    Ok(LinuxGroup { gid, name: found.map(|group| group.name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_its_name_and_its_group() {
        let root = LinuxIdentity::of_uid(0).unwrap();
        assert_eq!(root.name.as_deref(), Some("root"));
        assert!(root.groups.iter().any(|group| group.gid == 0 && group.name.is_some()));
        assert_eq!(LinuxIdentity::of_name("root").unwrap().unwrap(), root);
    }

    #[test]
    fn number_without_a_name_has_no_groups() {
        let nobody = LinuxIdentity::of_uid(3_999_999_999).unwrap();
        assert_eq!((nobody.name, nobody.groups.len()), (None, 0));
        assert_eq!(LinuxIdentity::of_name("no-such-user-here").unwrap(), None);
    }

    #[test]
    fn process_keeps_the_groups_that_the_kernel_named() {
        let process = LinuxIdentity::of_process(0, &[3_999_999_999]).unwrap();
        assert_eq!(process.groups, [LinuxGroup { gid: 3_999_999_999, name: None }]);
    }
}
