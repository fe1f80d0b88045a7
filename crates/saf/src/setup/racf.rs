//! The definitions in the commands of RACF.

use super::{CLASS_LENGTH_MAX, CLASS_POSIT, CLASSES, Definition, SetupStep};

pub(super) fn step(definition: &Definition<'_>) -> SetupStep {
    match definition {
        Definition::Classes(classes) => {
            let classes = classes.join(" ");
            SetupStep {
                title: format!("classes {classes}: active, with generic profiles, in memory"),
                check: Some("SETROPTS LIST".to_owned()),
                commands: vec![
                    format!("SETROPTS CLASSACT({classes})"),
                    format!("SETROPTS GENERIC({classes})"),
                    format!("SETROPTS RACLIST({classes})"),
                ],
            }
        }
        Definition::Group { id, number, title, .. } => {
            let gid = number.map_or_else(|| "AUTOGID".to_owned(), |gid| format!("GID({gid})"));
            SetupStep {
                title: format!("group {id}: {title}"),
                check: Some(format!("LISTGRP {id}")),
                commands: vec![format!("ADDGROUP {id} OMVS({gid}) DATA('{}')", title.to_uppercase())],
            }
        }
        Definition::User { id, group, number, title, .. } => {
            let uid = number.map_or_else(|| "AUTOUID".to_owned(), |uid| format!("UID({uid})"));
            let unix = format!("OMVS({uid} HOME('/tmp') PROGRAM('/bin/sh'))");
            let name = title.to_uppercase();
            SetupStep {
                title: format!("user {id}: {title}"),
                check: Some(format!("LISTUSER {id}")),
                commands: vec![format!("ADDUSER {id} NOPASSWORD DFLTGRP({group}) NAME('{name}') {unix}")],
            }
        }
        Definition::Task { task, user, group, title } => SetupStep {
            title: format!("started task {task}: {title}"),
            check: Some(format!("RLIST STARTED {task}.* STDATA")),
            commands: vec![format!(
                "RDEFINE STARTED {task}.* UACC(NONE) STDATA(USER({user}) GROUP({group}) TRUSTED(NO))"
            )],
        },
        Definition::Resource { class, name, users, groups, level, title, .. } => {
            let mut commands = vec![format!("RDEFINE {class} {name} UACC(NONE)")];
            let permit = |id| format!("PERMIT {name} CLASS({class}) ID({id}) ACCESS({level})");
            commands.extend(users.iter().chain(groups).map(permit));
            let title = format!("resource {class} {name}: {title}");
            SetupStep { title, check: Some(format!("RLIST {class} {name} AUTHUSER")), commands }
        }
        Definition::DataSets { prefix, group } => SetupStep {
            title: format!("data sets {prefix}: read by everybody, changed by {group}"),
            check: Some(format!("LISTDSD '{prefix}.**' ALL")),
            commands: vec![
                format!("ADDSD '{prefix}.**' UACC(READ)"),
                format!("PERMIT '{prefix}.**' CLASS(DATASET) ID({group}) ACCESS(ALTER)"),
            ],
        },
        Definition::Class { name } => SetupStep {
            title: format!("class {name}: resources of the product"),
            check: Some(format!("RLIST CDT {name} CDTINFO")),
            commands: vec![
                format!(
                    "RDEFINE CDT {name} CDTINFO(POSIT({CLASS_POSIT}) MAXLENGTH({CLASS_LENGTH_MAX}) \
                     DEFAULTUACC(NONE) RACLIST(DISALLOWED))"
                ),
                format!("SETROPTS CLASSACT({name})"),
            ],
        },
    }
}

pub(super) fn refresh() -> SetupStep {
    SetupStep {
        title: "put the definitions in force".to_owned(),
        check: None,
        commands: vec![format!("SETROPTS RACLIST({}) REFRESH", CLASSES.join(" "))],
    }
}
