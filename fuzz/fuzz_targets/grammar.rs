//! A SERVMGR line of any words is rewritten or refused, and what came out is in its final form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_service::grammar::{canonical, phrases};

/// A flag is followed by a value exactly when a keyword with an operand stands for it.
fn takes_value(flag: &str) -> bool {
    let keywords = phrases().iter().flat_map(|phrase| phrase.keywords);
    keywords.into_iter().any(|keyword| keyword.flag == flag && keyword.takes != tender_service::grammar::Takes::Nothing)
}

fuzz_target!(|line: &str| {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    match canonical(&words, &takes_value) {
        Ok(flags) => {
            assert!(words.is_empty() || !flags.is_empty(), "words were lost: {words:?}");
            let again = canonical(&flags, &takes_value);
            assert_eq!(again.as_ref(), Ok(&flags), "the flag form of {words:?} is not final");
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});
