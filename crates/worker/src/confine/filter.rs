//! System calls: what each role may call.
//!
//! Roles that run only our own code have a list of what is allowed, and anything else kills the process. What runs
//! foreign code (PAM modules, plug-ins) has a wider list, and anything else fails with `ENOSYS`, which libraries know
//! how to live without. A program that is run as a user may call what the user may call anyway; from it only the calls
//! are taken that reach into the kernel, into other processes or into the host as a whole.

mod calls;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::{ConfineError, Level, Mechanism, Report, Role};
use crate::sys::CLONE_THREAD;

/// Calls and the conditions under which a rule matches; no condition matches always.
type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Sets the filters of a role. Nothing that sets up a sandbox can be called afterwards.
pub(super) fn apply(role: Role, more: &[libc::c_long], report: &mut Report) -> Result<(), ConfineError> {
    let failed = |error: &dyn std::fmt::Display| ConfineError::Filter(error.to_string());
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| failed(&error))?;
    for program in programs(role, more, arch).map_err(|error| failed(&error))? {
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    }
    report.note(Mechanism::Seccomp, Level::Full);
    Ok(())
}

/// The filters of a role, in the order in which they have to be set: the last one forbids setting more.
fn programs(
    role: Role,
    more: &[libc::c_long],
    arch: TargetArch,
) -> Result<Vec<BpfProgram>, seccompiler::BackendError> {
    let fails = |calls: &[i64], errno: i32| {
        let rules = calls.iter().map(|&call| (call, Vec::new())).collect();
        build(also_x32(rules), SeccompAction::Allow, SeccompAction::Errno(errno.cast_unsigned()), arch)
    };
    // Its flags are behind a pointer, where a filter cannot look; without it `clone` is used.
    let no_clone3 = fails(&[libc::SYS_clone3], libc::ENOSYS)?;
    if role == Role::Worker(crate::Kind::RunAs) {
        let denied = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let rules = also_x32(not_for_programs()?);
        return Ok(vec![no_clone3, build(rules, SeccompAction::Allow, denied, arch)?]);
    }
    let mut programs = vec![no_clone3];
    if !opens_files(role) {
        // Libraries look for files that they can do without; that is refused, not punished.
        programs.push(fails(calls::OPENING, libc::EACCES)?);
    }
    let mut rules = allowed(role)?;
    for &call in more {
        rules.insert(call, Vec::new());
    }
    let otherwise = if runs_foreign_code(role) {
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned())
    } else {
        SeccompAction::KillProcess
    };
    programs.push(build(rules, otherwise, SeccompAction::Allow, arch)?);
    Ok(programs)
}

const fn opens_files(role: Role) -> bool {
    !matches!(role, Role::Front | Role::Worker(crate::Kind::Port))
}

/// What a program that is run as a user may not call.
fn not_for_programs() -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = calls::NOT_FOR_PROGRAMS.iter().map(|&call| (call, Vec::new())).collect();
    rules.insert(libc::SYS_unshare, vec![rule(0, SeccompCmpOp::Ne, CLONE_THREAD)?]);
    let user_namespace = libc::CLONE_NEWUSER as u64;
    rules.insert(libc::SYS_clone, vec![masked(0, user_namespace, user_namespace)?]);
    Ok(rules)
}

/// The rules, and the same for the second set of numbers by which x86_64 has most calls (x32): a list of what is
/// forbidden could be passed by with them. Those that are x32's alone are forbidden as a whole.
fn also_x32(mut rules: Rules) -> Rules {
    const X32: i64 = 0x4000_0000;
    if cfg!(target_arch = "x86_64") {
        let twins: Vec<_> = rules.iter().map(|(call, when)| (call | X32, when.clone())).collect();
        rules.extend(twins);
        rules.extend((512..=547).map(|call| (call | X32, Vec::new())));
    }
    rules
}

/// Whether it runs code that is not ours.
const fn runs_foreign_code(role: Role) -> bool {
    matches!(role, Role::Auxiliary | Role::Worker(crate::Kind::Password))
}

