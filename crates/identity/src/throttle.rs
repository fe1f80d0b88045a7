//! How often somebody may guess: token buckets, in bounded memory.
//!
//! A bucket holds `burst` attempts and refills at `per_minute`. One that is full again is forgotten. When there is no room
//! for another, those that find none share one bucket, so that whoever fills the table gains nothing by it.

use std::collections::HashMap;
use std::hash::Hash;

use crate::clock::Moment;
use crate::name::UserName;

/// How fast attempts are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Attempts that may come at once; at least 1.
    pub burst: u32,
    /// Attempts that come back in a minute; at least 1.
    pub per_minute: u32,
}

/// Thousandths of a millisecond's part of a minute: one attempt in the unit that buckets count.
const UNIT: u64 = 60_000;

impl Rate {
    fn full(self) -> u64 {
        u64::from(self.burst.max(1)) * UNIT
    }

    /// Units that come back in a millisecond; a minute brings `per_minute` attempts exactly.
    fn per_ms(self) -> u64 {
        u64::from(self.per_minute.max(1))
    }
}

/// Says that somebody must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the next attempt is possible in {wait_ms} ms")]
pub struct Throttled {
    /// For how long, in milliseconds.
    pub wait_ms: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What is left, in units.
    left: u64,
    /// When that was so, by the steady clock.
    at_ms: u64,
}

impl Bucket {
    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.left = self.left.saturating_add(passed_ms.saturating_mul(rate.per_ms())).min(rate.full());
        self.at_ms = now_ms.max(self.at_ms);
    }

    fn take(&mut self, rate: Rate, now_ms: u64) -> Result<(), Throttled> {
        self.refill(rate, now_ms);
        match self.left.checked_sub(UNIT) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Throttled { wait_ms: (UNIT - self.left).div_ceil(rate.per_ms()) }),
        }
    }
}

/// Counts attempts of many.
#[derive(Debug)]
pub struct Throttle<K> {
    rate: Rate,
    keys_max: usize,
    buckets: HashMap<K, Bucket>,
    /// For those who find no room.
    shared: Bucket,
    /// When full buckets are looked for again, by the steady clock.
    sweep_at_ms: u64,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// Makes one for at most so many keys at once.
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        let shared = Bucket { left: rate.full(), at_ms: 0 };
        Self { rate, keys_max, buckets: HashMap::new(), shared, sweep_at_ms: 0 }
    }

    /// Takes one attempt.
    ///
    /// Errors: [`Throttled`] when there is none left; then nothing was taken.
    pub fn take(&mut self, moment: Moment, key: &K) -> Result<(), Throttled> {
        let now_ms = moment.steady_ms;
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(self.rate, now_ms);
        }
        if self.buckets.len() >= self.keys_max {
            self.sweep(now_ms);
        }
        if self.buckets.len() >= self.keys_max {
            return self.shared.take(self.rate, now_ms);
        }
        let mut bucket = Bucket { left: self.rate.full(), at_ms: now_ms };
        let taken = bucket.take(self.rate, now_ms);
        self.buckets.insert(key.clone(), bucket);
        taken
    }

    /// Gives one attempt back that was taken: it was not a wrong guess.
    pub fn give_back(&mut self, moment: Moment, key: &K) {
        let bucket = self.buckets.get_mut(key).unwrap_or(&mut self.shared);
        bucket.refill(self.rate, moment.steady_ms);
        bucket.left = bucket.left.saturating_add(UNIT).min(self.rate.full());
    }

    /// Forgets those that are full again, at most once in the time in which one attempt comes back.
    fn sweep(&mut self, now_ms: u64) {
        if now_ms < self.sweep_at_ms {
            return;
        }
        let rate = self.rate;
        self.buckets.retain(|_, bucket| {
            bucket.refill(rate, now_ms);
            bucket.left < rate.full()
        });
        self.sweep_at_ms = now_ms.saturating_add(UNIT / rate.per_ms());
    }

    /// Returns how many are counted one by one.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Returns whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// How a [`CheckThrottle`] behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckThrottleOptions {
    /// Of one caller, about anybody.
    pub caller: Rate,
    /// Of one caller about one subject.
    pub pair: Rate,
    /// About one subject, from anybody.
    pub subject: Rate,
    /// Of each of the three, how many are counted at once.
    pub keys_max: usize,
}

impl Default for CheckThrottleOptions {
    fn default() -> Self {
        Self {
            caller: Rate { burst: 60, per_minute: 60 },
            pair: Rate { burst: 5, per_minute: 5 },
            subject: Rate { burst: 20, per_minute: 10 },
            keys_max: 8192,
        }
    }
}

/// Bounds how often passwords are checked: for each caller, each subject, and each of both together.
///
/// The pair's bound is the tightest: who guesses runs into it before using up what others have for the same subject.
/// Right passwords are given back and never run into any bound.
#[derive(Debug)]
pub struct CheckThrottle {
    callers: Throttle<u32>,
    pairs: Throttle<(u32, UserName)>,
    subjects: Throttle<UserName>,
}

