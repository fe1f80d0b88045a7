//! The definitions in the commands of ACF2.

use super::{CLASS_LENGTH_MAX, Definition, SetupStep};
use crate::level::AccessLevel;

pub(super) fn step(definition: &Definition<'_>) -> SetupStep {
    match definition {
        // Classes need no activation.
        Definition::Classes(_) => SetupStep { title: String::new(), check: None, commands: Vec::new() },
        Definition::Group { id, number, title, .. } => {
            let gid = number.map_or_else(|| "AUTOGID".to_owned(), |gid| format!("GID({gid})"));
            SetupStep {
                title: format!("group {id}: {title}"),
                check: Some(format!("SET PROFILE(GROUP) DIV(OMVS), LIST {id}")),
                commands: vec![
                    "SET PROFILE(GROUP) DIV(OMVS)".to_owned(),
                    format!("INSERT {id} {gid}"),
                    "F ACF2,REBUILD(GRP),CLASS(P)".to_owned(),
                    "SET XREF(ROL)".to_owned(),
                    format!("INSERT {id} ROLE"),
                ],
            }
        }
        Definition::User { id, group, number, title, .. } => {
            let uid = number.map_or_else(|| "AUTOUID".to_owned(), |uid| format!("UID({uid})"));
            SetupStep {
                title: format!("user {id}: {title}"),
                check: Some(format!("SET LID, LIST {id}")),
                commands: vec![
                    "SET LID".to_owned(),
                    format!("INSERT {id} NAME('{}') STC GROUP({group})", title.to_uppercase()),
                    "SET PROFILE(USER) DIV(OMVS)".to_owned(),
                    format!("INSERT {id} {uid} HOME(/tmp) OMVSPGM(/bin/sh)"),
                    "F ACF2,REBUILD(USR),CLASS(P)".to_owned(),
                    "SET XREF(ROL)".to_owned(),
                    format!("CHANGE {group} INCLUDE({id}) ADD"),
                    "F ACF2,NEWXREF,TYPE(ROL)".to_owned(),
                ],
            }
        }
        Definition::Task { task, user, group, title } => SetupStep {
            title: format!("started task {task}: {title}"),
            check: Some(format!("SET CONTROL(GSO), LIST STC.{task}")),
            commands: vec![
                "SET CONTROL(GSO)".to_owned(),
                format!("INSERT STC.{task} LOGONID({user}) GROUP({group}) STCID({task})"),
                "F ACF2,REFRESH(STC)".to_owned(),
            ],
        },
        Definition::Resource { class, name, users, groups, level, title, .. } => {
            let users = users.iter().map(|user| format!("USER({user})"));
            let groups = groups.iter().map(|group| format!("ROLE({group})"));
            resource(class, name, users.chain(groups), *level, title)
        }
        Definition::DataSets { prefix, group } => SetupStep {
            title: format!("data sets {prefix}: read by everybody, changed by {group}"),
            check: Some(format!("SET RULE, DECOMP {prefix}")),
            commands: vec![
                "SET RULE".to_owned(),
                format!("RECKEY {prefix} ADD(- UID(*) READ(A) EXEC(A))"),
                format!("RECKEY {prefix} ADD(- ROLE({group}) READ(A) WRITE(A) ALLOC(A) EXEC(A))"),
            ],
        },
        Definition::Class { name } => SetupStep {
            title: format!("class {name}: resources of the product"),
            check: Some(format!("SET CONTROL(GSO), LIST CLASMAP.{name}")),
            commands: vec![
                "SET CONTROL(GSO)".to_owned(),
                format!("INSERT CLASMAP.{name} RESOURCE({name}) RSRCTYPE(ZWE) ENTITYLN({CLASS_LENGTH_MAX})"),
                "F ACF2,REFRESH(CLASMAP)".to_owned(),
                "CHANGE INFODIR TYPES(R-RZWE)".to_owned(),
                "F ACF2,REFRESH(INFODIR)".to_owned(),
            ],
        },
    }
}

fn resource(
    class: &str,
    name: &str,
    who: impl Iterator<Item = String>,
    level: AccessLevel,
    title: &str,
) -> SetupStep {
    let kind = match class {
        "FACILITY" => "FAC",
        "APPL" => "APL",
        "UNIXPRIV" => "UNI",
        "SURROGAT" => "SUR",
        "PTKTDATA" => "PTK",
        _ => "ZWE",
    };
    let (key, extension) = match name.split_once('.') {
        Some((key, extension)) => (key, format!("{} ", extension.replace("**", "-"))),
        None => (name, String::new()),
    };
    let service = match level {
        AccessLevel::Read => "SERVICE(READ) ",
        AccessLevel::Update => "SERVICE(READ,UPDATE) ",
        // A line without services gives all of them.
        _ => "",
    };
    let mut commands = vec![format!("SET RESOURCE({kind})")];
    commands.extend(who.map(|who| format!("RECKEY {key} ADD({extension}{who} {service}ALLOW)")));
    if commands.len() > 1 {
        commands.push(format!("F ACF2,REBUILD({kind})"));
    } else {
        // Without a line nobody has access, which is what is wanted until somebody is permitted.
        commands.clear();
    }
    let title = format!("resource {class} {name}: {title}");
    SetupStep { title, check: Some(format!("SET RESOURCE({kind}), DECOMP {key}")), commands }
}

pub(super) fn refresh() -> SetupStep {
    SetupStep {
        title: "put the definitions in force".to_owned(),
        check: None,
        commands: vec!["F ACF2,REBUILD(FAC)".to_owned(), "END".to_owned()],
    }
}
