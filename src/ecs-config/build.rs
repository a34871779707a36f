//! Makes the catalogue's rows and the linter's rules constants, so that no start of the program
//! parses them.

use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=variables.tsv");
    println!("cargo:rerun-if-changed=lint/rules");
    let rows = content("variables.tsv");
    let rows: Vec<&str> = rows.lines().collect();
    let mut code = format!("static CATALOGUE: [Variable; {}] = [\n", rows.len());
    for row in &rows {
        writeln!(code, "    {},", variable(row)).expect("a String takes all");
    }
    code.push_str("];\n");
    let rules = ["readers", "values", "names", "cross_checks"].map(rules);
    let folder = env::var("OUT_DIR").expect("cargo names a folder");
    for (name, code) in [("variables.rs", code), ("rules.rs", rules.concat())] {
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
        let (fields, kind) = (fields.join(", "), camel_case(kind));
        code += &format!(
            "pub(in crate::lint) static {name}: Rule = Rule {{ kind: Kind::{kind}, {fields} }};\n"
        );
    }
    format!(
        "pub(super) mod {kind} {{\nuse super::{{ExampleContext, Kind, ReaderSet, Rule, Severity}};\n{code}\
         pub(super) static TABLE: &[&Rule] = &[{table}];\n}}\n"
    )
}

/// A field of a `Rule`. Examples have the escapes of Rust, quotes aside.
fn field(key: &str, text: &str) -> String {
    let value = match key {
        "severity" => format!("Severity::{}", camel_case(text)),
        "wrong" => format!("ReaderSet::{}", text.to_uppercase()),
        "context" => format!("ExampleContext::{}", camel_case(text)),
        "bad" | "good" => format!("b\"{}\"", text.replace('"', "\\\"")),
        _ => format!("{text:?}"),
    };
    format!("{key}: {value}")
}

/// The columns are the fields of `Variable`, in their order.
fn variable(row: &str) -> String {
    let cells: Vec<&str> =
        row.split('\t').map(|cell| if cell == "-" { "" } else { cell }).collect();
    let [
        name,
        kind,
        words,
        min,
        max,
        default,
        on_invalid,
        platform,
        consumer,
        reads,
        flags,
        sets,
        deprecated,
        json_field,
        summary,
        source,
    ] = cells[..]
    else {
        panic!("not sixteen columns: {row}");
    };
    let (kind, on_invalid) = (camel_case(kind), camel_case(on_invalid));
    let reads = match reads {
        "" => "Nothing",
        "process_env" => "ProcessEnvironment",
        "file" => "File",
        "both" => "Both",
        other => panic!("{name}: {other}"),
    };
    format!(
        "Variable {{ name: {name:?}, kind: Kind::{kind}, words: {words:?}, min: {min:?}, max: {max:?}, \
         default: {default:?}, on_invalid: OnInvalid::{on_invalid}, platform: {platform:?}, \
         consumer: {consumer:?}, ecs_init_reads: EcsInitReads::{reads}, flags: {flags:?}, \
         ecs_init_sets: {sets:?}, deprecated: {deprecated:?}, json_field: {json_field:?}, \
         summary: {summary:?}, source: {source:?} }}"
    )
}

fn camel_case(snake_case: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    snake_case.split('_').filter_map(word).collect()
}
