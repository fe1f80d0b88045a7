//! `tender agent run` and `tender agent execute`: receiver and executor, two processes.

use std::io::Write as _;

use tender_agent::executor::ExecuteError;
use tender_agent::receiver::{self, Listening};
use tender_agent::{LockError, execute as carry_out};
use tender_package::{Message, Outcome, ReturnCode, Severity};

use super::{Shell, failed, open};
use crate::error::CommandError;

/// Serves until a signal ends it.
pub(super) fn run(shell: &Shell) -> Result<Outcome, CommandError> {
    let home = open(shell)?;
    if home.config().clear_text_allowed {
        tell(
            "CSM0073W sessions without TLS are allowed here: everything they carry can be read and changed on the way",
        );
    }
    let program = std::env::current_exe().map_err(failed("find this program", ReturnCode::Outside))?;
    let executor = vec![
        program.into(),
        "--home".into(),
        shell.home.clone().into(),
        "--quiet".into(),
        "agent".into(),
        "execute".into(),
    ];
    receiver::run(&home, executor, &mut |listening| match listening {
        Listening::Enrolment(at) => {
            tell(&format!("CSM0075I {} listens at {at}; it waits to be enrolled", home.config().name));
        }
        Listening::Requests(at) => {
            tell(&format!("CSM0076I {} listens at {at} for its principal", home.config().name));
        }
    })
    .map_err(failed("serve the principal", ReturnCode::Outside))?;
    let mut outcome = Outcome::default();
    outcome.say(Message::csm(77, Severity::I, "stopped as told"));
    Ok(outcome)
}

/// Says something while the agent goes on; without a reader it goes on all the same.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Carries out what was received, then ends.
pub(super) fn execute(shell: &Shell) -> Result<Outcome, CommandError> {
    let home = open(shell)?;
    let mut outcome = Outcome::default();
    if shell.is_check {
        for request in tender_agent::queue::open_requests(&home)
            .map_err(failed("read the requests", ReturnCode::Outside))?
        {
            outcome.say(Message::csm(
                78,
                Severity::I,
                format!("{} {} would be carried out", request.id, request.verb.word()),
            ));
        }
        return Ok(outcome);
    }
    let hooks = crate::activation::hooks(&home)?;
    let ended = match carry_out(&home, hooks.as_ref(), &shell.bars) {
        Ok(ended) => ended,
        Err(fault @ ExecuteError::Lock(LockError::Held { .. })) => {
            return Err(failed("carry out requests", ReturnCode::Busy)(fault));
        }
        Err(fault) => return Err(failed("carry out requests", ReturnCode::Outside)(fault)),
    };
    for (id, code) in &ended {
        outcome.say(Message::csm(79, Severity::I, format!("{id} ended with return code {}", *code as u8)));
        outcome.code = outcome.code.max(*code);
    }
    outcome.data = serde_json::json!(ended);
    Ok(outcome)
}
