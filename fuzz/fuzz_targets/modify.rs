//! An operator command of any text is one of those that there are, or is refused with a message and a code.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tender_xmemd::command;

fuzz_target!(|text: &str| match command::understand(text) {
    Ok(understood) => {
        assert!(text.len() <= command::BYTES_MAX);
        match &understood.target {
            None => assert!(command::names().contains(&&*understood.verb), "{understood:?}"),
            Some(target) => assert!((1..=4).contains(&target.len()), "{understood:?}"),
        }
        let is_word =
            |word: &String| !word.is_empty() && !word.contains(' ') && !word.chars().any(char::is_control);
        assert!(understood.arguments.iter().all(is_word), "{understood:?}");
    }
    Err(refused) => {
        assert!(refused.code == 4 || refused.code == 8, "{refused:?}");
        assert!(!refused.lines.is_empty() && refused.lines.iter().all(|line| line.starts_with("ZWES0")));
    }
});
