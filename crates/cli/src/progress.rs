//! Progress bars on a terminal, nothing elsewhere.

use std::io::IsTerminal as _;
use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};
use tender_content::Progress;

/// Shows one bar at a time on standard error.
#[derive(Debug, Default)]
pub(crate) struct Bars {
    current: Mutex<Option<ProgressBar>>,
    is_shown: bool,
}

impl Bars {
    /// Shows bars when standard error is a terminal and nobody asked for silence.
    pub(crate) fn new(is_quiet: bool) -> Self {
        Self { current: Mutex::new(None), is_shown: !is_quiet && std::io::stderr().is_terminal() }
    }

    fn replace(&self, bar: Option<ProgressBar>) {
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *current, bar) {
            old.finish_and_clear();
        }
    }
}

impl Progress for Bars {
    fn begin(&self, what: &str, total: u64) {
        if !self.is_shown {
            return;
        }
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let template = if total == 0 {
            "{spinner} {msg} {human_pos}"
        } else {
            "{msg:30} {bar:30} {human_pos}/{human_len} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        self.replace(Some(bar));
    }

    fn advance(&self, by: u64) {
        if let Some(bar) = &*self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner) {
            bar.inc(by);
        }
    }

    fn end(&self) {
        self.replace(None);
    }
}
