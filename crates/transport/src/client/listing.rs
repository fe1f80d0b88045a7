//! Reading the machine-readable directory listing.

use super::Entry;

/// One line of an `MLSD` answer: `fact=value;fact=value; name`. The directory itself and its parent are left
/// out.
pub(super) fn parse_line(line: &str) -> Result<Option<Entry>, String> {
    let (facts, name) = line.trim_start().split_once(' ').ok_or_else(|| line.to_owned())?;
    let mut entry = Entry { name: name.to_owned(), size: 0, is_dir: false };
    for fact in facts.split(';').filter(|fact| !fact.is_empty()) {
        let (key, value) = fact.split_once('=').ok_or_else(|| line.to_owned())?;
        match key.to_ascii_lowercase().as_str() {
            "type" if value.eq_ignore_ascii_case("file") => {}
            "type" if value.eq_ignore_ascii_case("dir") => entry.is_dir = true,
            "type" => return Ok(None),
            "size" => entry.size = value.parse().map_err(|_| line.to_owned())?,
            _ => {}
        }
    }
    if name.is_empty() || name.contains('/') {
        return Err(line.to_owned());
    }
    Ok((name != "." && name != "..").then_some(entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_with_facts_in_any_case_and_order_is_read() {
        let found = parse_line("Size=12;modify=20260101000000;TYPE=file; a name with spaces").unwrap();
        assert_eq!(found, Some(Entry { name: "a name with spaces".into(), size: 12, is_dir: false }));
        let found = parse_line("type=dir;size=4096; sub").unwrap();
        assert_eq!(found, Some(Entry { name: "sub".into(), size: 4096, is_dir: true }));
    }

    #[test]
    fn line_of_the_directory_itself_is_left_out() {
        for line in ["type=cdir; .", "type=pdir; ..", "type=dir; .", "type=OS.unix=slink:; link"] {
            assert_eq!(parse_line(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn line_that_makes_no_sense_is_given_back() {
        for line in ["", "type=file;size=1;", "size=many;type=file; a", "nonsense name", "type=file; a/b"] {
            assert_eq!(parse_line(line), Err(line.to_owned()), "{line}");
        }
    }
}
