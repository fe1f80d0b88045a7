//! What happens to the instances of a managed system when its slots change.
//!
//! ```text
//! PUT2PROD   validate and configure under the new level ─► switch ─► reload: restart what changed ─► READY in time?
//!                 │ no: nothing was touched                              │ no: the executor switches back, reload again
//!                                      the launcher ended meanwhile: it is started again, on the level that counts then
//! SEND (TEST   slot `test` ─► start the test instance ─► what it showed goes to the principal ─► stop it
//! ```

mod revival;
pub(crate) mod settings;

use std::cell::Cell;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tender_agent::hooks::HookError;
use tender_agent::{Home, LifecycleHooks, NoHooks};
use tender_launcher::activation::{self, ActivationError, NotReady, TestRequest, TestResult};
use tender_launcher::instance::{Instance, InstanceError, Place};
use tender_launcher::prepare::PrepareRequest;
use tender_launcher::progress::Event;
use tender_package::LevelRef;
use tender_package::report::{TestRun, TestedComponent};

use crate::commands::launcher::program;
use crate::error::CommandError;
use settings::{Bound, Settings};

/// Returns what a managed system does around a switch: nothing, when no instance follows its slots.
pub(crate) fn hooks(home: &Home) -> Result<Box<dyn LifecycleHooks>, CommandError> {
    use tender_package::ReturnCode;
    let settings = Settings::read(home.root()).map_err(crate::commands::agent::failed(
        "read which instances follow the slots",
        ReturnCode::Outside,
    ))?;
    Ok(match settings {
        None => Box::new(NoHooks),
        Some(settings) => Box::new(Instances { settings, has_run: Cell::new(false) }),
    })
}

/// The instances that follow the slots.
#[derive(Debug)]
struct Instances {
    settings: Settings,
    /// Production ran when this process first looked: it has to run afterwards.
    has_run: Cell<bool>,
}

impl Instances {
    /// Says whether the launcher of production runs, and notes when it does.
    fn runs(&self, production: &Bound) -> Result<bool, InstanceError> {
        let runs = revival::runs(&open(production)?.identity()?);
        self.has_run.set(self.has_run.get() || runs);
        Ok(runs)
    }

    /// Has production make a new plan and waits until it is ready; starts a launcher that ended meanwhile.
    fn reload(&self, production: &Bound) -> Result<Option<activation::Reloaded>, ActivationError> {
        let limit = Duration::from_millis(self.settings.ready_limit_ms);
        let instance = open(production)?;
        self.runs(production)?;
        let reload = || activation::reload_and_wait(&instance, limit, &|_: &Event| {});
        match reload() {
            Ok(None) if self.has_run.get() => {
                let directory = production.directory.display();
                tell(&format!("the launcher of {directory} has ended; it is started again"));
                revival::start(&instance, &program().map_err(no_program)?, limit)?;
                reload()
            }
            Err(fault @ ActivationError::Console(_)) => {
                revival::await_end(&instance.identity()?);
                Err(fault)
            }
            reloaded => reloaded,
        }
    }
}

impl LifecycleHooks for Instances {
    fn validate_and_configure(&self, level_dir: &Path) -> Result<(), HookError> {
        let Some(production) = &self.settings.production else { return Ok(()) };
        let trial = || -> Result<(), ActivationError> {
            self.runs(production)?;
            let request = PrepareRequest::full(&program().map_err(no_program)?);
            activation::validate_and_configure(&open(production)?, level_dir, &request, &|_: &Event| {})?;
            Ok(())
        };
        trial().map_err(|fault| refused(production, "is not fit for the level", fault))
    }

