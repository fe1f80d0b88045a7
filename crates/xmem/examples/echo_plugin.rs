//! A plug-in with one service that gives back what it gets, counts its calls, and keeps the count for its next start.
//!
//! Put it on the list of authorised modules and into PARMLIB: `ZWES.PLUGIN.ECHO=ECHOPL01`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tender_xmem::plugin::{CommandStatus, Failure, Plugin};

/// Longer requests are refused with the plug-in's own code 33.
const REQUEST_BYTES_MAX: usize = 1024 * 1024;

fn main() -> std::process::ExitCode {
    let calls = Arc::new(AtomicU64::new(0));
    let (counted, shown, restored) = (Arc::clone(&calls), Arc::clone(&calls), calls);
    Plugin::new("ECHO", "ECHO", 1)
        .service("ECHO", 1, move |call| {
            counted.fetch_add(1, Ordering::Relaxed);
            if call.request().len() > REQUEST_BYTES_MAX {
                return Err(Failure::new(33, "longer than 1 MiB"));
            }
            Ok(call.request().to_vec())
        })
        .service("WHOAMI", 1, |call| Ok(format!("uid {}", call.caller().uid).into_bytes()))
        .command(move |text| match text {
            "COUNT" => (CommandStatus::Consumed, shown.load(Ordering::Relaxed).to_string()),
            "D STATUS" | "DIS STATUS" | "DISPLAY STATUS" => {
                (CommandStatus::Consumed, format!("ECHO is ready, {} calls", shown.load(Ordering::Relaxed)))
            }
            _ => (CommandStatus::Unknown, String::new()),
        })
        .init(move |startup| {
            if let Some(anchor) = startup.anchor("")
                && let Some(count) = anchor.first_chunk()
            {
                restored.store(u64::from_le_bytes(*count), Ordering::Relaxed);
            }
            let mut anchor = [0; 64];
            anchor[..8].copy_from_slice(&(restored.load(Ordering::Relaxed) + 1).to_le_bytes());
            startup.keeper().keep("", &anchor).map_err(|error| error.to_string())
        })
        .run()
}
