//! Makes the catalogue's rows and the linter's rules constants, so that no start of the program
//! parses them.

use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=variables.tsv");
    println!("cargo:rerun-if-changed=lint/rules");
    let rules = ["readers", "values", "names", "cross_checks"].map(rules);
    let folder = env::var("OUT_DIR").expect("cargo names a folder");
    for (name, code) in [("variables.rs", variables()), ("rules.rs", rules.concat())] {
        fs::write(Path::new(&folder).join(name), code).expect("cargo's folder is ours");
    }
}

/// The lines of a file of this folder that are not comments.
fn content(path: &str) -> String {
    let text = fs::read_to_string(path).expect(path);
    text.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect()
}

/// A module with a static for each paragraph of a file, called as its first field, the id, and a
/// table of them.
fn rules(kind: &str) -> String {
    let text = content(&format!("lint/rules/{kind}.txt"));
    let (mut code, mut table) = (String::new(), String::new());
    for rule in text.split("\n\n").map(str::trim).filter(|rule| !rule.is_empty()) {
        let fields = rule.lines().map(|line| line.split_once(": ").expect(line));
        let fields: Vec<(&str, &str)> = fields.collect();
        let name = fields[0].1.to_uppercase().replace('-', "_");
        table += &format!("&{name}, ");
        let unset = [("wrong", "all"), ("message", ""), ("fix", ""), ("context", "plain")];
        let unset = unset.iter().filter(|(key, _)| fields.iter().all(|(set, _)| set != key));
        let fields: Vec<String> =
            fields.iter().chain(unset).map(|(k, text)| field(k, text)).collect();
        let (fields, about_readers) = (fields.join(", "), kind == "readers");
        code += &format!(
            "pub(in crate::lint) static {name}: Rule = \
             Rule {{ about_readers: {about_readers}, {fields} }};\n"
        );
    }
    format!(
        "pub(super) mod {kind} {{\nuse super::{{ExampleContext, ReaderSet, Rule, Severity}};\n{code}\
         pub(super) static TABLE: &[&Rule] = &[{table}];\n}}\n"
    )
}

/// A table of the catalogue. The columns have the names of the fields of `Variable`; the last
/// comment holds them.
fn variables() -> String {
    let text = fs::read_to_string("variables.tsv").expect("variables.tsv is beside this file");
    let names = text.lines().filter_map(|line| line.strip_prefix("# ")).next_back();
    let names: Vec<&str> = names.expect("the names of the columns").split('\t').collect();
    let variable = |row: &str| {
        let cells: Vec<&str> = row.split('\t').collect();
        assert_eq!(cells.len(), names.len(), "{row}");
        let text = |cell| if cell == "-" { "" } else { cell };
        let fields = names.iter().zip(cells).map(|(name, cell)| field(name, text(cell)));
        format!("Variable {{ {} }}", fields.collect::<Vec<_>>().join(", "))
    };
    let rows = text.lines().filter(|line| !line.starts_with('#')).map(variable);
    let rows: Vec<String> = rows.collect();
    format!("static CATALOGUE: [Variable; {}] = [\n{}\n];\n", rows.len(), rows.join(",\n"))
}

/// A field of a `Variable` or a `Rule`. Examples have the escapes of Rust, quotes aside.
fn field(key: &str, text: &str) -> String {
    let value = match key {
        "kind" => format!("Kind::{}", camel_case(text)),
        "on_invalid" => format!("OnInvalid::{}", camel_case(text)),
        "severity" => format!("Severity::{}", camel_case(text)),
        "wrong" => format!("ReaderSet::{}", text.to_uppercase()),
        "context" => format!("ExampleContext::{}", camel_case(text)),
        "bad" | "good" => format!("b\"{}\"", text.replace('"', "\\\"")),
        _ => format!("{text:?}"),
    };
    format!("{key}: {value}")
}

fn camel_case(snake_case: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    snake_case.split('_').filter_map(word).collect()
}
