//! What happens to running components around a switch.

use std::path::Path;

use tender_package::LevelRef;
use tender_package::report::TestRun;

/// Prepares a level before it becomes `current` and brings it up afterwards.
///
/// A hook may run twice for one switch, when the machine stopped in between; both must bear that.
pub trait LifecycleHooks {
    /// Checks and configures the level in `level_dir` before the switch. An error leaves everything as it was.
    fn validate_and_configure(&self, level_dir: &Path) -> Result<(), HookError>;

    /// Restarts what changed and waits until it is ready. An error makes the executor switch back.
    fn restart_and_ready(&self, current: &Path) -> Result<(), HookError>;

    /// Runs a test instance on the level that slot `test` names, when this system has one; says what it showed.
    ///
    /// A level that does not become ready stays in slot `test`: finding that out is what the slot is for.
    fn test_run(&self, _level: &LevelRef, _test: &Path) -> Option<TestRun> {
        None
    }
}

/// Says why a hook refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct HookError {
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl HookError {
    /// Makes an error that says what was not possible, such as "component `http` was not ready after 30 s".
    pub fn new(what: impl Into<String>, source: Option<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self { what: what.into(), source }
    }
}

/// Nothing runs that would need a restart.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl LifecycleHooks for NoHooks {
    fn validate_and_configure(&self, _level_dir: &Path) -> Result<(), HookError> {
        Ok(())
    }

    fn restart_and_ready(&self, _current: &Path) -> Result<(), HookError> {
        Ok(())
    }
}
