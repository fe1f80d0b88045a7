//! USERS, PROFILES, ACCESS, ADMIN, GROUPS, MEMBERS, GROUPADM (14 to 20): security management for the actor of the call.
//!
//! What an actor may see and change is decided by `saf::admin`, on the profiles that are in force. A change is planned
//! here, committed by the keeper, and refused there when somebody was faster.

use std::os::fd::OwnedFd;

use tender_saf::admin::{
    self, AdminError, AdminFault, AdminPlan, AdminPolicy, AdminService, GroupFunction, GroupRequest,
    ProfileFunction, ProfileRequest,
};
use tender_saf::{AccessLevel, Authority};
use tender_xmem::code::{AccessCode, AdminCode, CmsCode, GroupAdminCode, MemberCode, ProfileCode};
use tender_xmem::service::{
    AccessEntry, AccessList, AccessListAnswer, Admin, AdminFunction, AdminResult, GrantAccess, GroupAccess,
    GroupAdmin, GroupAdminFunction, GroupEntry, Groups, GroupsAnswer, Member, Members, MembersAnswer,
    ProfileEntry, Profiles, ProfilesAnswer, Request, UserEntry, Users, UsersAnswer,
};

use super::auth::to_level;
use crate::monitor::Monitor;
use crate::monitor::calls::{Answer, Asking, Step};

/// Reads a request, or says what to answer.
fn decode<R: Request>(payload: &[u8]) -> Result<R, Step> {
    R::decode(payload).map_err(|invalid| Answer::not_taken::<R>(&invalid))
}

fn refused(error: &AdminError) -> Step {
    let text = crate::role::chain(error);
    Answer::json_with(error.return_code(), &AdminResult { message: text, ..AdminResult::default() })
}

/// Returns what may be administered, if a class is configured.
fn policy(monitor: &Monitor, missing: u32) -> Result<AdminPolicy, Step> {
    let settings = monitor.settings();
    let class = settings.security_class.as_deref().and_then(|class| class.parse().ok());
    let mut policy = AdminPolicy::new(class.ok_or_else(|| Answer::detail(missing))?);
    policy.is_auto_refresh = settings.is_security_refreshed;
    Ok(policy)
}

fn flat(step: Result<Step, Step>) -> Step {
    step.unwrap_or_else(|step| step)
}

pub(super) fn users(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: Users = decode(payload)?;
        let actor = monitor.actor(asked);
        let database = monitor.database()?;
        let found = admin::users(database, actor.as_ref(), &request.start, request.count);
        let users = found.map_err(|error| refused(&error))?.into_iter().map(|line| UserEntry {
            user: line.id.to_string(),
            default_group: line.default_group.to_string(),
            name: line.name,
        });
        Ok(Answer::json(&UsersAnswer { users: users.collect() }))
    })())
}

pub(super) fn profiles(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: Profiles = decode(payload)?;
        let policy = policy(monitor, ProfileCode::Class.number())?;
        let actor = monitor.actor(asked);
        let (start, class) = (&request.start, &request.class);
        let database = monitor.database()?;
        let found = admin::profiles(database, &policy, actor.as_ref(), class, start, request.count);
        let profiles = found.map_err(|error| refused(&error))?.into_iter();
        let entry =
            |line: admin::ProfileLine| ProfileEntry { profile: line.name, owner: line.owner.to_string() };
        Ok(Answer::json(&ProfilesAnswer { profiles: profiles.map(entry).collect() }))
    })())
}

pub(super) fn access(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: AccessList = decode(payload)?;
        let policy = policy(monitor, AccessCode::Class.number())?;
        let actor = monitor.actor(asked);
        let database = monitor.database()?;
        let (class, profile) = (&request.class, &request.profile);
        let found = admin::access_list(database, &policy, actor.as_ref(), class, profile, request.capacity);
        match found {
            Ok(list) => {
                let entry = |(id, access)| AccessEntry { id, access: to_level(access) };
                let entries = list.entries.into_iter().map(entry).collect();
                Ok(Answer::json(&AccessListAnswer { found: list.found, entries }))
            }
            Err(AdminError { fault: AdminFault::Insufficient { found }, .. }) => {
                let answer = AccessListAnswer { found, entries: Vec::new() };
                Ok(Answer::json_with(AccessCode::Insufficient, &answer))
            }
            Err(error) => Err(refused(&error)),
        }
    })())
}

pub(super) fn groups(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: Groups = decode(payload)?;
        let actor = monitor.actor(asked);
        let database = monitor.database()?;
        let found = admin::groups(database, actor.as_ref(), &request.start, request.count);
        let groups = found.map_err(|error| refused(&error))?.into_iter().map(|line| GroupEntry {
            group: line.id.to_string(),
            superior: line.superior.map_or_else(String::new, |id| id.to_string()),
            owner: line.owner.to_string(),
        });
        Ok(Answer::json(&GroupsAnswer { groups: groups.collect() }))
    })())
}

