//! What the supervisor says: ids and texts.
//!
//! Ids up to ZWEL0074 mean what they always meant. Those from ZWEL0075 are ours:
//!
//! | id | meaning |
//! |---|---|
//! | ZWEL0075I | the instance is ready |
//! | ZWEL0076I | a component is ready |
//! | ZWEL0077W | a component is degraded |
//! | ZWEL0078I | a component is well again |
//! | ZWEL0079W | a component is stopped because it failed |
//! | ZWEL0080E | a component ended with a code that means it must not be started again |
//! | ZWEL0081I | a component ended well and is not meant to be started again |
//! | ZWEL0082E | processes of a component live on after a kill |
//! | ZWEL0083W | processes of an earlier launcher were found and are stopped |
//! | ZWEL0084W | a limit of a component is not enforced |
//! | ZWEL0085W | output of a component cannot be written to its log |
//! | ZWEL0086I | output is written again |
//! | ZWEL0087W | a caller on the console is refused or dropped |
//! | ZWEL0088I | reload: what differs |
//! | ZWEL0089E | a new plan cannot be had or used |
//! | ZWEL0090E | what was waited for did not become ready |
//! | ZWEL0091I | what the planner says |
//! | ZWEL0092W | the state of the supervisor cannot be written down |
//! | ZWEL0093E | a request cannot be carried out |
//! | ZWEL0094W | how trees of processes are held, when not by cgroups |
//! | ZWEL0095W | a component the plan left out |
//! | ZWEL0096W | messages are missing here: nobody took them |

use crate::console::ConsoleMessage;
use crate::life::{Life, Notice};

/// Makes a message.
pub(crate) fn message(id: &str, text: impl Into<String>) -> ConsoleMessage {
    ConsoleMessage { id: id.to_owned(), text: text.into() }
}

/// Says what happened to a component.
pub(crate) fn of_notice(notice: &Notice, name: &str, pid: Option<i32>, life: &Life) -> ConsoleMessage {
    let reason = life.reason.as_deref().unwrap_or("no reason known");
    let process = pid.map_or_else(String::new, |pid| format!(" process {pid}"));
    let (id, text) = match notice {
        Notice::Started => ("ZWEL0001I", format!("component {name} started,{process}")),
        Notice::Ready { after_ms } => {
            ("ZWEL0076I", format!("component {name} is ready after {}", seconds(*after_ms)))
        }
        Notice::Degraded => ("ZWEL0077W", format!("component {name} is degraded: {reason}")),
        Notice::Recovered => ("ZWEL0078I", format!("component {name} is well again")),
        Notice::Ended { ending, after_ms } => (
            "ZWEL0004I",
            format!("component {name}{process} ended with {ending} after {}", seconds(*after_ms)),
        ),
        Notice::NotStarted => ("ZWEL0040E", format!("component {name} cannot be started: {reason}")),
        Notice::RetryIn { wait_ms, failures, is_slow } => {
            let slowly = if *is_slow { ", again and again at this interval" } else { "" };
            let after = format!("after {}{slowly}", plural(u64::from(*failures), "failure"));
            ("ZWEL0005I", format!("component {name} starts again in {} {after}", seconds(*wait_ms)))
        }
        Notice::NoRetryLeft { failures } => {
            let text = format!(
                "component {name} is not started again after {}: {reason}; `START({name})` starts it",
                plural(u64::from(*failures), "failure")
            );
            ("ZWEL0038E", text)
        }
        Notice::Fatal { code } => (
            "ZWEL0080E",
            format!("component {name} ended with the fatal code {code} and is not started again"),
        ),
        Notice::Failing => ("ZWEL0079W", format!("component {name} is stopped: {reason}")),
        Notice::KillFollows => {
            ("ZWEL0063W", format!("component {name} did not stop within its grace time and is killed"))
        }
        Notice::Stopped => ("ZWEL0002I", format!("component {name} stopped")),
        Notice::Done => ("ZWEL0081I", format!("component {name} ended well and is done")),
        Notice::Unkillable => (
            "ZWEL0082E",
            format!("processes of component {name} live on after a kill; the host needs a look"),
        ),
    };
    message(id, text)
}

/// Writes a time for people.
pub(crate) fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// Writes a number with its noun.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ending::Ending;

    #[test]
    fn message_of_an_end_names_process_and_status() {
        let notice = Notice::Ended { ending: Ending::from_signal(9), after_ms: 12_345 };
        let told = of_notice(&notice, "redis", Some(7), &Life::new());
        assert_eq!(told.id, "ZWEL0004I");
        assert_eq!(told.text, "component redis process 7 ended with signal KILL after 12.3 s");
    }
}
