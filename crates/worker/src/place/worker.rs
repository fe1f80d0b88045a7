//! Which orders are carried out.

use std::os::fd::OwnedFd;

use super::directory::Place;
use super::file::File;
use super::{Action, PlaceOrder, PlaceOutcome, PlaceSettings, link};
use crate::order::Refusal;

/// The work of kind `place`.
#[derive(Debug)]
pub(crate) struct Places {
    settings: PlaceSettings,
    /// Counts orders, so that names of unfinished files differ.
    orders: u64,
}

impl Places {
    pub(crate) fn new(settings: PlaceSettings) -> Self {
        Self { settings, orders: 0 }
    }

    /// Carries an order out.
    pub(crate) fn place(
        &mut self,
        order: &PlaceOrder,
        descriptor: Option<&OwnedFd>,
    ) -> Result<PlaceOutcome, Refusal> {
        let settings = &self.settings;
        if !settings.roots.contains(&order.root) {
            return Err(Refusal::not_allowed(format!(
                "`{}` is not a root of the settings",
                order.root.display()
            )));
        }
        self.orders += 1;
        let place = Place::open(&order.root, &order.name)?;
        place.tidy();
        match &order.action {
            Action::Put { content, digest, mode, uid, gid, replace, expected } => {
                let (mode, uid, gid, replace) = (*mode, *uid, *gid, *replace);
                let expected = expected.as_deref();
                let file = File { content, digest, mode, uid, gid, replace, expected };
                file.check(settings)?;
                file.put(&place, descriptor, settings, self.orders)
            }
            Action::Link { target } => link::set(&place, target, self.orders),
            Action::Exchange { with, expected } => link::exchange(&place, with, expected),
            Action::Remove { digest } => link::remove(&place, digest.as_deref()),
        }
    }
}
