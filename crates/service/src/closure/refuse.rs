//! Refusals of the closure: which chain, which cause, which command would cure it.

use tender_content::PartPath;
use tender_package::{ComponentName, FixId};

use crate::error::Refusal;

/// Why nothing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Every cause, in service order of the fix at fault.
    pub causes: Vec<Cause>,
}

/// One cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// From the fix that was wanted (or is on) to the fix at fault, each needing the next.
    pub chain: Vec<FixId>,
    /// What is wrong with the last.
    pub fault: Fault,
}

/// What is wrong with a fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It was never received.
    NotReceived,
    /// It was excluded.
    Excluded,
    /// It is held.
    Held {
        /// Class and reason.
        hold: String,
        /// The fix that would cure it.
        cured_by: Option<FixId>,
        /// A received fix that contains it.
        replaced_by: Option<FixId>,
        /// Number of the hold.
        number: i64,
    },
    /// It must not be together with another.
    MustNotBeWith {
        /// The other.
        other: FixId,
        /// Whether the other is on already.
        is_on: bool,
    },
    /// Fixes must each be on before the other.
    Cycle {
        /// The fixes in a ring.
        ring: Vec<FixId>,
    },
    /// Fixes contain each other.
    ContainsItself,
    /// It would put a part back behind another fix.
    Regression {
        /// The part.
        path: PartPath,
        /// The fix whose version would be lost.
        head: FixId,
    },
    /// Its component is not part of the level.
    UnknownComponent {
        /// The component.
        component: ComponentName,
    },
}

impl Cause {
    /// Returns one line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let last = self.chain.last().map_or("", FixId::as_str);
        let fault = match &self.fault {
            Fault::NotReceived => format!("{last} was not received"),
            Fault::Excluded => format!("{last} is excluded"),
            Fault::Held { hold, cured_by, .. } => match cured_by {
                Some(fix) => format!("{last} is kept off by {hold}, cured by {fix}"),
                None => format!("{last} is kept off by {hold}"),
            },
            Fault::MustNotBeWith { other, .. } => format!("{last} must not be on together with {other}"),
            Fault::Cycle { ring } => {
                let ring: Vec<_> = ring.iter().map(FixId::as_str).collect();
                format!("the prerequisites {} form a ring", ring.join(" -> "))
            }
            Fault::ContainsItself => format!("{last} supersedes itself through other fixes"),
            Fault::Regression { path, head } => format!(
                "regression: {last} would put back part `{path}`, which {head} changed; {last} neither supersedes nor has {head} as a prerequisite"
            ),
            Fault::UnknownComponent { component } => {
                format!("{last} is for component {component}, which the level does not have")
            }
        };
        match self.chain.as_slice() {
            [] | [_] => fault,
            chain => {
                let chain: Vec<_> = chain.iter().map(FixId::as_str).collect();
                format!("{} : {fault}", chain.join(" needs "))
            }
        }
    }

    /// Returns the operands of the command that would cure it; `level` is `720 LEVEL`.
    #[must_use]
    pub fn cure(&self, level: &str) -> String {
        let root = self.chain.first().map_or("", FixId::as_str);
        let last = self.chain.last().map_or("", FixId::as_str);
        let vrm = level.split(' ').next().unwrap_or_default();
        match &self.fault {
            Fault::NotReceived => {
                format!("add the envelope that holds {last} to the command, or --exclude {root}")
            }
            Fault::Excluded => {
                format!("--include {last} takes it off the excludes, or --exclude {root} as well")
            }
            Fault::Held { cured_by: Some(fix), .. } => {
                format!("add the envelope that holds {fix}, or --exclude {root}")
            }
            Fault::Held { replaced_by: Some(fix), .. } => format!("--select {fix}, which contains {last}"),
            Fault::Held { number, .. } => {
                format!("--exclude {root}, or `tender servmgr hold accept {level} {number} --reason WHY`")
            }
            Fault::MustNotBeWith { other, is_on: true } => {
                format!("--exclude {root}, or service a level that is without {other}")
            }
            Fault::MustNotBeWith { other, .. } => format!("--exclude {root} or --exclude {other}"),
            Fault::Cycle { .. } | Fault::ContainsItself => {
                format!("ask the vendor for a corrected envelope, or --exclude {root}")
            }
            Fault::Regression { head, .. } => {
                format!("ask the vendor for a fix that contains both {last} and {head}, or --exclude {root}")
            }
            Fault::UnknownComponent { .. } => {
                format!("see `tender servmgr srvlvl query {vrm} all`, or --exclude {root}")
            }
        }
    }
}

impl Refused {
    /// Turns it into a refusal of a verb; `level` is `720 LEVEL`.
    #[must_use]
    pub fn refusal(&self, level: &str) -> Refusal {
        let first = self.causes.first();
        let text = match self.causes.as_slice() {
            [only] => format!("nothing was put on level {level}: {}", only.line()),
            many => format!("nothing was put on level {level}, for {} reasons", many.len()),
        };
        let lines = self.causes.iter().map(|cause| format!("{}; cure: {}", cause.line(), cause.cure(level)));
        let refusal = Refusal::new(120, text).lines(lines);
        match first {
            Some(cause) => refusal.hint(cause.cure(level)),
            None => refusal,
        }
    }
}