/// Calls that a role may make whatever their arguments are.
fn groups(role: Role) -> Vec<&'static [i64]> {
    use crate::Kind;
    let mut groups = vec![calls::BASE, calls::OPENING, &[libc::SYS_clone3]];
    let of_role: &[&'static [i64]] = match role {
        Role::Front => &[calls::POLLING],
        Role::Monitor => &[
            calls::POLLING,
            calls::FILES,
            calls::CHANGING,
            calls::WATCHING,
            calls::CONNECTING,
            &[libc::SYS_accept4, libc::SYS_pidfd_open, calls::RENAMEAT],
        ],
        Role::Keeper => &[calls::POLLING, calls::FILES, calls::CHANGING, calls::WATCHING, &[calls::RENAMEAT]],
        Role::Worker(Kind::Inspect) => &[calls::FILES, &[libc::SYS_process_vm_readv]],
        Role::Worker(Kind::Network) => &[calls::FILES],
        Role::Worker(Kind::Place) => &[calls::FILES, calls::CHANGING, &[calls::RENAMEAT]],
        Role::Worker(Kind::Port) => &[&[libc::SYS_bind, libc::SYS_listen]],
        Role::Worker(Kind::RunAs) => &[],
        Role::Worker(Kind::Password) | Role::Auxiliary => &[
            calls::POLLING,
            calls::FILES,
            calls::CHANGING,
            calls::WATCHING,
            calls::CONNECTING,
            calls::SERVING,
            calls::PROCESSES,
            &[calls::RENAMEAT],
        ],
    };
    groups.extend_from_slice(of_role);
    groups
}

fn allowed(role: Role) -> Result<Rules, seccompiler::BackendError> {
    let mut rules: Rules = groups(role).concat().into_iter().map(|call| (call, Vec::new())).collect();
    if runs_foreign_code(role) {
        for call in [
            libc::SYS_socket,
            libc::SYS_mmap,
            libc::SYS_mprotect,
            libc::SYS_ioctl,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
        ] {
            rules.insert(call, Vec::new());
        }
        rules.insert(libc::SYS_unshare, vec![rule(0, SeccompCmpOp::Eq, CLONE_THREAD)?]);
        rules.insert(libc::SYS_clone, vec![masked(0, calls::NEW_NAMESPACES, 0)?]);
        return Ok(rules);
    }
    // Threads, no processes.
    if matches!(role, Role::Front | Role::Monitor) {
        rules.insert(libc::SYS_clone, vec![masked(0, CLONE_THREAD, CLONE_THREAD)?]);
    }
    // Nothing becomes code that was data; but who asks the user database loads its modules.
    let executable = libc::PROT_EXEC as u64;
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let rule = if role == Role::Monitor { Vec::new() } else { vec![masked(2, executable, 0)?] };
        rules.insert(call, rule);
    }
    rules.insert(libc::SYS_ioctl, equal_to_any(1, calls::IOCTLS)?);
    rules.insert(libc::SYS_prctl, equal_to_any(0, calls::PRCTLS)?);
    // Limits may be read.
    let reading = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![reading])?]);
    // `abort` sends a signal to its own thread.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, own)?]);
    let families = families(role);
    if !families.is_empty() {
        rules.insert(libc::SYS_socket, equal_to_any(0, families)?);
    }
    Ok(rules)
}

/// Sockets that a role of ours may make.
const fn families(role: Role) -> &'static [u64] {
    match role {
        Role::Monitor => &[libc::AF_UNIX as u64],
        Role::Worker(crate::Kind::Network) => &[libc::AF_NETLINK as u64],
        Role::Worker(crate::Kind::Port) => &[libc::AF_INET as u64, libc::AF_INET6 as u64],
        _ => &[],
    }
}

/// Matches when these bits of an argument have this value.
fn masked(argument: u8, mask: u64, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    rule(argument, SeccompCmpOp::MaskedEq(mask), value)
}

fn equal_to_any(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    values.iter().map(|&value| rule(argument, SeccompCmpOp::Eq, value)).collect()
}

/// Matches when the lower half of an argument compares so; all arguments meant here are of 32 bits.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
}

fn build(
    rules: Rules,
    otherwise: SeccompAction,
    matched: SeccompAction,
    arch: TargetArch,
) -> Result<BpfProgram, seccompiler::BackendError> {
    SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_every_role_compile() {
        let arch = TargetArch::try_from("x86_64").unwrap();
        let workers = crate::Kind::ALL.into_iter().map(Role::Worker);
        for role in workers.chain([Role::Front, Role::Monitor, Role::Keeper, Role::Auxiliary]) {
            let programs = programs(role, &[libc::SYS_accept4], arch).unwrap();
            assert!(programs.iter().all(|program| !program.is_empty()), "{role:?}");
        }
    }

    #[test]
    fn calls_that_reach_elsewhere_are_in_no_list() {
        let workers =
            crate::Kind::ALL.into_iter().filter(|kind| *kind != crate::Kind::RunAs).map(Role::Worker);
        for role in workers.chain([Role::Front, Role::Monitor, Role::Keeper, Role::Auxiliary]) {
            let allowed = allowed(role).unwrap();
            for &call in calls::NOT_FOR_PROGRAMS {
                let own_work =
                    role == Role::Worker(crate::Kind::Inspect) && call == libc::SYS_process_vm_readv;
                assert!(own_work || !allowed.contains_key(&call), "{role:?} may call {call}");
            }
        }
    }
}
