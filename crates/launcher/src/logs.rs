//! Reading log files of components back, for when no launcher runs that could be asked.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::layout::Layout;

/// How far back a file is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

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
        lines.append(&mut last_of_both(component, &path, count)?);
    }
    lines.sort_by_key(|line| line.at_ms);
    let from = lines.len().saturating_sub(count);
    Ok(lines.split_off(from))
}

fn directory(layout: &Layout) -> PathBuf {
    layout.logs.join(&layout.ha_id)
}

/// Reads a log and, when it is too short, the one that was rotated before it.
fn last_of_both(component: &str, path: &Path, count: usize) -> io::Result<Vec<LoggedLine>> {
    let mut lines = last_of(component, path, count)?;
    if lines.len() < count {
        let mut rotated = path.as_os_str().to_owned();
        rotated.push(".1");
        let mut earlier = last_of(component, Path::new(&rotated), count - lines.len())?;
        earlier.append(&mut lines);
        lines = earlier;
    }
    Ok(lines)
}

fn last_of(component: &str, path: &Path, count: usize) -> io::Result<Vec<LoggedLine>> {
    let text = match end_of(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut at_ms = 0;
    let mut found = Vec::new();
    for line in &lines[lines.len().saturating_sub(count)..] {
        let (time, text) = parse(line);
        // A line without a time stands where the one before it does.
        at_ms = time.unwrap_or(at_ms);
        found.push(LoggedLine { component: component.to_owned(), text, at_ms });
    }
    Ok(found)
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line is cut when the file does not begin here.
    let whole = if from == 0 { &*text } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    Ok(whole.to_owned())
}

/// Takes time and text out of a line of either form that the supervisor writes.
fn parse(line: &str) -> (Option<i64>, String) {
    #[derive(serde::Deserialize)]
    struct Object {
        at: jiff::Timestamp,
        text: String,
    }
    if line.starts_with('{')
        && let Ok(object) = serde_json::from_str::<Object>(line)
    {
        return (Some(object.at.as_millisecond()), object.text);
    }
    let stamped = line.split_at_checked(23).and_then(|(stamp, rest)| {
        let time = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S%.f", stamp).ok()?;
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
        let (_, text) = rest.strip_prefix(" <")?.split_once("> ")?;
        Some((Some(time.as_millisecond()), text.to_owned()))
    });
    stamped.unwrap_or_else(|| (None, line.to_owned()))
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
