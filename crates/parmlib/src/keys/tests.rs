use proptest::prelude::*;

use super::table::line;
use super::value::fits;
use super::*;
use crate::member::Member;
use crate::operands::Operands;

fn settled(member: &str, start: &str) -> Settled {
    let member = Member::parse("ZWESIP00", member.as_bytes()).unwrap();
    Settings::from_parameters(Some(&member), &Operands::parse(start).unwrap()).unwrap()
}

fn told(member: &str) -> Vec<String> {
    settled(member, "").problems.iter().map(|problem| format!("{} {problem}", problem.id())).collect()
}

#[test]
fn table_is_in_order_with_itself() {
    for key in KEYS {
        let name = if key.is_family() { format!("{}X", key.name) } else { key.name.to_owned() };
        assert_eq!(known_key(&name), Some(key), "{name} stands there once");
        assert_eq!(known_key(key.name).is_some(), !key.is_family());
        assert!(!key.description.is_empty());
        let has_default = !key.default.is_empty();
        assert!(!has_default || fits(key.kind, key.default) == Ok(()), "{name} has a default of its kind");
    }
}

#[test]
fn nothing_given_is_all_defaults_without_a_problem() {
    let Settled { settings, problems } = Settings::from_parameters(None, &Operands::default()).unwrap();
    assert_eq!(problems, []);
    assert_eq!((settings.name.as_str(), settings.is_name_default), ("ZWESIS_STD", true));
    assert_eq!((settings.limits.calls_max, settings.limits.recovery_states_max), (1024, 8192));
    assert_eq!(settings.limits.drain_seconds, 30);
    assert_eq!(settings.monitor_user, line("ZWES.USER.MONITOR").default);
    assert!(!settings.is_inspect_on && settings.runas_uids.is_empty() && settings.ports.is_empty());
}

#[test]
fn every_known_key_reaches_its_setting() {
    let text = "\
COLD
DEBUG
RESET(LOOKUP)
ZWES.NAME=A
ZWES.PLUGIN.ECHO=ECHOPL01
ZWES.PLUGIN.ZISDYNAMIC=ZWESISDL
ZWES.PCSS_STACK_POOL_SIZE=7
ZWES.CHECKAUTH=YES
ZWES.AUTH.CLASS=ZOWE
ZWES.SECMGMT.CLASS=ZOWE
ZWES.SECMGMT.AUTOREFRESH=YES
ZWES.USER.FRONT=front
ZWES.SAF.DATABASE=/var/lib/tender/saf.db
ZWES.INSPECT=YES
ZWES.RUNAS.UIDS=2000-2999,1000,1001
ZWES.PORTS=80,443,1000-1023
ZWES.PLACE.current=/srv/a:/srv/b
ZWES.AUDIT.LINGER_MS=0
ZWES.CLIENT.bob.COLOUR=red
ZWES.PUBLIC.MOTTO=two words
";
    let Settled { settings, problems } = settled(text, "");
    assert_eq!(problems, []);
    assert!(settings.is_cold && settings.is_debug && settings.is_lookup_reset && settings.is_auth_checked);
    assert_eq!(settings.name.as_str(), "A");
    let modules: Vec<_> = settings.plugins.iter().map(|plugin| plugin.module.as_str()).collect();
    assert_eq!(modules, ["ECHOPL01", "ZWESISDL"]);
    assert_eq!(settings.limits.calls_max, 7);
    assert_eq!(settings.security_class.as_deref(), Some("ZOWE"));
    assert_eq!(settings.runas_uids.to_string(), "1000-1001,2000-2999");
    assert!(settings.ports.contains(443) && settings.ports.contains(1023) && !settings.ports.contains(444));
    assert_eq!(settings.places[0].directories.len(), 2);
    assert_eq!(settings.audit.linger_ms, 0);
    assert_eq!(settings.parameter("ZWES.PUBLIC.MOTTO").unwrap().value.as_deref(), Some("two words"));
}

#[test]
fn member_overrides_the_start_command() {
    let settings = settled("ZWES.DRAIN_SECONDS=9\n", "ZWES.DRAIN_SECONDS=8,ZWES.INSPECT=YES,MEM=00").settings;
    assert_eq!(settings.limits.drain_seconds, 9);
    assert!(settings.is_inspect_on, "what only the start command has counts");
    assert_eq!(settings.parameter("MEM"), None);
}

