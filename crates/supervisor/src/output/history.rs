//! Reading back the last lines of log files.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::clock;

/// How far back a file is read, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// A line as it was logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// What the component printed.
    pub text: String,
    /// When, in milliseconds since 1970; 0 when neither this line nor one before it says so.
    pub at_ms: i64,
}

/// Returns the last lines of a log file, and of the one rotated before it if that is needed.
///
/// A file that is not there has none; of a large one the last mebibyte is read.
pub fn last_lines(path: &Path, count: usize) -> io::Result<Vec<Logged>> {
    let mut lines = last_of(path, count)?;
    if lines.len() < count {
        let mut before = path.as_os_str().to_owned();
        before.push(".1");
        let mut earlier = last_of(Path::new(&before), count - lines.len())?;
        earlier.append(&mut lines);
        lines = earlier;
    }
    Ok(lines)
}

fn last_of(path: &Path, count: usize) -> io::Result<Vec<Logged>> {
    let text = match read_end(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text?,
    };
    let lines: Vec<&str> = text.lines().collect();
    let mut at_ms = 0;
    let logged = lines[lines.len().saturating_sub(count)..].iter().map(|line| {
        let (time, text) = parse(line);
        // A line without a time stands where the one before it does.
        at_ms = time.unwrap_or(at_ms);
        Logged { text, at_ms }
    });
    Ok(logged.collect())
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(BYTES_MAX);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line is cut when the file does not begin here.
    Ok(if from == 0 {
        text
    } else {
        text.split_once('\n').map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    })
}

/// Takes time and text out of a line of either form.
fn parse(line: &str) -> (Option<i64>, String) {
    #[derive(serde::Deserialize)]
    struct Object {
        at: String,
        text: String,
    }
    if line.starts_with('{')
        && let Ok(object) = serde_json::from_str::<Object>(line)
    {
        let at = object.at.trim_end_matches('Z').replace('T', " ");
        return (clock::read_stamp(&at), object.text);
    }
    let stamped = line.split_at_checked(23).and_then(|(stamp, rest)| {
        let text = rest.strip_prefix(" <")?.split_once("> ").map_or("", |(_, text)| text);
        Some((Some(clock::read_stamp(stamp)?), text.to_owned()))
    });
    stamped.unwrap_or_else(|| (None, line.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_lines_reach_back_into_the_rotated_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        std::fs::write(dir.path().join("a.log.1"), "1970-01-01 00:00:00.001 <a:1> one\n").unwrap();
        std::fs::write(
            &path,
            "1970-01-01 00:00:00.002 <a:1> two > 1\n\
             {\"at\":\"1970-01-01T00:00:00.003Z\",\"component\":\"a\",\"pid\":1,\"text\":\"three\"}\n\
             else\n",
        )
        .unwrap();
        let lines: Vec<_> =
            last_lines(&path, 9).unwrap().into_iter().map(|line| (line.text, line.at_ms)).collect();
        let expected = [("one", 1), ("two > 1", 2), ("three", 3), ("else", 3)];
        assert_eq!(lines, expected.map(|(text, at)| (text.to_owned(), at)));
        assert_eq!(last_lines(&path, 1).unwrap().len(), 1);
        assert_eq!(last_lines(&dir.path().join("none"), 3).unwrap(), []);
    }
}
