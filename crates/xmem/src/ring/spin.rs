//! How long to look before sleeping.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Looks between two looks at the clock: about a microsecond or two of them. Who asks the clock does not look meanwhile.
const LOOKS: u32 = 1024;
/// The shortest time that is worth spinning.
const FLOOR_NS: u32 = 1_000;
/// A wait out of this many spins although it did not pay off lately: the load may have changed.
const PROBE: u32 = 64;
/// Times that the processor is given up before sleeping, when the other end shares it.
const YIELDS: u32 = 2;

/// Adaptive spinning of one thread that waits for another one.
///
/// ```text
///   peer elsewhere:   look for up to the budget; paid off → budget doubles, did not → budget halves, then 0
///   peer here:        give up the processor once or twice, if that has paid off lately
///   then:             sleep (the caller does that)
/// ```
///
/// Without word of the other end it spins if more than one processor is allowed; with word, if the other end is elsewhere. On a
/// machine with one processor that is never. A budget of 0 is tried again in one wait of 64.
#[derive(Clone, Debug)]
pub struct Spin {
    limit_ns: u32,
    budget_ns: u32,
    yields: u32,
    waits: u32,
    parallel: bool,
}

impl Spin {
    /// Spins for at most `limit`; none for a limit of 0.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        let limit_ns = u32::try_from(limit.as_nanos()).unwrap_or(u32::MAX);
        Self { limit_ns, budget_ns: limit_ns, yields: YIELDS, waits: 0, parallel: processors() > 1 }
    }

    /// Looks with `ready` for as long as it seems worth it; `true` as soon as `ready` says so, `false`: sleep.
    ///
    /// `peer` is the processor on which the other end was seen last.
    pub fn until(&mut self, peer: Option<u32>, mut ready: impl FnMut() -> bool) -> bool {
        if ready() {
            return true;
        }
        if self.limit_ns == 0 {
            return false;
        }
        self.waits = self.waits.wrapping_add(1);
        // Where the other end was seen says more than where this one may run: both may be pinned, each to its own.
        let apart = peer.map_or(self.parallel, |peer| peer != processor());
        if !apart {
            return self.give_up_processor(ready);
        }
        self.look(ready)
    }

    fn look(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let budget_ns = match self.budget_ns {
            0 if self.waits.is_multiple_of(PROBE) => FLOOR_NS,
            0 => return false,
            budget_ns => budget_ns,
        };
        // The clock is asked when the first looks have found nothing.
        let mut begin = None;
        loop {
            for _ in 0..LOOKS {
                if ready() {
                    self.budget_ns = budget_ns.saturating_mul(2).min(self.limit_ns);
                    return true;
                }
            }
            // A pause takes about as long as a cache line from one processor to another: not after every look.
            std::hint::spin_loop();
            if begin.get_or_insert_with(Instant::now).elapsed() >= Duration::from_nanos(budget_ns.into()) {
                self.budget_ns = if budget_ns / 2 < FLOOR_NS { 0 } else { budget_ns / 2 };
                return false;
            }
        }
    }

    fn give_up_processor(&mut self, mut ready: impl FnMut() -> bool) -> bool {
        let yields = if self.yields == 0 && self.waits.is_multiple_of(PROBE) { 1 } else { self.yields };
        for _ in 0..yields {
            rustix::thread::sched_yield();
            if ready() {
                self.yields = YIELDS;
                return true;
            }
        }
        self.yields = yields.saturating_sub(1);
        false
    }
}

/// How many processors this process may run on.
#[must_use]
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    *PROCESSORS.get_or_init(|| {
        rustix::thread::sched_getaffinity(None)
            .map_or(1, |set| usize::try_from(set.count()).unwrap_or(1))
            .max(1)
    })
}

/// The processor that this thread runs on now.
pub(super) fn processor() -> u32 {
    u32::try_from(rustix::thread::sched_getcpu()).unwrap_or(u32::MAX)
}

/// The processor for the stamps of one writer: asked now and then, since it is no more than a hint.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    processor: u32,
    uses: u32,
}

impl Whereabouts {
    /// Stamps between two questions.
    const USES: u32 = 16;

    pub(super) fn processor(&mut self) -> u32 {
        if self.uses.is_multiple_of(Self::USES) {
            self.processor = processor();
        }
        self.uses = self.uses.wrapping_add(1);
        self.processor
    }
}

#[cfg(test)]
mod tests {
    use super::Spin;
    use std::time::Duration;

    fn spin() -> Spin {
        Spin { parallel: true, ..Spin::new(Duration::from_micros(8)) }
    }

    #[test]
    fn spin_that_never_pays_off_stops_spinning_and_tries_again_now_and_then() {
        let mut spin = spin();
        for _ in 0..8 {
            assert!(!spin.until(None, || false));
        }
        let mut looks = Vec::new();
        for _ in 0..128 {
            let mut count = 0;
            spin.until(None, || {
                count += 1;
                false
            });
            looks.push(count);
        }
        assert!(looks.iter().filter(|count| **count > 1).count() <= 2, "looked {looks:?}");
        assert!(looks.iter().any(|count| *count > 1), "never tried again");
    }

    #[test]
    fn spin_that_pays_off_goes_on() {
        let mut spin = spin();
        for _ in 0..20 {
            let mut left = 10;
            assert!(spin.until(None, || {
                left -= 1;
                left == 0
            }));
        }
        assert_eq!(spin.budget_ns, spin.limit_ns);
    }

    #[test]
    fn spin_with_a_limit_of_nothing_looks_once() {
        let mut count = 0;
        assert!(!Spin::new(Duration::ZERO).until(None, || {
            count += 1;
            false
        }));
        assert_eq!(count, 1);
    }
}