#[test]
fn name_counts_more_than_zwes_name() {
    assert_eq!(settled("ZWES.NAME=B\n", "NAME=A").settings.name.as_str(), "A");
    assert_eq!(settled("NAME=C\n", "NAME=A").settings.name.as_str(), "C");
    assert_eq!(settled("ZWES.NAME=B\n", "").settings.name.as_str(), "B");
}

#[test]
fn name_has_1_to_16_characters_and_is_never_cut() {
    assert_eq!("A234567890123456".parse::<ServerName>().unwrap().as_str().len(), 16);
    for (wrong, code) in [("", 44), ("A2345678901234567", 45), ("lower", 8), ("A B", 8), ("../X", 8)] {
        assert_eq!(wrong.parse::<ServerName>().unwrap_err().return_code(), code, "{wrong}");
    }
    let operands = Operands::parse("NAME=A2345678901234567").unwrap();
    let error = Settings::from_parameters(None, &operands).unwrap_err();
    assert_eq!(error.return_code(), 45);
}

#[test]
fn unknown_key_is_told_with_the_nearest() {
    assert_eq!(
        told("ZWES.AUHT.CLASS=ZOWE\n"),
        ["ZWES0022W line 1: `ZWES.AUHT.CLASS` is unknown; is `ZWES.AUTH.CLASS` meant?"]
    );
    assert_eq!(
        told("ZWES.PLUGN.ECHO=A\n"),
        ["ZWES0022W line 1: `ZWES.PLUGN.ECHO` is unknown; is `ZWES.PLUGIN.ECHO` meant?"]
    );
    assert_eq!(told("ZWES.NAME =A\n"), ["ZWES0022W line 1: `ZWES.NAME ` is unknown; is `ZWES.NAME` meant?"]);
    assert_eq!(
        told("zwes.public.x=A\n"),
        ["ZWES0022W line 1: `zwes.public.x` is unknown; is `ZWES.PUBLIC.x` meant?"]
    );
    assert_eq!(told("SOMETHING.ELSE=A\n"), ["ZWES0022W line 1: `SOMETHING.ELSE` is unknown"]);
}

#[test]
fn keys_of_a_plug_in_that_is_there_are_its_own() {
    let text = "ZWES.PLUGIN.ECHO=ECHOPL01\nECHO.DEPTH=1\nZWES.ECHO.DEPTH=2\nECHOES.DEPTH=3\n";
    let Settled { settings, problems } = settled(text, "");
    assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["ECHOES.DEPTH"]);
    assert_eq!(settings.parameter("ECHO.DEPTH").unwrap().value.as_deref(), Some("1"));
    assert!(settings.parameter("ECHOES.DEPTH").is_some(), "unknown ones can be read all the same");
}

#[test]
fn value_that_is_none_leaves_the_default() {
    for (line, left) in [
        ("ZWES.PCSS_STACK_POOL_SIZE=many", 1024),
        ("ZWES.PCSS_STACK_POOL_SIZE=0", 1024),
        ("ZWES.PCSS_STACK_POOL_SIZE=-1", 1024),
        ("ZWES.PCSS_STACK_POOL_SIZE=99999999999999999999", 1024),
        ("ZWES.PCSS_STACK_POOL_SIZE=", 1024),
    ] {
        let Settled { settings, problems } = settled(line, "");
        assert_eq!(settings.limits.calls_max, left, "{line}");
        assert_eq!((problems.len(), problems[0].id()), (1, "ZWES0019W"), "{line}");
    }
}

#[test]
fn yes_in_small_letters_is_told_and_does_not_count() {
    let Settled { settings, problems } = settled("ZWES.CHECKAUTH=yes\n", "");
    assert!(!settings.is_auth_checked);
    assert_eq!(
        problems[0].to_string(),
        "line 1: `ZWES.CHECKAUTH` is `yes`; write `YES`; the default NO counts"
    );
}

