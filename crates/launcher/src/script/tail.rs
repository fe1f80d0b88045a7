//! The last command of a start script, made to take the place of the shell.
//!
//! A start script that runs its server in the foreground leaves a shell between the supervisor and the server, which
//! hides how the server ended. `bash -c` replaces itself by the last command, `dash -c` does not. So `exec` is put in
//! front of the last command where reading the text shows that this changes nothing else. Scripts of the reference put
//! their one server into the background and end with `wait`: without that line the shell ends, and the supervisor, which
//! follows what a script leaves behind, sees how the server itself ends. In every doubt the text stays as it is and the
//! supervisor follows the tree.

/// Words that begin a last line which is no simple command of a program.
const NOT_PROGRAMS: &[&str] = &[
    "!", ".", ":", "[", "[[", "alias", "bg", "break", "builtin", "case", "cd", "command", "continue",
    "declare", "do", "done", "echo", "elif", "else", "esac", "eval", "exec", "exit", "export", "false", "fg",
    "fi", "for", "function", "getopts", "hash", "if", "in", "jobs", "kill", "let", "local", "printf", "pwd",
    "read", "readonly", "return", "select", "set", "shift", "source", "test", "then", "time", "times",
    "trap", "true", "type", "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "while", "{",
    "}",
];

/// Returns the text with `exec` before its last command, or without a last `wait`, or unchanged.
#[must_use]
pub fn with_exec(text: &str) -> String {
    if let Some(start) = last_wait_start(text) {
        return text[..start].to_owned();
    }
    match last_command_start(text) {
        Some(start) => format!("{}exec {}", &text[..start], text[start..].trim_end()),
        None => text.to_owned(),
    }
}

/// Says whether here-documents or traps keep the shell, or line ends of another system make the text uncertain.
fn needs_shell(text: &str) -> bool {
    let has_trap = text.lines().any(|line| line.trim_start().starts_with("trap "));
    text.contains("<<") || text.contains('\r') || has_trap
}

/// Returns where a last `wait` begins, when it waits for the one program that the script put into the background.
fn last_wait_start(text: &str) -> Option<usize> {
    /// What ends a loop, a branch or a function: the program may then be one of several, or none.
    const ENDS: [&str; 6] = ["done", "fi", "esac", "}", ")", "else"];
    if needs_shell(text) {
        return None;
    }
    let start = last_logical_line(text)?;
    let mut words = text[start..].split_whitespace();
    let operand = (words.next()? == "wait").then(|| words.next().unwrap_or("$!"))?;
    let is_one = ["$", "%1", "\"$"].iter().any(|begin| operand.starts_with(begin)) && words.next().is_none();
    // Lists and redirections have the same character, other uses of it are in doubt.
    let plain = text[..start].replace("&&", "").replace(">&", "").replace("&>", "");
    let (before, after) = plain.split_once('&')?;
    let is_comment = before.lines().last().is_some_and(|line| line.contains('#'));
    let is_at_end = after.starts_with('\n') && !after.contains('&') && !is_comment;
    let is_flat = !after.lines().any(|line| ENDS.iter().any(|end| line.trim_start().starts_with(end)));
    (is_one && is_at_end && is_flat).then_some(start)
}

/// Returns where the last command begins, when it is a simple command of a program at the top of the script.
fn last_command_start(text: &str) -> Option<usize> {
    // A function may carry the name of a program.
    if needs_shell(text) {
        return None;
    }
    let start = last_logical_line(text)?;
    let line = &text[start..];
    let before = text[..start].trim_end();
    if ["&&", "||", "|", "\\"].iter().any(|end| before.ends_with(end)) || !is_simple(line) {
        return None;
    }
    let program = start + assignments_bytes(line);
    let first = text[program..].split_whitespace().next()?;
    let name = first.trim_matches(['"', '\'']);
    let is_function = text.contains(&format!("{name}()")) || text.contains(&format!("{name} ()"));
    // Assignments before `exec` would stay in the shell of some shells: leave such lines alone.
    if program != start || is_function || NOT_PROGRAMS.contains(&name) || name.is_empty() {
        return None;
    }
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-./${}+:".contains(&byte));
    is_word.then_some(start)
}

/// Returns where the last line with a command begins; a line continued by a backslash counts as one.
fn last_logical_line(text: &str) -> Option<usize> {
    let mut starts = Vec::new();
    let mut position = 0;
    let mut is_continued = false;
    for line in text.split_inclusive('\n') {
        let content = line.trim_end();
        let is_nothing = content.trim_start().is_empty() || content.trim_start().starts_with('#');
        if !is_continued && !is_nothing {
            starts.push(position);
        }
        is_continued = content.ends_with('\\') && (is_continued || !is_nothing);
        position += line.len();
    }
    // What follows in blank lines and remarks is harmless; a remark after the last command is cut by no one.
    let start = *starts.last()?;
    let indented = text[start..].starts_with([' ', '\t']);
    (!indented).then_some(start)
}

/// Says whether a line has neither lists, pipes, groups nor remarks, and whole quotes.
fn is_simple(line: &str) -> bool {
    let mut quote = None;
    let mut characters = line.trim_end().chars().peekable();
    let mut before = ' ';
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some('\''), '\'') | (Some('"'), '"') => quote = None,
            (Some('\''), _) => {}
            (_, '\\') => {
                characters.next();
            }
            (None, '\'' | '"') => quote = Some(character),
            (_, '`') => return false,
            (_, '$') if characters.peek() == Some(&'(') => return false,
            (None, '&') if before == '>' => {}
            (None, '|' | '&' | ';' | '(' | ')') => return false,
            (None, '#') if before.is_whitespace() => return false,
            (None, '\n') => return false,
            _ => {}
        }
        before = character;
    }
    quote.is_none()
}

