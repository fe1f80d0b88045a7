//! A member of any text is read or refused; settings come of it; and what is set in it reads back while the rest stays.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_parmlib::{Change, Member, Operands, Settings, merge, set};

fuzz_target!(|input: (&str, &str, &str)| {
    let (text, start, value) = input;
    let Ok(operands) = Operands::parse(start) else { return };
    let Ok(member) = Member::parse("FUZZ", text.as_bytes()) else { return };
    if let Ok(settled) = Settings::from_parameters(Some(&member), &operands) {
        assert!((1..=16).contains(&settled.settings.name.as_str().len()));
        assert!(!settled.settings.runas_uids.contains(0));
    }
    let change = Change::Set { key: "ZWES.PUBLIC.FUZZ".to_owned(), value: value.to_owned() };
    let Ok(edited) = set(text, &[change]) else { return };
    let after = Member::parse("FUZZ", edited.text.as_bytes()).expect("what was written is a member");
    let counted = after.parameter("ZWES.PUBLIC.FUZZ").expect("it was set");
    assert_eq!(counted.value.as_deref().unwrap_or_default(), value);
    let others = |member: &Member| -> Vec<(String, Option<String>)> {
        let kept = member.parameters().iter().filter(|parameter| parameter.key != "ZWES.PUBLIC.FUZZ");
        kept.map(|parameter| (parameter.key.clone(), parameter.value.clone())).collect()
    };
    assert_eq!(others(&member), others(&after));
    if let Ok(once) = merge(None, text, &edited.text) {
        let twice = merge(Some(&edited.text), &once.text, &edited.text).expect("what was merged is a member");
        assert_eq!(once.text, twice.text);
    }
});
