//! A script of any text is carried out whole or refused, and what it leaves contradicts nothing and reads back the same.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use tender_saf::{Context, Database, Script};

fuzz_target!(|text: &str| {
    let context = Context { who: "ROOT".parse().expect("a name") };
    let mut database = Database::initial();
    let symbols = BTreeMap::from([("USER".to_owned(), "BOB".to_owned())]);
    let Ok(script) = Script::parse(text, &symbols) else { return };
    match script.plan(&database, &context) {
        Ok(plan) => {
            database.apply(&plan.changes).expect("the plan is for this database");
            assert_eq!(database.dangling(), Vec::<String>::new());
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});