/// Returns how many bytes of the line are `NAME=value ` in front of the program.
fn assignments_bytes(line: &str) -> usize {
    let first = line.split_whitespace().next().unwrap_or_default();
    let is_assignment = first.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if is_assignment { first.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::with_exec;

    #[test]
    fn last_simple_command_gets_exec() {
        for (text, expected) in [
            ("redis-server x.conf\n", "exec redis-server x.conf"),
            (
                "#!/bin/sh\nA=1\n\nnode \"$D/server.js\" 2>&1\n\n",
                "#!/bin/sh\nA=1\n\nexec node \"$D/server.js\" 2>&1",
            ),
            ("${JAVA_HOME}/bin/java -jar \\\n  x.jar\n", "exec ${JAVA_HOME}/bin/java -jar \\\n  x.jar"),
            (
                "if [ a ]; then\n  x\nfi\n/usr/sbin/nginx -g 'daemon off;'",
                "if [ a ]; then\n  x\nfi\nexec /usr/sbin/nginx -g 'daemon off;'",
            ),
        ] {
            assert_eq!(with_exec(text), expected);
        }
    }

    #[test]
    fn last_wait_for_the_one_server_is_left_out() {
        for (text, expected) in [
            ("java -jar x.jar &\nwait\n", "java -jar x.jar &\n"),
            (
                "A=1 java \\\n  -jar x.jar 2>&1 &\n\npid=$!\necho \"pid=${pid}\"\n\nwait %1\n",
                "A=1 java \\\n  -jar x.jar 2>&1 &\n\npid=$!\necho \"pid=${pid}\"\n\n",
            ),
            (
                "[ a ] && b\nif c; then\n  d\nfi\nnode x &\nwait \"${pid}\"",
                "[ a ] && b\nif c; then\n  d\nfi\nnode x &\n",
            ),
        ] {
            assert_eq!(with_exec(text), expected);
        }
    }

    #[test]
    fn wait_for_more_than_one_server_stays() {
        for text in [
            "a &\nb &\nwait\n",
            "for x in 1 2; do\n  serve $x &\ndone\nwait\n",
            "if x; then\n  a &\nelse\n  b\nfi\nwait\n",
            "run() {\n  a &\n}\nrun; run\nwait\n",
            "trap 'kill $p' TERM\na &\np=$!\nwait $p\n",
            "a & b\nwait\n",
            "curl 'http://x/?a&b'\nwait\n",
            "# a &\nwait\n",
            "a &\nwait $p $q\n",
            "a &\nwait $p || exit 3\n",
        ] {
            assert_eq!(with_exec(text), text);
        }
    }

    #[test]
    fn anything_in_doubt_stays_as_it_is() {
        for text in [
            "java -jar x.jar &\npid=$!\n",
            "java -jar x.jar &\n",
            "exec nginx\n",
            "a | b\n",
            "a && b\n",
            "a &&\nb\n",
            "if x; then\n  y\nfi\n",
            "cat <<EOF\nx\nEOF\n",
            "run() { node x; }\nrun\n",
            "echo 'a\nb c'\n",
            "x='a\nb'\n",
            "wait\n",
            "A=1 node x\n",
            "trap 'kill $p' TERM\nnode x\n",
            "node x # last\n",
            "node $(find x)\n",
            "",
        ] {
            assert_eq!(with_exec(text), text);
        }
    }

    #[test]
    fn long_text_in_quotes_that_ends_like_a_command_stays() {
        let text = "X='first\nnode server.js'\n";
        assert_eq!(with_exec(text), text);
    }
}
