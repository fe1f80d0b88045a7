//! Measures which systems miss a fix, over 10 000 systems.
//!
//! ```text
//! cargo run --release -p tender-service --example query_bench
//! ```
//!
//! Prints one line of JSON: milliseconds, the best of five.

use std::time::Instant;

use tender_service::Principal;
use tender_service::query::bench;

fn best_ms(mut work: impl FnMut()) -> f64 {
    (0..5)
        .map(|_| {
            let began = Instant::now();
            work();
            began.elapsed().as_secs_f64() * 1000.0
        })
        .fold(f64::MAX, f64::min)
}

fn query_ms(systems: usize) -> Result<f64, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let principal = Principal::open(directory.path())?;
    bench::fill(&principal, systems, 200, 50)?;
    let mut rows = 0;
    let ms = best_ms(|| rows = bench::missing(&principal, "UM000049").map_or(0, |names| names.len()));
    if rows == 0 || rows == systems {
        return Err("the bench's fleet does not answer as it was made".into());
    }
    Ok(ms)
}

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("{}", serde_json::json!({ "systems_missing_a_fix_of_10000_ms": query_ms(10_000)? }));
    Ok(())
}
