//! How a service trusts whom it asks.

use std::time::Duration;

use tender_catalog::Outward;
use tender_certificate::tls::Roots;

use super::Named;
use super::options::Serving;
use crate::error::CommandError;

/// How long an answer of another service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads what others are trusted by, and what is shown to them.
pub(crate) fn outward(named: Named, serving: &Serving) -> Result<Outward, CommandError> {
    let (roots, identity) = match &serving.tls {
        Some(files) => {
            let key = files.key().map_err(|fault| named.tls(fault))?;
            (files.roots().map_err(|fault| named.tls(fault))?, Some(key))
        }
        None => (Roots::of(Vec::new()), None),
    };
    Ok(Outward { mode: serving.verify, roots, identity, timeout: TIMEOUT })
}
