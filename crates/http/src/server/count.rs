//! How many connections there are, altogether and of each address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits::Limits;

#[derive(Debug, Default)]
struct Held {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Counts connections.
#[derive(Debug, Clone)]
pub(super) struct Count {
    held: Arc<Mutex<Held>>,
    most: usize,
    most_of_address: usize,
}

/// There are as many as there may be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    pub(super) limit: usize,
    pub(super) is_of_address: bool,
}

/// A connection that is counted until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    held: Arc<Mutex<Held>>,
    address: IpAddr,
}

impl Count {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            held: Arc::default(),
            most: limits.connections,
            most_of_address: limits.connections_per_address,
        }
    }

    pub(super) fn take(&self, address: IpAddr) -> Result<Place, Full> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.all >= self.most {
            return Err(Full { limit: self.most, is_of_address: false });
        }
        let of_address = held.by_address.entry(address).or_default();
        if *of_address >= self.most_of_address {
            return Err(Full { limit: self.most_of_address, is_of_address: true });
        }
        *of_address += 1;
        held.all += 1;
        Ok(Place { held: Arc::clone(&self.held), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= 1;
        if let Some(of_address) = held.by_address.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                held.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_is_free_again_when_its_connection_has_ended() {
        let limits = Limits { connections: 2, connections_per_address: 1, ..Limits::default() };
        let count = Count::new(&limits);
        let [one, two, three] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let first = count.take(one).unwrap();
        assert_eq!(count.take(one).unwrap_err(), Full { limit: 1, is_of_address: true });
        let second = count.take(two).unwrap();
        assert_eq!(count.take(three).unwrap_err(), Full { limit: 2, is_of_address: false });
        drop(first);
        let third = count.take(one).unwrap();
        drop((second, third));
        assert!(count.held.lock().unwrap().by_address.is_empty());
    }
}
