//! How a process ended.

use std::fmt;

use rustix::process::WaitStatus;

use super::signal;

/// How a process ended, as its parent is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    how: How,
    /// The kernel killed it for want of memory.
    pub(crate) is_out_of_memory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Code(i32),
    Signal(i32),
    /// Somebody else was told.
    Unknown,
}

impl Ending {
    pub(crate) fn from_wait(status: WaitStatus) -> Self {
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => How::Code(code),
            (None, Some(number)) => How::Signal(number),
            (None, None) => How::Unknown,
        };
        Self { how, is_out_of_memory: false }
    }

    /// The end of a process whose parent was another.
    pub(crate) fn unknown() -> Self {
        Self { how: How::Unknown, is_out_of_memory: false }
    }

    #[cfg(test)]
    pub(crate) fn from_code(code: i32) -> Self {
        Self { how: How::Code(code), is_out_of_memory: false }
    }

    #[cfg(test)]
    pub(crate) fn from_signal(number: i32) -> Self {
        Self { how: How::Signal(number), is_out_of_memory: false }
    }

    pub(crate) fn code(&self) -> Option<i32> {
        if let How::Code(code) = self.how { Some(code) } else { None }
    }

    pub(crate) fn signal(&self) -> Option<i32> {
        if let How::Signal(number) = self.how { Some(number) } else { None }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.how == How::Code(0)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.how {
            How::Code(code) => write!(f, "exit {code}")?,
            How::Signal(number) => write!(f, "signal {}", signal::name(number))?,
            How::Unknown => f.write_str("unknown status")?,
        }
        if self.is_out_of_memory { f.write_str(" (out of memory)") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ending_is_shown_as_code_or_signal_name() {
        assert_eq!(Ending::from_code(3).to_string(), "exit 3");
        assert_eq!(Ending::from_signal(9).to_string(), "signal KILL");
        let ending = Ending { is_out_of_memory: true, ..Ending::from_signal(9) };
        assert_eq!(ending.to_string(), "signal KILL (out of memory)");
    }
}