#[test]
fn flag_with_a_value_does_nothing_and_is_told() {
    let Settled { settings, problems } = settled("COLD=YES\n", "DEBUG=1");
    assert!(!settings.is_cold && !settings.is_debug);
    assert_eq!(problems.len(), 2);
}

#[test]
fn word_of_the_start_command_that_is_none_is_told() {
    let problems = settled("", "NAME=A,COLT,ECHO.X").problems;
    assert_eq!(problems[0].id(), "ZWES0227W");
    assert_eq!(problems[0].to_string(), "start parameter: `COLT` is unknown; is `COLD` meant?");
    assert_eq!(problems[1].id(), "ZWES0022W");
}

#[test]
fn strict_makes_errors_of_problems() {
    let settled = settled("ZWES.STRICT=YES\nZWES.NAM=A\n", "");
    assert!(!settled.is_usable());
    assert_eq!(settled.problems[0].id(), "ZWES0022E");
}

#[test]
fn uid_0_is_never_in_a_range() {
    for wrong in ["0", "0-10", "1000,0", "4294967295", "10-5", "a", "", "1--2", "1000-", "+5"] {
        let Settled { settings, problems } = settled(&format!("ZWES.RUNAS.UIDS={wrong}\n"), "");
        assert!(settings.runas_uids.is_empty() && !problems.is_empty(), "{wrong}");
    }
    assert!(told("ZWES.RUNAS.UIDS=1-65535\n")[0].contains("belong to the system"));
}

#[test]
fn directories_are_absolute_and_lead_downwards() {
    for wrong in ["", "/", "a/b", "/a/../b", "/a:", "/a:b", "/a/./b"] {
        let settled = settled(&format!("ZWES.PLACE.X={wrong}\n"), "");
        assert!(settled.settings.places.is_empty() && settled.problems.len() == 1, "{wrong}");
    }
}

#[test]
fn user_is_a_name_or_a_number_but_never_root_by_number() {
    assert_eq!(settled("ZWES.USER.FRONT=1234\n", "").settings.front_user, "1234");
    for wrong in ["0", "00", "4294967295", "", "Bob", "a b", "-x"] {
        assert_eq!(told(&format!("ZWES.USER.FRONT={wrong}\n")).len(), 1, "{wrong}");
    }
}

#[test]
fn processes_that_share_a_user_or_are_root_are_told() {
    let text = "ZWES.USER.FRONT=one\nZWES.USER.MONITOR=one\nZWES.USER.AUXILIARY=root\n";
    assert_eq!(told(text).len(), 2, "{:?}", told(text));
}

proptest! {
    #[test]
    fn ranges_hold_exactly_what_was_written(spans in proptest::collection::vec((1_u32..200, 0_u32..20), 1..8)) {
        let text: Vec<_> = spans.iter().map(|(first, more)| format!("{first}-{}", first + more)).collect();
        let ranges = Ranges::parse(&text.join(","), 1, 1000).unwrap();
        for number in 0..300 {
            let is_in = spans.iter().any(|(first, more)| (*first..=first + more).contains(&number));
            prop_assert_eq!(ranges.contains(number), is_in);
        }
        prop_assert_eq!(Ranges::parse(&ranges.to_string(), 1, 1000).unwrap(), ranges);
    }

    #[test]
    fn known_key_with_one_mistake_is_recognised(
        key in prop::sample::select(KEYS.iter().filter(|key| !key.is_family() && key.name.len() > 4).collect::<Vec<_>>()),
        at in any::<prop::sample::Index>(),
    ) {
        let mut name = key.name.to_owned();
        name.remove(at.index(name.len()));
        prop_assert!(known_key(&name).is_some() || nearest_key(&name).is_some(), "{}", name);
    }

    #[test]
    fn any_parameters_become_settings_or_one_error(text in "(ZWES\\.(NAME|PLUGIN\\.A|PORTS|PLACE\\.X)|[A-Z.]{0,9}|NAME)(=[ -~]{0,20})?") {
        let member = Member::parse("X", text.as_bytes());
        let Ok(member) = member else { return Ok(()) };
        if let Err(error) = Settings::from_parameters(Some(&member), &Operands::default()) {
            prop_assert!([8, 44, 45].contains(&error.return_code()));
        }
    }
}
