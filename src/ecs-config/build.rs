//! Makes the catalogue's rows a constant, so that no start of the program parses them.

use std::fmt::Write;
use std::{env, fs, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=variables.tsv");
    let rows = fs::read_to_string("variables.tsv").expect("variables.tsv is beside this file");
    let rows: Vec<&str> = rows.lines().filter(|line| !line.starts_with('#')).collect();
    let mut code = format!("static CATALOGUE: [Variable; {}] = [\n", rows.len());
    for row in &rows {
        writeln!(code, "    {},", variable(row)).expect("a String takes all");
    }
    code.push_str("];\n");
    let folder = env::var("OUT_DIR").expect("cargo names a folder");
    fs::write(Path::new(&folder).join("variables.rs"), code).expect("cargo's folder is ours");
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