pub(super) fn members(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: Members = decode(payload)?;
        let actor = monitor.actor(asked);
        let database = monitor.database()?;
        match admin::members(database, actor.as_ref(), &request.group, request.capacity) {
            Ok(list) => {
                let entry = |line: admin::MemberLine| Member {
                    id: line.id.to_string(),
                    access: match line.authority {
                        Authority::Use => GroupAccess::Use,
                        Authority::Create => GroupAccess::Create,
                        Authority::Connect => GroupAccess::Connect,
                        Authority::Join => GroupAccess::Join,
                    },
                };
                let members = list.entries.into_iter().map(entry).collect();
                Ok(Answer::json(&MembersAnswer { found: list.found, members }))
            }
            Err(AdminError { fault: AdminFault::Insufficient { found }, .. }) => {
                let answer = MembersAnswer { found, members: Vec::new() };
                Ok(Answer::json_with(MemberCode::Insufficient, &answer))
            }
            Err(error) => Err(refused(&error)),
        }
    })())
}

pub(super) fn admin(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: Admin = decode(payload)?;
        let policy = policy(monitor, AdminCode::ClassNotRead.number())?;
        let actor = monitor.actor(asked);
        let access = match request.access {
            None => None,
            Some(GrantAccess::Read) => Some(AccessLevel::Read),
            Some(GrantAccess::Update) => Some(AccessLevel::Update),
            Some(GrantAccess::Alter) => Some(AccessLevel::Alter),
            // Top Secret's word; no other manager has it.
            Some(GrantAccess::All) => return Err(Answer::detail(AdminCode::Access)),
        };
        let wanted = ProfileRequest {
            function: match request.function {
                AdminFunction::Define => ProfileFunction::Define,
                AdminFunction::Delete => ProfileFunction::Delete,
                AdminFunction::Give => ProfileFunction::Give,
                AdminFunction::Revoke => ProfileFunction::Revoke,
            },
            profile: request.profile,
            owner: request.owner,
            user: request.user,
            access,
        };
        let plan = admin::plan_profile(monitor.database()?, &policy, actor.as_ref(), &wanted);
        let plan = plan.map_err(|error| refused(&error))?;
        Ok(commit(plan, request.dry_run, AdminService::ProfileAdmin))
    })())
}

pub(super) fn group_admin(monitor: &mut Monitor, asked: Asking, payload: &[u8], _: Option<OwnedFd>) -> Step {
    flat((|| {
        let request: GroupAdmin = decode(payload)?;
        // Groups have no class; the policy's other parts are those of the original.
        let policy = AdminPolicy::new("FACILITY".parse().map_err(|_| Answer::code(CmsCode::Error))?);
        let actor = monitor.actor(asked);
        let wanted = GroupRequest {
            function: match request.function {
                GroupAdminFunction::Add => GroupFunction::Add,
                GroupAdminFunction::Delete => GroupFunction::Delete,
                GroupAdminFunction::Connect => GroupFunction::Connect,
                GroupAdminFunction::Remove => GroupFunction::Remove,
            },
            group: request.group,
            superior: request.superior,
            user: request.user,
            access: request.access.map(|access| match access {
                GroupAccess::Use => Authority::Use,
                GroupAccess::Create => Authority::Create,
                GroupAccess::Connect => Authority::Connect,
                GroupAccess::Join => Authority::Join,
            }),
        };
        let plan = admin::plan_group(monitor.database()?, &policy, actor.as_ref(), &wanted);
        let plan = plan.map_err(|error| refused(&error))?;
        Ok(commit(plan, request.dry_run, AdminService::GroupAdmin))
    })())
}

/// Shows a plan, or has it made.
fn commit(plan: AdminPlan, is_dry_run: bool, service: AdminService) -> Step {
    let command = match &plan.refresh {
        Some(refresh) => format!("{}\n{refresh}", plan.command),
        None => plan.command.clone(),
    };
    let result = AdminResult { command, message: plan.message(), changed: false };
    if is_dry_run || plan.plan.changes.is_empty() {
        return Answer::json(&result);
    }
    let Ok(changes) = serde_json::to_vec(&plan.plan.changes) else { return Answer::code(CmsCode::Error) };
    let failed = match service {
        AdminService::GroupAdmin => GroupAdminCode::InternalFailed.number(),
        _ => AdminCode::InternalFailed.number(),
    };
    Step::Commit {
        who: plan.actor.to_string(),
        what: plan.command,
        changes,
        then: Box::new(move |_, _, came| match came {
            Ok(()) => Answer::json(&AdminResult { changed: true, ..result }),
            Err((why, is_conflict)) => {
                let why = if is_conflict { format!("{why}; try again") } else { why };
                Answer::json_with(failed, &AdminResult { message: why, ..result })
            }
        }),
    }
}
