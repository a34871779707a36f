//! What README.md and the manual say is what the program does: nothing is missing, and nothing is
//! there that the program does not have.

mod examples;
mod json;
mod options;
mod page;
#[path = "../support/mod.rs"]
mod support;
mod tables;

use std::fs;
use std::path::Path;

use page::{Page, code, pages, rows};
use support::{skip, works};

#[test]
fn readme_is_short_and_links_to_every_page() {
    let readme = Page::at("README.md").text;
    assert!(readme.lines().count() <= 200, "README.md has {} lines", readme.lines().count());
    for page in pages() {
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(
            readme.contains(&format!("(packaging/man/{name})")),
            "README.md does not link to {name}"
        );
    }
}

#[test]
fn every_relative_link_leads_to_a_file() {
    let others = [
        "README.md",
        "tests/README.md",
        "packaging/README.md",
        ".github/CONTRIBUTING.md",
        ".github/SECURITY.md",
    ];
    for page in pages().into_iter().chain(others.map(Page::at)) {
        let targets = page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let file = page.path.parent().unwrap().join(target.split('#').next().unwrap());
            assert!(file.exists(), "{}: {target}", page.path.display());
        }
    }
}

#[test]
fn every_layer_of_the_tests_is_in_their_readme() {
    let page = Page::at("tests/README.md");
    let rows = rows(page.section("Layers"));
    let described: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run");
    let listed = works(run.to_str().unwrap(), &["--list"]).unwrap();
    assert_eq!(described, listed.split_whitespace().collect::<Vec<_>>());
}

#[test]
fn tests_and_paths_that_their_readme_names_exist() {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = Page::at("tests/README.md");
    for span in code(&page.text) {
        for test in span.split("--test ").skip(1).filter_map(|rest| rest.split(' ').next()) {
            let folder =
                if span.contains("-p ecs-config") { "src/ecs-config/tests" } else { "tests" };
            let places = [format!("{folder}/{test}.rs"), format!("{folder}/{test}/main.rs")];
            assert!(places.iter().any(|place| tree.join(place).exists()), "{span}: {test}");
        }
        let roots = ["src/", "tests/", "packaging/", "systemd/"];
        if roots.iter().any(|root| span.starts_with(root)) {
            let path = span.split(' ').next().unwrap();
            assert!(tree.join(path).exists(), "{span}");
        }
    }
}

#[test]
fn units_name_pages_that_exist() {
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for unit in fs::read_dir(units).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&unit).unwrap();
        for page in text.lines().filter_map(|line| line.strip_prefix("Documentation=man:")) {
            let (name, section) = page.trim_end_matches(')').split_once('(').unwrap();
            let _there = Page::named(&format!("{name}.{section}"));
        }
    }
}

#[test]
fn pages_have_the_sections_of_a_manual_page() {
    for page in pages() {
        let name = page.path.file_stem().unwrap().to_str().unwrap();
        let (title, section) = name.rsplit_once('.').unwrap();
        assert!(page.text.starts_with(&format!("# {title}({section})\n")), "{name}: its title");
        let about = page.section("NAME").trim().lines().next().unwrap();
        assert!(about.starts_with(&format!("{title} - ")), "{name}: {about}");
        let wanted: &[&str] = match section {
            "7" => &["DESCRIPTION", "SEE ALSO"],
            _ => &["SYNOPSIS", "DESCRIPTION", "EXAMPLES", "SEE ALSO"],
        };
        for heading in wanted {
            let _there = page.section(heading);
        }
    }
}

#[test]
fn the_drawing_is_what_its_script_draws() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man");
    let script = folder.join("boot.py");
    let Some(drawn) = works("python3", &[script.to_str().unwrap()]) else {
        return skip("no python3 on this machine");
    };
    assert_eq!(
        drawn,
        fs::read_to_string(folder.join("boot.svg")).unwrap(),
        "run packaging/man/boot.py"
    );
}
