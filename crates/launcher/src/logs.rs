//! Reading log files of components back, for when no launcher runs that could be asked.

use std::fs;
use std::io;
use std::path::PathBuf;

use tender_supervisor::history;

use crate::layout::Layout;

/// A line that a component printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Whose.
    pub component: String,
    /// What.
    pub text: String,
    /// When, in milliseconds since 1970; 0 when the line does not say it.
    pub at_ms: i64,
}

/// Lists the components that have logs in an HA instance, in order of their names.
pub fn components(layout: &Layout) -> io::Result<Vec<String>> {
    let directory = directory(layout);
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| name.strip_suffix(".log")).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Returns the last `count` lines of these components together, in order of their times.
///
/// A component that never printed anything has none; of lines of one component the order stays.
pub fn last_lines(layout: &Layout, components: &[String], count: usize) -> io::Result<Vec<LoggedLine>> {
    let mut lines = Vec::new();
    for component in components {
        let path = directory(layout).join(format!("{component}.log"));
        let logged = history::last_lines(&path, count)?.into_iter();
        lines.extend(logged.map(|history::Logged { text, at_ms }| LoggedLine {
            component: component.clone(),
            text,
            at_ms,
        }));
    }
    lines.sort_by_key(|line| line.at_ms);
    let from = lines.len().saturating_sub(count);
    Ok(lines.split_off(from))
}

fn directory(layout: &Layout) -> PathBuf {
    layout.logs.join(&layout.ha_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_logs_come_in_order_of_time_and_from_rotated_files_too() {
        let dir = tempfile::tempdir().unwrap();
        let layout =
            Layout { workspace: dir.path().to_owned(), logs: dir.path().to_owned(), ha_id: "one".to_owned() };
        assert_eq!(components(&layout).unwrap(), Vec::<String>::new());
        fs::create_dir(dir.path().join("one")).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join("one").join(name), text).unwrap();
        write("a.log.1", "1970-01-01 00:00:00.001 <a:1> first\n");
        write("a.log", "1970-01-01 00:00:00.003 <a:1> third > 1\nelse\n");
        write(
            "b.log",
            "{\"at\":\"1970-01-01T00:00:00.002Z\",\"component\":\"b\",\"pid\":1,\"text\":\"second\"}\n",
        );
        let names = components(&layout).unwrap();
        assert_eq!(names, ["a", "b"]);
        let texts = |count| -> Vec<(String, String)> {
            let lines = last_lines(&layout, &names, count).unwrap();
            lines.into_iter().map(|line| (line.component, line.text)).collect()
        };
        let expected = [("a", "first"), ("b", "second"), ("a", "third > 1"), ("a", "else")]
            .map(|(component, text)| (component.to_owned(), text.to_owned()));
        assert_eq!(texts(9), expected);
        assert_eq!(texts(2), expected[2..]);
    }
}
