//! A made-up fleet for measuring questions; used by the example `service_bench` alone.

use jiff::Timestamp;
use tender_content::Digest;
use tender_package::{ComponentName, FixId, LevelName, Mode, SystemName, Variant, Vrm};

use crate::error::ServiceError;
use crate::level::{Level, PackageState, Work};
use crate::principal::Principal;
use crate::shapes::{LevelContent, LevelFix, SystemRecord};
use crate::tables::{levels, releases, systems};

fn vrm() -> Vrm {
    Vrm::new("999").expect("three digits")
}

/// Fills an empty principal with `count` systems spread over `levels` levels; level N has fixes 0 to N, at most `fixes`.
pub fn fill(
    principal: &Principal,
    count: usize,
    level_count: usize,
    fixes: usize,
) -> Result<(), ServiceError> {
    let now = Timestamp::UNIX_EPOCH;
    let name = |index: usize| LevelName::new(&format!("L{index:04}")).expect("letters and digits");
    principal.transaction(|tables| {
        let base = Digest::of(b"base");
        releases::insert(tables, &releases::ReleaseRow { vrm: vrm(), base, at: now }, &[])?;
        for index in 0..level_count {
            let level = Level {
                vrm: vrm(),
                name: name(index),
                parent: None,
                variant: Variant::default(),
                description: String::new(),
                state: Mode::Test,
                is_locked: false,
                work: Work::Idle,
                package: PackageState::None,
                generation: 0,
                is_signed: false,
                content: base,
                made: now,
                changed: now,
                changed_by: String::new(),
            };
            let on = (0..=index.min(fixes)).map(|fix| LevelFix {
                id: FixId::new(&format!("UM{fix:06}")).expect("letters and digits"),
                component: ComponentName::new("c").expect("a letter"),
                envelope: String::new(),
                superseded_by: None,
            });
            let content = LevelContent { fixes: on.collect(), ..LevelContent::default() };
            levels::insert(tables, &level)?;
            levels::write_content(tables, &vrm(), &level.name, &content)?;
        }
        for index in 0..count {
            let system = SystemName::new(&format!("S{index:06}")).expect("letters and digits");
            let asserted = name(index % level_count);
            let record = SystemRecord {
                name: system.clone(),
                vrm: vrm(),
                variant: Variant::default(),
                host: "host".to_owned(),
                port: 4535,
                commtype: "FTP".to_owned(),
                is_tls_required: true,
                asserted: asserted.clone(),
            };
            systems::set_record(tables, &record, true, now)?;
            systems::set_prod(tables, &system, &asserted, 1)?;
        }
        Ok(())
    })
}

/// Lists the systems that miss a fix.
pub fn missing(principal: &Principal, fix: &str) -> Result<Vec<SystemName>, ServiceError> {
    let fix = FixId::new(fix).expect("the bench asks for a fix it made");
    let rows = systems::missing_fix(&principal.tables(), &vrm(), &fix)?;
    Ok(rows.into_iter().map(|(system, _)| system).collect())
}
