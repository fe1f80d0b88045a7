//! The index finds for any resource the profile that trying all of them in order of specificity finds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_saf::{
    AccessLevel, Compiled, Conditions, Database, Naming, Pattern, PatternMatcher, Profile, Question, Record, Rule, Subject,
};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let Some(resource) = lines.next() else { return };
    let mut database = Database::initial();
    let mut patterns = Vec::new();
    for name in lines.take(64) {
        let name = name.to_ascii_uppercase();
        if let Ok(pattern) = Pattern::parse(&name, Naming::General, 246) {
            patterns.push((pattern, name.clone()));
            let root = "ROOT".parse().expect("a name");
            database.insert(Record::Profile(Profile::new("FACILITY".parse().expect("a class"), name, root)));
        }
    }
    let conditions = Conditions::default();
    let question = Question { class: "FACILITY", resource, level: AccessLevel::Read, conditions };
    let compiled = Compiled::new(&database);
    let found = match compiled.decide(&Subject::default(), &question).rule {
        Rule::Profile { name, .. } => Some(Pattern::parse(name, Naming::General, 246).expect("it was read before")),
        Rule::NoResource => return,
        _ => None,
    };
    let resource = resource.to_ascii_uppercase();
    let discrete = patterns.iter().find(|(pattern, name)| !pattern.is_generic() && *name == resource);
    let wanted = match discrete {
        Some((pattern, _)) => Some(pattern.clone()),
        None => {
            let generic = patterns.into_iter().map(|(pattern, _)| pattern).filter(Pattern::is_generic);
            PatternMatcher::new(generic.collect()).find(&resource).cloned()
        }
    };
    assert_eq!(found, wanted, "{resource}");
});
