//! What is counted, and told to operators.

use tender_xmem::frame::Header;

use super::Front;
use crate::link::{Asked, Report, ReportedConnection};

/// Buckets of the histogram: up to 2^n milliseconds.
const WAITS: usize = 16;

/// What the front counts.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) calls: u64,
    refused: u64,
    services: Vec<[u64; 3]>,
    waits: Vec<u64>,
    pub(crate) rings: usize,
}

impl Counters {
    fn of(&mut self, service: u16) -> &mut [u64; 3] {
        if self.services.is_empty() {
            self.services = vec![[0; 3]; 128];
        }
        &mut self.services[usize::from(service).min(127)]
    }

    /// A service of the front's own was called.
    pub(crate) fn served(&mut self, service: u16) {
        self.of(service)[0] += 1;
    }

    pub(crate) fn refused(&mut self, what: &Asked) {
        self.refused += 1;
        match what {
            Asked::Gate => {}
            Asked::Service(service) => self.of(*service)[1] += 1,
            Asked::Plugin { .. } | Asked::Specific { .. } => self.of(64)[1] += 1,
        }
    }

    /// Something that took time was answered.
    pub(crate) fn finished(&mut self, reply: &Header, took_ms: u64) {
        self.waits.resize(WAITS, 0);
        let bucket = (u64::BITS - took_ms.leading_zeros()) as usize;
        self.waits[bucket.min(WAITS - 1)] += 1;
        if reply.code != crate::wire::DENIED {
            let counts = self.of(reply.service);
            counts[0] += 1;
            counts[2] += u64::from(reply.code != 0);
        }
    }
}

impl Front {
    pub(super) fn report(&self) -> Report {
        let mut connections: Vec<ReportedConnection> = self
            .connections
            .iter()
            .map(|connection| ReportedConnection {
                id: connection.who.id,
                uid: connection.who.uid,
                pid: connection.who.pid,
                program: connection.who.program.clone(),
                client: connection.client.clone(),
                calls: connection.calls,
                in_flight: connection.in_flight.len(),
                has_ring: connection.ring.is_some(),
            })
            .collect();
        connections.sort_by_key(|connection| connection.id);
        let counters = &self.shared.counters;
        let services = counters.services.iter().zip(0..).filter(|(counts, _)| **counts != [0; 3]);
        Report {
            connections,
            calls: counters.calls,
            refused: counters.refused,
            in_flight: self.shared.admission.calls() as usize,
            services: services
                .map(|([calls, refused, failed], id)| (id, *calls, *refused, *failed))
                .collect(),
            waits: counters.waits.clone(),
            rings: counters.rings,
        }
    }
}
