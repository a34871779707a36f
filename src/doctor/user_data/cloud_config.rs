//! The commands of a `#cloud-config` document, the items of `runcmd` and `bootcmd`, and the files
//! of `write_files`, which they may run.
//!
//! Only as much of YAML as such lists are written in; what is written otherwise is in
//! `scripts/runcmd` and `cloud-config.txt` all the same, where cloud-init has written it out.

use aws_smithy_types::base64;

/// The files that it writes: path and content.
pub(super) fn files(text: &str) -> Vec<(String, String)> {
    let items = items(text).into_iter().filter(|item| item.key == "write_files");
    items.filter_map(|item| file(&item.lines)).collect()
}

/// The commands that it runs, each as a line of shell, with its line counted from 1.
pub(super) fn commands(text: &str) -> Vec<(usize, String)> {
    let items = items(text).into_iter().filter(|item| ["runcmd", "bootcmd"].contains(&item.key));
    items.flat_map(|item| scripts(&item).into_iter().map(move |text| (item.line, text))).collect()
}

/// The documents of a `#cloud-config-archive`, each with the number of lines before it.
pub(super) fn archived(text: &str) -> Vec<(usize, String)> {
    let items = items(text);
    let contents = items.iter().filter(|item| item.key.is_empty()).map(|item| {
        let is_content = |line: &&str| line.trim_start().starts_with("content:");
        let at = item.lines.iter().position(is_content).unwrap_or_default();
        (item.line + at, value(&item.lines[at..]))
    });
    contents.collect()
}

/// An item of a list, which is the value of a key, or the whole document.
struct Item<'a> {
    key: &'a str,
    line: usize,
    /// The first line is without the dash.
    lines: Vec<&'a str>,
    /// They are the whole list, in brackets.
    is_whole: bool,
}

fn items(text: &str) -> Vec<Item<'_>> {
    let (mut items, mut key, mut dash) = (Vec::<Item>::new(), "", None);
    for (number, line) in text.lines().enumerate() {
        let (body, indent) = (line.trim_start(), indent(line));
        let item = |key, lines, is_whole| Item { key, line: number + 1, lines, is_whole };
        if indent == 0 && body.starts_with(['#', '%']) || body == "---" || body == "..." {
            continue;
        }
        if indent == 0 && !body.is_empty() && !body.starts_with(['-', ']']) {
            let (name, value) = body.split_once(':').unwrap_or_default();
            (key, dash) = (name.trim().trim_matches(['"', '\'']), None);
            if value.trim().starts_with('[') {
                items.push(item(key, vec![value.trim()], true));
            }
        } else if body.starts_with('-') && dash.is_none_or(|dash| indent <= dash) {
            dash = Some(indent);
            items.push(item(key, vec![body[1..].trim()], false));
        } else if let Some(item) = items.last_mut().filter(|item| item.key == key) {
            item.lines.push(line);
        }
    }
    items
}

/// An item is a command, or a list of them: a list of words, or a line of shell.
fn scripts(item: &Item) -> Vec<String> {
    let lines = match &item.lines[..] {
        ["", rest @ ..] => rest,
        lines => lines,
    };
    let trimmed: Vec<&str> = lines.iter().map(|line| line.trim()).collect();
    let list = |text: &str| quoted(flow(text));
    match trimmed.first().copied().unwrap_or_default() {
        _ if item.is_whole => {
            let commands = flow(&trimmed.join(" ")).into_iter();
            commands.map(|it| if it.starts_with('[') { list(&it) } else { it }).collect()
        }
        first if first.starts_with('[') => vec![list(&trimmed.join(" "))],
        first if first.starts_with("- ") => {
            let words = trimmed.iter().filter_map(|line| line.strip_prefix('-'));
            vec![quoted(words.map(scalar))]
        }
        _ => vec![value(lines)],
    }
}

/// As cloud-init quotes words for the shell.
fn quoted(words: impl IntoIterator<Item = String>) -> String {
    let quote = |word: String| format!("'{}' ", word.replace('\'', r#"'"'"'"#));
    words.into_iter().map(quote).collect()
}

/// What an item of `write_files` writes.
fn file(lines: &[&str]) -> Option<(String, String)> {
    let of = |key: &str| {
        let at = lines.iter().position(|line| line.trim().starts_with(key))?;
        Some(value(&lines[at..]))
    };
    let (path, content) = of("path:").zip(of("content:"))?;
    let encoded = of("encoding:").is_some_and(|name| ["b64", "base64"].contains(&name.as_str()));
    let decoded = encoded.then(|| decoded(&content)).flatten();
    Some((path, decoded.unwrap_or(content)))
}

pub(super) fn decoded(text: &str) -> Option<String> {
    let letters: String = text.split_whitespace().collect();
    Some(String::from_utf8_lossy(&base64::decode(letters).ok()?).into_owned())
}

/// A value, after its key if it has one: a block, or a scalar.
fn value(lines: &[&str]) -> String {
    const KEYS: [&str; 3] = ["path:", "content:", "encoding:"];
    let Some((first, rest)) = lines.split_first() else { return String::new() };
    let after_key = KEYS.iter().find_map(|key| first.trim().strip_prefix(key));
    let begin = after_key.unwrap_or(first).trim();
    // A block ends where a line is indented less than its first one.
    let least = rest.iter().find(|line| !line.trim().is_empty()).map_or(0, |line| indent(line));
    let is_within = |line: &&&str| line.trim().is_empty() || indent(line) >= least;
    let block = rest.iter().take_while(is_within);
    let block: Vec<&str> = block.map(|line| line.get(least..).unwrap_or_default()).collect();
    match begin.chars().next() {
        Some('|') => block.join("\n"),
        Some('>') => block.join(" "),
        _ if after_key.is_some() => scalar(begin),
        _ => scalar(&[&[begin], &block[..]].concat().join(" ")),
    }
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The elements of a flow sequence; those that are sequences as they are.
fn flow(text: &str) -> Vec<String> {
    let (mut elements, mut element, mut depth, mut quote) = (Vec::new(), String::new(), 0, None);
    for c in text.chars() {
        match c {
            c if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() && element.trim().is_empty() => quote = Some(c),
            '[' if quote.is_none() => depth += 1,
            ']' if quote.is_none() => depth -= 1,
            _ => {}
        }
        let ends = quote.is_none() && (c == ',' && depth == 1 || c == ']' && depth == 0);
        let begins = c == '[' && depth == 1 && quote.is_none();
        if ends {
            elements.push(scalar(&std::mem::take(&mut element)));
        } else if !begins {
            element.push(c);
        }
    }
    elements
}

/// A string without its quotes.
fn scalar(text: &str) -> String {
    let text = text.trim();
    let inner =
        ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(text).replace("\\n", "\n")
}