impl CheckThrottle {
    /// Makes one.
    pub fn new(options: CheckThrottleOptions) -> Self {
        Self {
            callers: Throttle::new(options.caller, options.keys_max),
            pairs: Throttle::new(options.pair, options.keys_max),
            subjects: Throttle::new(options.subject, options.keys_max),
        }
    }

    /// Takes an attempt of a caller (by uid) at a subject, before the check.
    ///
    /// Errors: [`Throttled`]; then the check must not be made, and nothing was taken.
    pub fn take(&mut self, moment: Moment, caller: u32, subject: &UserName) -> Result<(), Throttled> {
        let pair = (caller, subject.clone());
        self.callers.take(moment, &caller)?;
        if let Err(throttled) = self.pairs.take(moment, &pair) {
            self.callers.give_back(moment, &caller);
            return Err(throttled);
        }
        if let Err(throttled) = self.subjects.take(moment, subject) {
            self.pairs.give_back(moment, &pair);
            self.callers.give_back(moment, &caller);
            return Err(throttled);
        }
        Ok(())
    }

    /// Gives the attempt back: the proof was right.
    pub fn succeeded(&mut self, moment: Moment, caller: u32, subject: &UserName) {
        self.callers.give_back(moment, &caller);
        self.pairs.give_back(moment, &(caller, subject.clone()));
        self.subjects.give_back(moment, subject);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(steady_ms: u64) -> Moment {
        Moment { unix_s: 0, steady_ms }
    }

    const RATE: Rate = Rate { burst: 3, per_minute: 6 };

    #[test]
    fn attempts_run_out_and_come_back_one_by_one() {
        let mut throttle = Throttle::new(RATE, 10);
        for _ in 0..3 {
            throttle.take(at(0), &"BOB").unwrap();
        }
        assert_eq!(throttle.take(at(0), &"BOB"), Err(Throttled { wait_ms: 10_000 }));
        assert_eq!(throttle.take(at(9_999), &"BOB"), Err(Throttled { wait_ms: 1 }));
        throttle.take(at(10_000), &"BOB").unwrap();
        assert!(throttle.take(at(10_000), &"BOB").is_err());
        throttle.take(at(10_000), &"EVE").unwrap();
        throttle.give_back(at(10_000), &"BOB");
        throttle.take(at(10_000), &"BOB").unwrap();
        // A steady clock that goes back gives nothing.
        assert!(throttle.take(at(0), &"BOB").is_err());
    }

    #[test]
    fn table_that_is_full_is_shared_and_frees_itself() {
        let mut throttle = Throttle::new(RATE, 2);
        for name in ["A", "B"] {
            throttle.take(at(0), &name).unwrap();
        }
        for name in ["C", "D", "E"] {
            throttle.take(at(0), &name).unwrap();
        }
        assert!(throttle.take(at(0), &"F").is_err(), "all who find no room share one bucket");
        assert_eq!(throttle.len(), 2);
        throttle.take(at(600_000), &"F").unwrap();
        assert_eq!(throttle.len(), 1);
    }

    #[test]
    fn guessing_caller_does_not_lock_others_out() {
        let mut throttle = CheckThrottle::new(CheckThrottleOptions::default());
        let bob: UserName = "BOB".parse().unwrap();
        let taken = (0..100).filter(|_| throttle.take(at(0), 1000, &bob).is_ok()).count();
        assert_eq!(taken, 5);
        throttle.take(at(0), 1001, &bob).unwrap();
        throttle.succeeded(at(0), 1001, &bob);
        for _ in 0..1000 {
            throttle.take(at(0), 1002, &bob).unwrap();
            throttle.succeeded(at(0), 1002, &bob);
        }
        // Many callers together are bounded by the subject.
        let taken = (2000..3000).filter(|caller| throttle.take(at(0), *caller, &bob).is_ok()).count();
        assert_eq!(taken, 15);
        // One caller with many subjects is bounded by itself.
        let subject = |number: u32| format!("U{number}").parse::<UserName>().unwrap();
        let taken = (0..1000).filter(|number| throttle.take(at(0), 7, &subject(*number)).is_ok()).count();
        assert_eq!(taken, 60);
    }

    proptest! {
        #[test]
        fn never_more_than_burst_and_refill(
            steps in proptest::collection::vec((0_u64..5_000, 0_u8..6), 1..400),
            keys_max in 1_usize..8,
        ) {
            let mut throttle = Throttle::new(RATE, keys_max);
            let mut now_ms = 0;
            let mut taken = HashMap::<u8, u64>::new();
            for (pause_ms, key) in steps {
                now_ms += pause_ms;
                if throttle.take(at(now_ms), &key).is_ok() {
                    *taken.entry(key).or_default() += 1;
                }
                prop_assert!(throttle.len() <= keys_max);
            }
            // A key may use the shared bucket first and its own after.
            let bound = 2 * (3 + now_ms * 6 / 60_000 + 1);
            prop_assert!(taken.values().all(|count| *count <= bound), "{taken:?} {bound}");
        }
    }
}
