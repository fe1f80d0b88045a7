//! The definitions in the commands of Top Secret.

use super::{CLASS_LENGTH_MAX, Definition, SetupStep};
use crate::level::AccessLevel;

/// Makes the DEPT operand.
fn department(department: Option<&str>) -> String {
    department.map(|department| format!(" DEPT({department})")).unwrap_or_default()
}

pub(super) fn step(definition: &Definition<'_>) -> SetupStep {
    match definition {
        // Classes need no activation.
        Definition::Classes(_) => SetupStep { title: String::new(), check: None, commands: Vec::new() },
        Definition::Group { id, number, department: owner, title } => {
            let gid = number.map_or_else(|| "?".to_owned(), |gid| gid.to_string());
            let owner = department(*owner);
            SetupStep {
                title: format!("group {id}: {title}"),
                check: Some(format!("TSS LIST({id})")),
                commands: vec![
                    format!("TSS CREATE({id}) TYPE(GROUP) NAME('{}'){owner}", title.to_uppercase()),
                    format!("TSS ADD({id}) GID({gid})"),
                ],
            }
        }
        Definition::User { id, group, number, department: owner, title } => {
            let uid = number.map_or_else(|| "?".to_owned(), |uid| uid.to_string());
            let owner = department(*owner);
            SetupStep {
                title: format!("user {id}: {title}"),
                check: Some(format!("TSS LIST({id})")),
                commands: vec![
                    format!(
                        "TSS CREATE({id}) TYPE(USER) PASS(NOPW,0) NAME('{}'){owner}",
                        title.to_uppercase()
                    ),
                    format!("TSS ADD({id}) GROUP({group}) DFLTGRP({group})"),
                    format!("TSS ADD({id}) UID({uid}) HOME(/tmp) OMVSPGM(/bin/sh)"),
                ],
            }
        }
        Definition::Task { task, user, title, .. } => SetupStep {
            title: format!("started task {task}: {title}"),
            check: Some("TSS LIST(STC)".to_owned()),
            commands: vec![
                format!("TSS ADD(STC) PROCNAME({task}) ACID({user})"),
                format!("TSS ADD({user}) FAC(STC)"),
            ],
        },
        Definition::Resource { class, name, users, groups, level, owner, title } => {
            let class = if *class == "FACILITY" { "IBMFAC" } else { class };
            let access = if *level == AccessLevel::Alter { "ALL" } else { level.as_str() };
            let permit = |user| format!("TSS PERMIT({user}) {class}({name}) ACCESS({access})");
            // A resource has to be owned before it can be permitted; only this one, not all that begins like it.
            let own = owner.map(|owner| format!("TSS ADD({owner}) {class}({name})"));
            SetupStep {
                title: format!("resource {class} {name}: {title}"),
                check: Some(format!("TSS WHOHAS {class}({name})")),
                commands: own.into_iter().chain(users.iter().chain(groups).map(permit)).collect(),
            }
        }
        Definition::DataSets { prefix, group } => SetupStep {
            title: format!("data sets {prefix}: read by everybody, changed by {group}"),
            check: Some(format!("TSS WHOHAS DSN({prefix}.)")),
            commands: vec![
                format!("TSS PERMIT(ALL) DSN({prefix}.**) ACCESS(READ)"),
                format!("TSS PERMIT({group}) DSN({prefix}.**) ACCESS(ALL)"),
            ],
        },
        Definition::Class { name } => SetupStep {
            title: format!("class {name}: resources of the product"),
            check: Some("TSS LIST(RDT)".to_owned()),
            commands: vec![format!("TSS ADD(RDT) RESCLASS({name}) MAXLEN({CLASS_LENGTH_MAX})")],
        },
    }
}

pub(super) fn refresh() -> SetupStep {
    SetupStep { title: String::new(), check: None, commands: Vec::new() }
}
