//! From words and a member to a server that is about to run.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tender_parmlib::{Member, Operands, ProblemKind};

use crate::lock::{Lock, LockError};
use crate::messages::{self, Text};
use crate::options::RunOptions;
use crate::places::{self, Places};
use crate::role::chain;
use crate::root::sockets;
use crate::settings::Settings;
use crate::sysprint::Sysprint;

/// A message that ends the start, and the reference's return code.
#[derive(Debug)]
pub(crate) struct StartError {
    pub(crate) text: String,
    pub(crate) code: u8,
}

impl StartError {
    pub(crate) fn new(code: u8, text: Text, values: &[&dyn std::fmt::Display]) -> Self {
        Self { text: text.with(values), code }
    }
}

/// Users of the boxes; `None` stays who it is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Users {
    pub(crate) monitor: Option<(u32, u32)>,
    pub(crate) front: Option<(u32, u32)>,
    pub(crate) auxiliary: Option<(u32, u32)>,
}

/// What a server is run from.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) places: Places,
    pub(crate) users: Users,
    pub(crate) is_cold: bool,
    pub(crate) is_debug: bool,
    pub(crate) generation: u64,
    pub(crate) lock: Lock,
    pub(crate) listener: OwnedFd,
    pub(crate) control: OwnedFd,
}

/// What was read from words and member.
pub(crate) struct Read {
    pub(crate) settings: tender_parmlib::Settings,
    /// Whether something in it ends a start.
    pub(crate) is_usable: bool,
}

/// Reads the member and says what is wrong with it.
pub(crate) fn read(options: &RunOptions, parmlib: &Path, print: &Sysprint) -> Result<Read, StartError> {
    let words = options.words.iter().map(String::as_str);
    let operands = Operands::of_words(words)
        .map_err(|error| StartError::new(8, messages::FATAL_CONFIGURATION, &[&error]))?;
    let name = operands.member().map_err(|_| {
        let suffix = operands.value("MEM").unwrap_or_default().to_owned();
        StartError::new(8, messages::BAD_SUFFIX, &[&suffix])
    })?;
    let member = Member::read(&[parmlib.to_owned()], &name).map_err(|error| match &error {
        tender_parmlib::MemberError::NotFound { .. } => {
            StartError::new(8, messages::MEMBER_MISSING, &[&name, &parmlib.display()])
        }
        _ => StartError::new(8, messages::MEMBER_UNREADABLE, &[&name, &chain(&error)]),
    })?;
    print.say(messages::MEMBER_OF_PARAMETERS, &[&name, &parmlib.display()]);
    for warning in member.warnings() {
        print.say(messages::UNKNOWN_KEY, &[&format!("member {name}: {warning}")]);
    }
    let settled = tender_parmlib::Settings::from_parameters(Some(&member), &operands)
        .map_err(|error| StartError::new(45, messages::FATAL_CONFIGURATION, &[&chain(&error)]))?;
    for problem in &settled.problems {
        match &problem.kind {
            ProblemKind::Value { value, expected, default } => {
                let default = if default.is_empty() { "nothing" } else { default };
                let wrong = format!("not {expected}");
                print.say(messages::BAD_VALUE, &[&problem.key, value, &wrong, &default]);
            }
            _ => print.say(messages::UNKNOWN_KEY, &[&problem]),
        }
    }
    let is_usable = settled.is_usable();
    Ok(Read { settings: settled.settings, is_usable })
}

/// Returns where the profiles are: as the command, then the member, then the installation says.
pub(crate) fn database(options: &RunOptions, read: &Read) -> PathBuf {
    let named = options.database.clone().or_else(|| read.settings.saf_database.clone());
    let found = named.unwrap_or_else(|| {
        let is_root = rustix::process::geteuid().is_root();
        Places::find(is_root, |name| std::env::var_os(name)).database
    });
    std::path::absolute(&found).unwrap_or(found)
}

/// Says that there are no profiles, and the way on.
pub(crate) fn no_database(path: &Path) -> String {
    format!(
        "there is no profile database at `{}`; `tender saf create` makes one, ZWES.SAF.DATABASE names another",
        path.display()
    )
}

/// Finds a user by name or number.
fn user(what: &str) -> Result<(u32, u32), StartError> {
    let failed = |why: String| StartError::new(8, messages::NOT_STARTED, &[&why]);
    let remedy = || {
        failed(format!(
            "there is no user `{what}`; make it with `useradd --system --no-create-home --shell /usr/sbin/nologin \
             {what}`, or name another one in the member (ZWES.USER.MONITOR, ZWES.USER.FRONT)"
        ))
    };
    let found = match what.parse::<u32>() {
        Ok(uid) => nix::unistd::User::from_uid(uid.into()),
        Err(_) => nix::unistd::User::from_name(what),
    };
    let user =
        found.map_err(|error| failed(format!("look up user `{what}`: {error}")))?.ok_or_else(remedy)?;
    if user.uid.is_root() {
        return Err(failed(format!("`{what}` is root: the boxes of the server must not be")));
    }
    Ok((user.uid.as_raw(), user.gid.as_raw()))
}

