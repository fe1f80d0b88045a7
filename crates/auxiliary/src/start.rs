//! The start string of a host: `MOD=<module>,COMM=<descriptor>,<parameter>`.

use std::fmt;

use tender_xmem::plugin::CONTROL_DESCRIPTOR;

/// The longest parameter of a plug-in, in bytes. Source: 7.2.
pub const PARAMETER_BYTES_MAX: usize = 200;

/// The longest name of a module, in bytes.
const MODULE_BYTES_MAX: usize = 8;

/// Says why there can be no such start string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The module's name is not one.
    #[error("`{}` is not the name of a module: 1 to 8 characters A-Z, 0-9, $, # or @", module.escape_debug())]
    Module {
        /// What was given.
        module: String,
    },
    /// The parameter is too long or cannot be typed.
    #[error("the parameter of module {module} must be at most {PARAMETER_BYTES_MAX} printable characters")]
    Parameter {
        /// Whose.
        module: String,
    },
}

/// What a host is started with.
///
/// Shape: the module, and text for the plug-in which nobody else reads. `Display` gives the argument of the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartString {
    module: String,
    parameter: String,
}

impl StartString {
    /// Makes one. Limits: 8 characters for the module, [`PARAMETER_BYTES_MAX`] for the parameter.
    pub fn new(module: &str, parameter: &str) -> Result<Self, StartError> {
        let is_module = (1..=MODULE_BYTES_MAX).contains(&module.len())
            && module
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"$#@".contains(&byte));
        if !is_module {
            return Err(StartError::Module { module: module.to_owned() });
        }
        let is_typed = parameter.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if parameter.len() > PARAMETER_BYTES_MAX || !is_typed {
            return Err(StartError::Parameter { module: module.to_owned() });
        }
        Ok(Self { module: module.to_owned(), parameter: parameter.to_owned() })
    }

    /// Returns the module's name.
    pub fn module(&self) -> &str {
        &self.module
    }
}

impl fmt::Display for StartString {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "MOD={},COMM={CONTROL_DESCRIPTOR}", self.module)?;
        if self.parameter.is_empty() { Ok(()) } else { write!(formatter, ",{}", self.parameter) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_string_with_parameter_is_written_as_the_reference_has_it() {
        let start = StartString::new("ECHOPL01", "LEVEL=2 X").unwrap();
        assert_eq!(start.to_string(), "MOD=ECHOPL01,COMM=3,LEVEL=2 X");
        assert_eq!(StartString::new("E", "").unwrap().to_string(), "MOD=E,COMM=3");
    }

    #[test]
    fn start_string_with_bad_module_or_parameter_is_refused() {
        for module in ["", "lower", "NINECHARS", "A/B", "A B"] {
            assert!(matches!(StartString::new(module, ""), Err(StartError::Module { .. })), "{module}");
        }
        let longest = "p".repeat(PARAMETER_BYTES_MAX);
        assert!(StartString::new("M", &longest).is_ok());
        for parameter in [longest + "p", "two\nlines".to_owned(), "nul\0".to_owned()] {
            assert!(matches!(StartString::new("M", &parameter), Err(StartError::Parameter { .. })));
        }
    }
}
