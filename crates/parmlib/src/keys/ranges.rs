//! Sets of numbers, written as `1000-1999,2005`.

use std::fmt;

use serde::Serialize;

/// From one number to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The first.
    pub first: u32,
    /// The last; not before the first.
    pub last: u32,
}

/// A set of numbers; in order, no two spans touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Ranges {
    spans: Vec<Span>,
}

/// Says why text is no set of numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RangesError {
    /// Not a number or a range.
    #[error("`{0}` is neither a number nor a range such as 1000-1999")]
    Word(String),
    /// The wrong way round.
    #[error("range `{0}` ends before it begins")]
    Backwards(String),
    /// Outside of what is allowed.
    #[error("{number} is not from {min} to {max}")]
    Outside {
        /// The number.
        number: u32,
        /// The smallest that is allowed.
        min: u32,
        /// The largest that is allowed.
        max: u32,
    },
}

impl Ranges {
    /// Reads a set; every number lies between `min` and `max`.
    pub fn parse(text: &str, min: u32, max: u32) -> Result<Self, RangesError> {
        let mut spans = Vec::new();
        for word in text.split(',').map(str::trim) {
            let number = |digits: &str| {
                let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                let parsed = is_number.then(|| digits.parse().ok()).flatten();
                parsed.ok_or_else(|| RangesError::Word(word.to_owned()))
            };
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let span = Span { first: number(first)?, last: number(last)? };
            if span.last < span.first {
                return Err(RangesError::Backwards(word.to_owned()));
            }
            if let Some(number) = [span.first, span.last].into_iter().find(|end| *end < min || *end > max) {
                return Err(RangesError::Outside { number, min, max });
            }
            spans.push(span);
        }
        Ok(Self::of(spans))
    }

    fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.first);
        let mut joined: Vec<Span> = Vec::new();
        for span in spans {
            match joined.last_mut() {
                Some(before) if span.first <= before.last.saturating_add(1) => {
                    before.last = before.last.max(span.last);
                }
                _ => joined.push(span),
            }
        }
        Self { spans: joined }
    }

    /// Says whether a number is in the set.
    #[must_use]
    pub fn contains(&self, number: u32) -> bool {
        let after = self.spans.partition_point(|span| span.first <= number);
        after > 0 && number <= self.spans[after - 1].last
    }

    /// Says whether nothing is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the spans in order.
    #[must_use]
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, span) in self.spans.iter().enumerate() {
            if position > 0 {
                formatter.write_str(",")?;
            }
            if span.first == span.last {
                write!(formatter, "{}", span.first)?;
            } else {
                write!(formatter, "{}-{}", span.first, span.last)?;
            }
        }
        Ok(())
    }
}
