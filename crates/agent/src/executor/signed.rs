//! What the newest signed metadata received says of a level.

use tender_package::manifest::target;
use tender_package::repository::{RepositoryError, Verified};
use tender_package::{LevelRef, Mode};

use super::{Context, trusted_root};
use crate::chain;
use crate::home::Verifier;

/// What the newest metadata says of a level, when it can be had.
///
/// LOAD wrote STABLE into the record only because signed metadata said so; what is received later can take it back
/// but metadata that merely grew old cannot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Signed {
    State(Mode),
    Unavailable(String),
}

/// Reads what was received last.
pub(super) fn state(context: &Context<'_>, level: &LevelRef) -> Signed {
    let home = context.home;
    let Ok(root) = trusted_root(home) else { return Signed::Unavailable("no trusted root".to_owned()) };
    let state =
        Verified::load(&home.received(&level.vrm), &root, &home.datastore(&level.vrm, Verifier::Executor))
            .and_then(|verified| verified.custom(&target::manifest(level)));
    match state {
        Ok(Some(custom)) => Signed::State(custom.state),
        Ok(None) => Signed::Unavailable("nothing is signed about it".to_owned()),
        Err(RepositoryError::UnknownTarget { .. }) => {
            Signed::Unavailable("it is no longer listed".to_owned())
        }
        Err(error) => Signed::Unavailable(chain(&error)),
    }
}
