//! The files that the guides name exist, for every vendor.
//!
//! A guide names a file in a code span or in a diagram, from the root of the repository. After a folder, names without a slash
//! are files or folders in it, up to the next path; so are those below the header of a table that names a folder. `<vendor>`
//! stands for every vendor. A sentence, or a part of it up to a semicolon, that contains the word "if" need not hold for all of
//! them, but for at least one.

use std::fs;

use crate::source_code::root;
use crate::support::vendors;

/// The files that explain the code, each with whether all paths in it are paths of this repository.
const GUIDES: [(&str, bool); 15] = [
    ("ARCHITECTURE.md", true),
    ("CONTRIBUTING.md", true),
    ("README.md", false),
    ("docs/contracts.md", false),
    ("docs/design/auth.md", false),
    ("docs/design/blocking.md", false),
    ("docs/design/cache.md", false),
    ("docs/design/codegen.md", false),
    ("docs/design/errors.md", false),
    ("docs/design/limit.md", false),
    ("docs/design/paging.md", false),
    ("docs/design/testing.md", false),
    ("docs/design/webhooks.md", false),
    ("docs/design/writes.md", false),
    ("openapi/README.md", false),
];

/// A file or folder that a guide names.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    /// The path from the root, with `<vendor>` for the name of a vendor.
    path: String,
    /// Whether the guide says it under a condition.
    is_conditional: bool,
}

#[test]
fn every_path_in_a_guide_leads_somewhere() {
    for (guide, is_all_paths) in GUIDES {
        let named = named(&fs::read_to_string(root().join(guide)).unwrap());
        let named: Vec<_> = named.into_iter().filter(|named| is_all_paths || begins_here(&named.path)).collect();
        assert!(!named.is_empty(), "{guide} names no path");
        let wrong: Vec<_> = named.iter().filter_map(|named| problem(named, &vendors(), &exists)).collect();
        assert!(wrong.is_empty(), "{guide} names what does not exist: {wrong:#?}");
    }
}

/// Whether a path begins with something at the root of the repository.
fn begins_here(path: &str) -> bool {
    path.split('/').next().is_some_and(|first| !first.is_empty() && root().join(first).exists())
}

/// Whether a path leads to a file or a folder; a module may be named without its extension.
fn exists(path: &str) -> bool {
    root().join(path).exists() || root().join(format!("{path}.rs")).exists()
}

/// What is wrong about a path.
fn problem(named: &Named, vendors: &[String], exists: &dyn Fn(&str) -> bool) -> Option<String> {
    let path = &named.path;
    let paths = vendors.iter().map(|vendor| path.replace("<vendor>", vendor));
    let missing: Vec<_> = paths.filter(|path| !exists(path)).collect();
    let is_wrong = missing.len() == vendors.len() || !(missing.is_empty() || named.is_conditional);
    is_wrong.then(|| match path.contains("<vendor>") {
        true => format!("{path}, without an \"if\": there is no {}", missing.join(", no ")),
        false => path.clone(),
    })
}

/// The files that a text names.
fn named(text: &str) -> Vec<Named> {
    let mut named = Vec::new();
    for (index, part) in text.split("```").enumerate() {
        match index % 2 {
            0 => part.split("\n\n").for_each(|block| in_block(block, &mut named)),
            _ if part.starts_with("mermaid") => in_diagram(part, &mut named),
            _ => {}
        }
    }
    named
}

/// The files in a paragraph, a list or a table. A folder in the header of a table holds the names of all rows.
fn in_block(block: &str, named: &mut Vec<Named>) {
    if !block.trim_start().starts_with('|') {
        in_text(&block.replace('\n', " ").replace(". ", ".\n"), None, named);
        return;
    }
    let mut rows = block.lines();
    let header = rows.next().and_then(|header| in_text(header, None, named));
    for row in rows {
        in_text(row, header.clone(), named);
    }
}

