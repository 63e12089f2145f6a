//! `docs/contracts.md` and the tests agree: every row of the contract names tests, and each of these tests exists.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A row of a contract with the tests that hold it, as (file, function).
struct Row {
    name: String,
    tests: Vec<(String, String)>,
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the tables: `| A1 | what holds | [file] test test, [file] test |`. A row without a third column is not held
/// yet.
fn rows() -> Vec<Row> {
    let contracts = read("docs/contracts.md");
    let rows = contracts.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let name = cells.next()?.to_owned();
        let is_row = name.starts_with(['A', 'L', 'R', 'V']) && name[1..].parse::<u32>().is_ok();
        let tests = cells.nth(1).map(tests).unwrap_or_default();
        is_row.then_some(Row { name, tests })
    });
    rows.collect()
}

/// The code spans of a cell: a file, and then the tests in it.
fn tests(cell: &str) -> Vec<(String, String)> {
    let mut file = String::new();
    let mut tests = Vec::new();
    for code in cell.split('`').skip(1).step_by(2) {
        if code.ends_with(".rs") {
            code.clone_into(&mut file);
        } else {
            tests.push((file.clone(), code.to_owned()));
        }
    }
    tests
}

/// Whether a file has a test of this name. The properties of `conformance` become tests by a macro that lists them.
fn is_test(file: &str, name: &str) -> bool {
    let text = read(file);
    let Some((before, _)) = text.split_once(&format!("fn {name}(")).or_else(|| text.split_once(&format!("fn {name}<")))
    else {
        return false;
    };
    let (above, _) = before.rsplit_once('\n').unwrap();
    let mut attributes = above.lines().rev().take_while(|line| line.trim_start().starts_with(['#', '/']));
    let topic = Path::new(file).file_stem().unwrap().to_str().unwrap();
    attributes.any(|line| line.contains("#[test]") || line.contains("#[tokio::test"))
        || (file.contains("/conformance/") && read("tests/it/conformance.rs").contains(&format!("{topic}::{name},")))
}

#[test]
fn every_row_is_held_by_tests_that_exist() {
    let missing: Vec<String> = rows()
        .iter()
        .flat_map(|row| row.tests.iter().map(|(file, name)| (&row.name, file, name)))
        .filter(|(_, file, name)| !is_test(file, name))
        .map(|(row, file, name)| format!("{row}: {file} has no test `{name}`"))
        .collect();
    assert!(missing.is_empty(), "docs/contracts.md names tests that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn the_rows_are_numbered_without_gaps_and_only_the_last_ones_have_no_tests() {
    let mut contracts = BTreeMap::<char, Vec<Row>>::new();
    for row in rows() {
        contracts.entry(row.name.chars().next().unwrap()).or_default().push(row);
    }
    let letters: String = contracts.keys().collect();
    assert_eq!(letters, "ALRV");
    for (letter, rows) in contracts {
        for (row, number) in rows.iter().zip(1..) {
            assert_eq!(row.name, format!("{letter}{number}"));
        }
        let held = rows.iter().take_while(|row| !row.tests.is_empty()).count();
        assert!(held > 0 && rows[held..].iter().all(|row| row.tests.is_empty()), "a row of {letter} has no test");
    }
}

/// The documents for people who change the crate.
fn documents() -> Vec<String> {
    let mut documents: Vec<_> =
        ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md"].map(str::to_owned).into();
    for folder in ["docs", "docs/design"] {
        for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                documents.push(format!("{folder}/{name}"));
            }
        }
    }
    documents
}

#[test]
fn every_path_and_link_in_the_documents_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut missing = Vec::new();
    for document in documents() {
        let text = read(&document);
        let folder = root.join(&document);
        let folder = folder.parent().unwrap();
        let paths = text.split('`').skip(1).step_by(2).filter(|code| {
            let is_path = code.contains('/') && !code.contains(['<', '{', ' ', '*', ':']);
            is_path
                && ["src/", "tests/", "crates/", "docs/", "openapi/", "examples/", "scripts/"]
                    .iter()
                    .any(|top| code.starts_with(top))
        });
        let paths = paths.map(|path| (path.to_owned(), root.join(path)));
        let links = text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
        let links = links.filter(|link| !link.is_empty() && !link.contains("://"));
        let links = links.map(|link| (link.to_owned(), folder.join(link)));
        missing.extend(
            paths.chain(links).filter(|(_, path)| !path.exists()).map(|(name, _)| format!("{document}: {name}")),
        );
    }
    assert!(missing.is_empty(), "the documents name files that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn every_module_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    let lib = read("src/lib.rs");
    let modules =
        lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';'));
    let missing: Vec<_> = modules.filter(|module| !map.contains(&format!("`src/{module}.rs`"))).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md does not map {missing:?}");
}
