//! Audit records and the chain they make: who changed what, when and how it ended.
//!
//! Each line holds the digest of the line before, so that none can be changed, taken out or put in without every
//! later line contradicting it. Both ends need the shape: a managed system writes its log, the principal follows it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tender_content::Digest;

use crate::report::AuditHead;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRecord {
    /// Number of the line, from 1.
    pub seq: u64,
    /// When, by the clock of the machine that wrote it.
    pub at: Timestamp,
    /// Digest of the line before; of nothing for the first.
    pub prev: Digest,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Who asked.
    pub who: String,
    /// The verb.
    pub what: String,
    /// What it was about: a level, a component, a request.
    pub subject: String,
    /// How it ended.
    pub result: String,
}

/// Says why lines do not go on where a log ended.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A line is not a record.
    #[error("line {line} is not a record")]
    Malformed {
        /// Which line.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A line does not follow from the one before.
    #[error("line {line} does not follow from the line before: the log was changed")]
    Broken {
        /// Which line.
        line: u64,
    },
}

/// Returns where a log without lines ends.
#[must_use]
pub fn beginning() -> AuditHead {
    AuditHead { count: 0, last: Digest::of(b"") }
}

/// Checks one line, without its line feed, that follows where the log ended, and returns it and the new end.
pub fn follow_line(end: AuditHead, line: &[u8]) -> Result<(AuditHead, AuditRecord), ChainError> {
    let number = end.count + 1;
    let record: AuditRecord =
        serde_json::from_slice(line).map_err(|source| ChainError::Malformed { line: number, source })?;
    if record.seq != number || record.prev != end.last {
        return Err(ChainError::Broken { line: number });
    }
    Ok((AuditHead { count: number, last: Digest::of(line) }, record))
}

/// Checks whole lines that follow where a log ended; returns the new end and how many bytes are whole lines.
///
/// A last line without its line feed is still being written and is left for the next time.
pub fn follow(mut end: AuditHead, bytes: &[u8]) -> Result<(AuditHead, usize), ChainError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |feed| feed + 1);
    for line in bytes[..whole].split_inclusive(|byte| *byte == b'\n') {
        end = follow_line(end, &line[..line.len() - 1])?.0;
    }
    Ok((end, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(subjects: &[&str]) -> Vec<u8> {
        let (mut bytes, mut end) = (Vec::new(), beginning());
        for subject in subjects {
            let event = AuditEvent {
                who: "op".to_owned(),
                what: "LOAD".to_owned(),
                subject: (*subject).to_owned(),
                result: "0".to_owned(),
            };
            let record = AuditRecord { seq: end.count + 1, at: Timestamp::UNIX_EPOCH, prev: end.last, event };
            let line = serde_json::to_vec(&record).unwrap();
            end = AuditHead { count: record.seq, last: Digest::of(&line) };
            bytes.extend(line);
            bytes.push(b'\n');
        }
        bytes
    }

    #[test]
    fn log_is_followed_from_wherever_it_was_left() {
        let bytes = log(&["one", "two", "three"]);
        let first = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (end, taken) = follow(beginning(), &bytes[..first + 5]).unwrap();
        assert_eq!((end.count, taken), (1, first));
        let (end, taken) = follow(end, &bytes[first..]).unwrap();
        assert_eq!((end.count, taken), (3, bytes.len() - first));
    }

    #[test]
    fn log_that_was_changed_does_not_follow() {
        let mut bytes = log(&["one", "two", "three"]);
        let at = bytes.windows(3).position(|word| word == b"two").unwrap();
        bytes[at] = b'T';
        assert!(matches!(follow(beginning(), &bytes), Err(ChainError::Broken { line: 3 })));
        let other = log(&["uno", "two"]);
        let first = other.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let (end, _) = follow(beginning(), &log(&["one"])).unwrap();
        assert!(matches!(follow(end, &other[first..]), Err(ChainError::Broken { line: 2 })));
    }
}
