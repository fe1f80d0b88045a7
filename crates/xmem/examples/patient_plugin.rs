//! A plug-in whose service takes long, and gives up when nobody waits for it any more.

use std::time::{Duration, Instant};

use tender_xmem::plugin::{Failure, Plugin};

/// The plug-in's own code: the work was given up.
const GIVEN_UP: u32 = 33;
/// How long a piece of the work takes.
const PIECE: Duration = Duration::from_millis(5);

fn main() -> std::process::ExitCode {
    Plugin::new("PATIENT", "PTNT", 1)
        .service("WORK", 1, |call| {
            while call.deadline().is_none_or(|deadline| Instant::now() < deadline) {
                if call.is_cancelled() {
                    return Err(Failure::new(GIVEN_UP, "nobody waits"));
                }
                std::thread::park_timeout(PIECE);
            }
            Ok(b"done".to_vec())
        })
        .run()
}