    fn restart_and_ready(&self, _current: &Path) -> Result<(), HookError> {
        let Some(production) = &self.settings.production else { return Ok(()) };
        match self.reload(production) {
            Ok(Some(reloaded)) => {
                let restarted = reloaded.changed.len() + reloaded.added.len();
                tell(&format!(
                    "{restarted} components of {} were restarted, {} kept their process",
                    production.directory.display(),
                    reloaded.unchanged.len()
                ));
                Ok(())
            }
            Ok(None) => {
                tell(&format!("{} does not run; nothing was restarted", production.directory.display()));
                Ok(())
            }
            Err(fault @ ActivationError::Console(_)) => {
                Err(refused(production, "has lost its launcher while components were restarted", fault))
            }
            Err(fault) => Err(refused(production, "did not become ready", fault)),
        }
    }

    fn test_run(&self, level: &LevelRef, _test: &Path) -> Option<TestRun> {
        let test = self.settings.test.as_ref()?;
        let began = Timestamp::now();
        let run = || -> Result<TestResult, ActivationError> {
            let request = TestRequest {
                program: program().map_err(no_program)?,
                limit: Duration::from_millis(self.settings.ready_limit_ms),
                is_kept: self.settings.is_test_kept,
            };
            activation::start_test(&open(test)?, &request)
        };
        Some(shown(level, began, run()))
    }
}

fn open(bound: &Bound) -> Result<Instance, InstanceError> {
    Instance::open(&Place::Directory(bound.directory.clone()), bound.ha_instance.as_deref())
}

/// The launcher executes this program again; without its path there is nothing to execute.
fn no_program(fault: CommandError) -> ActivationError {
    ActivationError::Refused { messages: vec![fault.to_string()] }
}

/// Says on the executor's standard error what is no failure; its caller's log has it.
fn tell(text: &str) {
    drop(writeln!(std::io::stderr(), "CSM0092I {text}"));
}

/// Makes a refusal that names instance, component, cause and last output, on one line.
fn refused(bound: &Bound, what: &str, fault: ActivationError) -> HookError {
    let directory = bound.directory.display();
    match fault {
        ActivationError::Unfit { faults } => {
            HookError::new(format!("instance {directory} {what}: {}", on_one_line(&faults)), None)
        }
        ActivationError::NotReady { components, .. } => {
            let lines: Vec<String> = components.iter().flat_map(NotReady::lines).collect();
            HookError::new(format!("instance {directory} {what}: {}", on_one_line(&lines)), None)
        }
        fault => HookError::new(format!("instance {directory} {what}"), Some(Box::new(fault))),
    }
}

fn on_one_line(lines: &[String]) -> String {
    let words: Vec<&str> = lines.iter().flat_map(|line| line.lines()).map(str::trim).collect();
    words.join(" | ")
}

/// Makes the proof of a test of what the test instance showed.
fn shown(level: &LevelRef, began: Timestamp, result: Result<TestResult, ActivationError>) -> TestRun {
    let run = |is_ready, took_ms, summary, components| TestRun {
        level: level.clone(),
        began,
        took_ms,
        is_ready,
        summary,
        components,
    };
    let result = match result {
        Ok(result) => result,
        Err(fault) => {
            let took_ms = Timestamp::now().duration_since(began).as_millis();
            let summary = tender_launcher::message::chain(&fault);
            return run(false, u64::try_from(took_ms).unwrap_or_default(), summary, Vec::new());
        }
    };
    let mut components = Vec::new();
    if let Some(status) = result.status {
        components.extend(status.components.into_iter().map(|one| TestedComponent {
            state: crate::commands::status::table::word(one.state).to_owned(),
            reason: one.reason.or(one.last_exit),
            output: one.last_output,
            name: one.name,
        }));
        components.extend(status.left_out.into_iter().map(|one| TestedComponent {
            name: one.name,
            state: "LEFT OUT".to_owned(),
            reason: Some(format!("{}: {}", one.phase, one.reason)),
            output: one.output,
        }));
    } else {
        components.push(TestedComponent {
            name: "(instance)".to_owned(),
            state: "NOT PREPARED".to_owned(),
            reason: None,
            output: result.faults,
        });
    }
    run(result.is_ready, result.took_ms, result.summary, components)
}