/// Finds the users of the boxes.
fn users(settings: &Settings, is_root: bool, print: &Sysprint) -> Result<Users, StartError> {
    if !is_root {
        let uid = rustix::process::geteuid().as_raw();
        print.say(messages::NOT_PRIVILEGED, &[&uid]);
        return Ok(Users::default());
    }
    Ok(Users {
        monitor: Some(user(&settings.monitor_user)?),
        front: Some(user(&settings.front_user)?),
        // Only needed when there are plug-ins, and then said by those.
        auxiliary: user(&settings.auxiliary_user).ok(),
    })
}

/// Reads everything, takes the lock, makes directories and sockets. Nothing runs yet.
pub(crate) fn prepare(options: &RunOptions, print: &Sysprint) -> Result<Prepared, StartError> {
    let is_root = rustix::process::geteuid().is_root();
    let mut places = Places::find(is_root, |name| std::env::var_os(name));
    if let Some(parmlib) = &options.parmlib {
        places.parmlib.clone_from(parmlib);
    }
    print.say(messages::PARAMETERS, &[&options.words.join(",")]);
    let read = read(options, &places.parmlib, print)?;
    if !read.is_usable {
        let why = "the member has errors and ZWES.STRICT=YES does not allow them";
        return Err(StartError::new(8, messages::FATAL_CONFIGURATION, &[&why]));
    }
    let name = read.settings.name.to_string();
    if read.settings.is_name_default {
        print.say(messages::NAME_DEFAULTED, &[&name]);
    }
    print.say(messages::NAME, &[&name]);
    let settings = Settings::from(&read.settings);
    places.make_absolute();
    places.database = database(options, &read);
    if !places.database.exists() {
        return Err(StartError::new(8, messages::NOT_STARTED, &[&no_database(&places.database)]));
    }
    let users = users(&settings, is_root, print)?;
    let step = |step: &'static str| {
        move |error: &dyn std::error::Error| {
            StartError::new(8, messages::STEP_FAILED, &[&step, &chain(error)])
        }
    };
    let run = places.run.join(&name);
    let directory = places::open_directory(&run).map_err(|error| step("directories")(&error))?;
    let lock = Lock::acquire(&directory, &run.join("lock")).map_err(|error| match error {
        LockError::Held(holder) => {
            StartError::new(21, messages::DUPLICATE, &[&name, &holder.pid, &holder.since, &holder.version])
        }
        LockError::Io { .. } => StartError::new(22, messages::LOCK_FAILED, &[&name, &chain(&error)]),
    })?;
    places.run = run;
    places.state = places.state.join(&name);
    let generation =
        make_state(&places, users, read.settings.is_cold, print).map_err(|error| step("state")(&error))?;
    let operators = nix::unistd::Group::from_name("zweadmin").ok().flatten();
    let operators = operators.filter(|_| is_root).map(|group| group.gid.as_raw());
    let listener =
        sockets::listen(&directory, "socket", 0o666, None).map_err(|error| step("socket")(&error))?;
    let control =
        sockets::listen(&directory, "control", 0o660, operators).map_err(|error| step("socket")(&error))?;
    print.say(messages::STEP_DONE, &[&"directories, lock, sockets"]);
    Ok(Prepared {
        name,
        is_cold: read.settings.is_cold,
        is_debug: read.settings.is_debug,
        settings,
        places,
        users,
        generation,
        lock,
        listener,
        control,
    })
}

/// Makes what the monitor writes to, for the monitor alone.
fn make_state(
    places: &Places,
    users: Users,
    is_cold: bool,
    print: &Sysprint,
) -> Result<u64, places::PlaceError> {
    let state = places::open_directory(&places.state)?;
    let uid = users.monitor.map_or_else(|| rustix::process::geteuid().as_raw(), |(uid, _)| uid);
    places::private_file(&state, "audit.log", &places.state.join("audit.log"), uid, 0o640)?;
    for name in ["keys", "anchors"] {
        places::private_directory(&state, name, &places.state.join(name), uid)?;
    }
    if is_cold {
        print.say(messages::COLD_START, &[]);
        // Anchors are what outlives a server; keys and the audit log belong to the installation, not to one run.
        let anchors = places.state.join("anchors");
        for entry in std::fs::read_dir(&anchors).into_iter().flatten().flatten() {
            if let Err(error) = std::fs::remove_file(entry.path()) {
                print.say(messages::COLD_NOTHING, &[&error]);
            }
        }
    }
    places::next_generation(&state, &places.state.join("generation"))
}