/// The files in lines of text, of which each is a sentence. Returns the folder that names after the text would be in.
fn in_text(text: &str, mut folder: Option<String>, named: &mut Vec<Named>) -> Option<String> {
    // A semicolon in a code span is code.
    let spans = text.split('`').enumerate();
    let text: Vec<_> =
        spans.map(|(index, part)| if index % 2 == 0 { part.replace(';', "\n") } else { part.to_owned() }).collect();
    for sentence in text.join("`").lines() {
        let prose: String = sentence.split('`').step_by(2).collect::<Vec<_>>().join(" ");
        let is_conditional = prose.split(|c: char| !c.is_alphabetic()).any(|word| matches!(word, "if" | "If"));
        for span in sentence.split('`').skip(1).step_by(2) {
            let path = if is_path(span) {
                folder = span.strip_suffix('/').map(str::to_owned);
                span.to_owned()
            } else if let (Some(folder), true) = (&folder, is_name(span)) {
                format!("{folder}/{span}")
            } else {
                continue;
            };
            named.push(Named { path, is_conditional });
        }
    }
    folder
}

fn is_path(span: &str) -> bool {
    span.contains('/') && !span.contains([' ', '(', ':', '*', '{'])
}

/// Whether a span can be the name of a file or folder of Rust code.
fn is_name(span: &str) -> bool {
    let stem = span.strip_suffix(".rs").unwrap_or(span);
    !stem.is_empty() && stem.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// The files in the labels of a diagram, in which the placeholder has other brackets.
fn in_diagram(diagram: &str, named: &mut Vec<Named>) {
    let words = diagram.split(|c: char| c.is_whitespace() || "\"<>[]()".contains(c));
    let paths = words.filter(|word| word.contains('/') && begins_here(word));
    named.extend(paths.map(|path| Named {
        path: path.replace('‹', "<").replace('›', ">").trim_end_matches(',').to_owned(),
        is_conditional: false,
    }));
}

#[test]
fn a_file_that_one_vendor_lacks_is_reported_unless_the_text_says_if() {
    let vendors = ["one".to_owned(), "two".to_owned()];
    let exists =
        |path: &str| matches!(path, "src/one/page.rs" | "src/one/" | "src/two/" | "src/one/grant" | "src/x.rs");
    let wrong = |text: &str| {
        named(text).iter().filter_map(|named| problem(named, &vendors, &exists)).collect::<Vec<_>>().join("\n")
    };
    for right in [
        "`src/x.rs`, `Vec<u8>` and `GET /x`",
        "A page is in `src/<vendor>/page.rs`, if the vendor has\nlists. The rest is in `src/<vendor>/`.",
        "| `src/<vendor>/`: if it has lists: `page.rs` |",
        "| file in `src/<vendor>/` | needed |\n| --- | --- |\n| `grant` | if it issues tokens |",
        "`src/<vendor>/` for all.\n\nThe field `page`.",
        "| file | what |\n| --- | --- |\n| a vendor | `src/<vendor>/` |\n| the field `page` | `src/x.rs` |",
    ] {
        assert_eq!(wrong(right), "", "{right}");
    }
    for (text, path) in [
        ("`src/y.rs`, if it is there", "src/y.rs"),
        ("A page is in `src/<vendor>/page.rs`. It ends if it is empty.", "no src/two/page.rs"),
        ("| `src/<vendor>/`: `page.rs`; if it issues tokens: `grant` |", "no src/two/page.rs"),
        ("| `src/<vendor>/` |\n| --- |\n| `src/x.rs` |\n| `grant` |", "no src/two/grant"),
        ("If it has a store: `src/<vendor>/store.rs`", "no src/one/store.rs, no src/two/store.rs"),
        ("```mermaid\na[\"builder<br/>src/‹vendor›/page.rs\"]\n```", "no src/two/page.rs"),
    ] {
        assert!(wrong(text).ends_with(path), "{text}: {}", wrong(text));
    }
}
