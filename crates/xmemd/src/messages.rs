//! Every message of the server, with its number.
//!
//! Numbers are the reference's where the meaning is equal; those from 0260 on are ours. The last letter is the severity:
//! I information, W warning, E error. `{}` stands for what differs.

use std::fmt::{Display, Write as _};

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// The number.
    pub id: &'static str,
    /// The words.
    pub words: &'static str,
}

impl Text {
    /// Puts values in the places kept for them.
    pub fn with(self, values: &[&dyn Display]) -> String {
        let mut text = String::with_capacity(self.id.len() + self.words.len() + 32);
        text.push_str(self.id);
        text.push(' ');
        let mut values = values.iter();
        for (index, part) in self.words.split("{}").enumerate() {
            if index > 0 {
                match values.next() {
                    Some(value) => write!(text, "{value}").expect("writing to a string cannot fail"),
                    None => text.push('?'),
                }
            }
            text.push_str(part);
        }
        text
    }
}

macro_rules! catalogue {
    ($($name:ident = $id:literal $words:literal;)*) => {
        $(#[doc = $words] pub const $name: Text = Text { id: $id, words: $words };)*
        /// All of them, by number.
        pub const ALL: &[Text] = &[$($name),*];
    };
}

catalogue! {
    STARTING = "ZWES0001I" "Cross-memory server starting, version {}{}";
    PARAMETERS = "ZWES0002I" "Parameters: {}";
    NAME_DEFAULTED = "ZWES0003I" "Server name not given, default value {} is used";
    NAME = "ZWES0004I" "Server name is {}";
    BAD_SUFFIX = "ZWES0007E" "Member suffix `{}` is not valid: two characters A-Z 0-9 $ # @";
    MEMBER_UNREADABLE = "ZWES0008E" "Member {} cannot be read: {}";
    MEMBER_MISSING = "ZWES0009E" "Member {} not found in {}; create it (an empty file will do) or name another with MEM=";
    NOT_STARTED = "ZWES0011E" "The server did not start: {}";
    TERMINATED = "ZWES0012I" "Terminated";
    TERMINATED_WITH_ERROR = "ZWES0013E" "Terminated with error, {}";
    FATAL_CONFIGURATION = "ZWES0014E" "Configuration error: {}";
    SERVICE_INSTALLED = "ZWES0016I" "Service {} version {} is installed";
    PLUGIN_FAILED = "ZWES0017W" "Plug-in {}: {}";
    PLUGIN_VERSION = "ZWES0018W" "Plug-in {}: version {} replaces version {}";
    BAD_VALUE = "ZWES0019W" "{} has the value `{}`, which is {}; {} is used";
    CLIENT_DUMP = "ZWES0101I" "{}";
    STEP_FAILED = "ZWES0102E" "Step `{}` failed: {}";
    STEP_DONE = "ZWES0103I" "Step `{}` done";
    CONSOLE_STARTING = "ZWES0104I" "Commands are taken at {}";
    CORE_STARTING = "ZWES0105I" "Initialization of {} started";
    CORE_FAILED = "ZWES0106E" "Initialization failed: {}";
    COLD_START = "ZWES0107I" "Cold start: what the last server of this name left is discarded";
    COLD_NOTHING = "ZWES0108W" "Cold start: {}";
    READY = "ZWES0109I" "Ready: {}, generation {}, {} services, {} plug-ins";
    MAIN_LOOP_FAILED = "ZWES0110E" "The server ends unexpectedly: {}";
    MAIN_LOOP_ENDED = "ZWES0111I" "No more calls are taken";
    STOP_STEP_FAILED = "ZWES0112E" "Step `{}` of the stop failed: {}";
    STOP_STEP_DONE = "ZWES0113I" "Step `{}` of the stop done";
    STOPPED = "ZWES0114I" "All processes have ended";
    STOPPED_WITH_ERROR = "ZWES0115E" "Stopped with error: {}";
    COMMANDS = "ZWES0200I" "Commands: {}";
    DUPLICATE = "ZWES0202E" "Server {} is already run by process {} since {} (version {}); stop that one first";
    LOCK_FAILED = "ZWES0203E" "The lock of {} cannot be taken: {}";
    TOO_MANY_TOKENS = "ZWES0217E" "Too many words in a command: at most 32";
    COMMAND_TOO_LONG = "ZWES0218E" "Command too long: {} bytes of at most 64";
    NOT_TOKENISED = "ZWES0219E" "Command cannot be split into words: {}";
    COMMAND_RECEIVED = "ZWES0220I" "Command `{}` received from {}";
    COMMAND_ACCEPTED = "ZWES0221I" "Command `{}` accepted";
    DISPLAY = "ZWES0222I" "{}";
    STOP_RECEIVED = "ZWES0223I" "Stop received: calls under way may finish";
    ARGUMENT_COUNT = "ZWES0224W" "{} takes {}";
    BAD_COMPONENT = "ZWES0225W" "Log component `{}` is not known: STC, CMS, CMSPC";
    BAD_LEVEL = "ZWES0226W" "Log level `{}` is not known: SEVERE, WARNING, INFO, DEBUG, DEBUG2, DEBUG3";
    UNKNOWN_COMMAND = "ZWES0227W" "Command `{}` is not known{}";
    EMPTY_COMMAND = "ZWES0228W" "The command is empty";
    NOT_READY = "ZWES0229W" "The server is not ready for commands";
    BAD_OPTION = "ZWES0230W" "DISPLAY does not know `{}`: {}";
    COMMAND_REJECTED = "ZWES0242W" "Command `{}` rejected: {}";
    TOO_MANY_COMMANDS = "ZWES0243W" "Too many commands in progress: at most 30";
    DEV_MODE = "ZWES0247W" "Development mode is on: never leave it on where real work is done";
    NOT_PRIVILEGED = "ZWES0248W" "Not run by root: everything runs as uid {}, services that need privilege answer 99";
    LOOKUP_DISCARDED = "ZWES0256I" "RESET(LOOKUP): there is no look-up routine here, nothing to discard";
    UNKNOWN_KEY = "ZWES0260W" "{}";
    CHILD_ENDED = "ZWES0261W" "Process {} ({}) ended: {}; it is started again in {} ms";
    CHILD_STARTED = "ZWES0262I" "Process {} started, pid {}, uid {}, sandbox: {}";
    MEMBER_OF_PARAMETERS = "ZWES0263I" "Member {} read from {}";
    RELOADED = "ZWES0264I" "Parameters read again: {}";
    RELOAD_FAILED = "ZWES0265W" "Parameters are not changed: {}";
    CONNECTION_REFUSED = "ZWES0266W" "Connection of uid {} pid {} refused: {}";
    POLICY_LOADED = "ZWES0267I" "Profiles of {} are in force, epoch {}";
    POLICY_FAILED = "ZWES0268E" "Profiles cannot be read, the old ones stay in force: {}";
    AUDIT_FAILED = "ZWES0269E" "The audit log cannot be written: {}; access is refused";
    REPLACING = "ZWES0270I" "Replacement by {} begins";
    REPLACED = "ZWES0271I" "Replacement done: generation {}, version {}";
    REPLACE_FAILED = "ZWES0272W" "Nothing is replaced: {}";
    DRAINED = "ZWES0273I" "The replaced processes have ended{}";
    LOG_DROPPED = "ZWES0274W" "{} lines of log were left out: they came faster than they could be written";
    FRONT_LOST = "ZWES0275W" "The front ended with {} connections; their clients connect anew";
    PROTOCOL = "ZWES0276W" "Connection {} of uid {} pid {} ended: {}";
    NAMES_LATE = "ZWES0277W" "The name service did not answer in time for uid {}; it counts as a user without a name";
    WORKER_FAILED = "ZWES0278W" "Worker {}: {}";
    REFUSED = "ZWES0279W" "Refused: {} {} of class {} to {} (connection {}, uid {}): {}";
    LOG_LEVEL = "ZWES0280I" "Log level of {} is {}";
    FLUSHED = "ZWES0281I" "All lines of log are written";
    COLD_REFUSED = "ZWES0282W" "{} is taken at the start only: stop the server and start it with {}";
    REFUSED_MORE = "ZWES0283W" "Refused {} more times within {} s to uid {}: {}; the audit log has each of them";
    PLUGIN_RELOADED = "ZWES0284I" "Plug-in {}: {}";
    RELOADED_LATER = "ZWES0285I" "Counts from {}: {}";
    NOT_STARTED_AGAIN = "ZWES0286W" "Process {} cannot be started: {}; it is tried again in {} ms";
    RELOADED_WITHOUT = "ZWES0287I" "{} does not count: {}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_end_with_a_severity() {
        let mut ids: Vec<&str> = ALL.iter().map(|text| text.id).collect();
        assert!(ids.iter().all(|id| id.len() == 9 && id.ends_with(['I', 'W', 'E'])), "{ids:?}");
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        assert!(ids.is_sorted(), "{ids:?}");
    }

    #[test]
    fn values_stand_where_places_are_kept() {
        assert_eq!(NAME.with(&[&"X"]), "ZWES0004I Server name is X");
        assert_eq!(NAME.with(&[]), "ZWES0004I Server name is ?");
    }
}
