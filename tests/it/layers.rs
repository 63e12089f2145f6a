//! The structure of the source code: which way imports run, and who may use what, as ARCHITECTURE.md describes it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source_code::{Source, Token, library, tokens};
use crate::support::vendors;

/// Modules from the lowest layer to the highest. A module may use its own layer and those below.
const LAYERS: [&[&str]; 10] = [
    &["base_url", "call_headers", "clock", "error", "idempotency_key", "operation", "vendor"],
    &["amount", "envelope", "json_repair", "lenient", "open"],
    &["list_changes", "observer", "options", "priority", "retry"],
    &["auth", "blocking", "limit", "response_cache", "telemetry", "transport"],
    &["pipeline"],
    &[
        "id",
        "multipart",
        "page",
        "prepared_request",
        "raw",
        "raw_list",
        "reconcile",
        "response",
        "request",
        "client_inner",
        "decode",
        "download",
        "operation_builder",
        "webhook",
    ],
    &["builder", "client", "observability"],
    &["tenants"],
    &[VENDOR],
    &["testing"],
];
/// Stands for the module of each vendor.
const VENDOR: &str = "<vendor>";
/// The module that may use the HTTP client.
const HTTP: &str = "transport";

/// The files of the library but its root, each with the name of its top module.
fn files() -> impl Iterator<Item = (String, Source)> {
    library().into_iter().filter_map(|source| Some((source.module.first()?.clone(), source)))
}

fn layer(module: &str) -> Option<usize> {
    let module = if vendors().iter().any(|vendor| vendor == module) { VENDOR } else { module };
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The names that follow `crate::` in a file.
fn used(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// The names at the root of the crate, with the modules that they come from.
fn exports() -> BTreeMap<String, String> {
    let lib = library().into_iter().find(|source| source.module.is_empty()).unwrap();
    let mut exports = BTreeMap::new();
    for import in imports(&lib) {
        if let [_, module, .., name] = import.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            exports.insert(name.to_owned(), module.to_owned());
        }
    }
    exports
}

#[test]
fn every_module_has_a_layer() {
    for (module, source) in files() {
        assert!(layer(&module).is_some(), "{} is in no layer", source.path);
    }
}

#[test]
fn imports_run_one_way() {
    let exports = exports();
    for (module, source) in files() {
        for name in used(&source.code) {
            let target = exports.get(name).map_or(name, String::as_str);
            let Some(target_layer) = layer(target) else { continue };
            let is_allowed = target == module || target_layer <= layer(&module).unwrap();
            assert!(is_allowed, "{} uses {target}, which is above it", source.path);
        }
    }
}

#[test]
fn no_vendor_uses_another_and_no_layer_below_names_one() {
    for (module, source) in files() {
        let is_above = layer(&module) > layer(VENDOR);
        for vendor in vendors().iter().filter(|vendor| **vendor != module && !is_above) {
            assert!(used(&source.code).all(|name| name != vendor), "{} names {vendor}", source.path);
        }
    }
}

#[test]
fn only_the_transport_uses_the_http_client() {
    for (module, source) in files() {
        if module != HTTP {
            assert!(!source.code.contains("reqwest::"), "{} uses reqwest", source.path);
        }
    }
}

#[test]
fn only_the_clock_reads_the_time() {
    for (module, source) in files() {
        if module != "clock" {
            for read in ["SystemTime::now", "Timestamp::now"] {
                assert!(!source.code.contains(read), "{} reads the time", source.path);
            }
        }
    }
}

#[test]
fn secrets_are_compared_in_constant_time() {
    for (_, source) in files() {
        for comparison in ["expose_secret() ==", "expose_secret() !=", "expose() ==", "expose() !="] {
            assert!(!source.code.contains(comparison), "{} compares a secret with `==`: use subtle", source.path);
        }
    }
}

/// A parent's import of its own submodule is not part of a circle: the parent declares its submodules and re-exports them.
/// What a submodule imports from its parent counts; if the parent merely re-exports it, it counts for the file that defines
/// it. Generated code is left out: a vendor's specification places hand-written types into it, which are made of generated
/// ones.
#[test]
fn no_files_import_each_other_in_a_circle() {
    let sources: Vec<Source> = library().into_iter().filter(|source| !source.path.ends_with("generated.rs")).collect();
    let circles = circles(&sources);
    assert!(circles.is_empty(), "files that import each other: {circles:#?}");
}

/// Sets of files of which each imports, directly or through others, all the rest.
fn circles(sources: &[Source]) -> Vec<BTreeSet<String>> {
    let graph = Graph::new(sources);
    let edges: Vec<BTreeSet<usize>> = (0..sources.len()).map(|file| graph.edges(file)).collect();
    let reachable: Vec<BTreeSet<usize>> = (0..sources.len())
        .map(|file| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![file]);
            while let Some(file) = next.pop() {
                next.extend(edges[file].iter().copied().filter(|target| seen.insert(*target)));
            }
            seen
        })
        .collect();
    let circles = (0..sources.len()).filter(|file| reachable[*file].contains(file)).map(|file| {
        let members = reachable[file].iter().filter(|other| reachable[**other].contains(&file));
        members.map(|member| sources[*member].path.clone()).collect()
    });
    circles.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The files of the library by their modules, and the imports of each.
struct Graph<'a> {
    sources: &'a [Source],
    by_module: BTreeMap<&'a [String], usize>,
    imports: Vec<Vec<Import>>,
}

/// One name that a file imports or writes out as a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Import {
    /// The path, which begins with `crate`, with `self` and then the modules inside of the file, or with an external crate.
    path: Vec<String>,
    /// The name in this file.
    name: String,
}

impl<'a> Graph<'a> {
    fn new(sources: &'a [Source]) -> Self {
        let by_module = sources.iter().enumerate().map(|(index, source)| (&source.module[..], index)).collect();
        Self { sources, by_module, imports: sources.iter().map(imports).collect() }
    }

    /// The files that a file imports from, without its own submodules.
    fn edges(&self, file: usize) -> BTreeSet<usize> {
        let module = &self.sources[file].module;
        let targets = self.imports[file].iter().filter_map(|import| self.resolve(&import.path, 0));
        targets.filter(|target| *target != file && !self.sources[*target].module.starts_with(module)).collect()
    }

    /// The file that defines what a path means; re-exports are followed. `None` for other crates and for the crate's root.
    fn resolve(&self, path: &[String], depth: usize) -> Option<usize> {
        let path = path.strip_prefix(&["crate".to_owned()])?;
        let length = (0..=path.len()).rev().find(|length| self.by_module.contains_key(&path[..*length]))?;
        let file = self.by_module[&path[..length]];
        let reexport = path.get(length).and_then(|name| self.imports[file].iter().find(|import| import.name == *name));
        match reexport {
            Some(import) if depth < 8 && import.path != [&["crate".to_owned()], path].concat() => {
                self.resolve(&import.path, depth + 1)
            }
            _ => (length > 0).then_some(file),
        }
    }
}

/// The names that a file imports with `use`, and the paths in its code that begin with `crate`, `self` or `super`.
fn imports(source: &Source) -> Vec<Import> {
    let tokens = tokens(&source.code);
    let (mut imports, mut blocks, mut index) = (Vec::new(), Vec::new(), 0);
    while let Some(token) = tokens.get(index) {
        // Inline modules are parts of their file, but `super` inside them is not the same.
        let inline: Vec<&str> = blocks.iter().flatten().copied().collect();
        match (token, tokens.get(index.wrapping_sub(1)), tokens.get(index.wrapping_sub(2))) {
            (Token::Sign('{'), Some(Token::Word(name)), Some(Token::Word("mod"))) => blocks.push(Some(*name)),
            (Token::Sign('{'), ..) => blocks.push(None),
            (Token::Sign('}'), ..) => drop(blocks.pop()),
            (Token::Word("use"), ..) => {
                let length = tokens[index..].iter().position(|token| *token == Token::Sign(';')).unwrap_or(1);
                let mut tree = &tokens[index + 1..index + length];
                use_tree(&mut tree, &mut Vec::new(), &mut |path, name| {
                    imports.extend(absolute(&source.module, &inline, path).map(|path| Import { path, name }));
                });
                index += length;
            }
            (Token::Word("crate" | "self" | "super"), before, _) if before != Some(&Token::Sign('$')) => {
                let path: Vec<&str> = path_at(&tokens[index..]);
                if path.len() > 1 {
                    let name = String::new();
                    imports.extend(absolute(&source.module, &inline, &path).map(|path| Import { path, name }));
                }
                index += 3 * (path.len() - 1);
            }
            _ => {}
        }
        index += 1;
    }
    imports
}

/// Visits each path of a `use` declaration, with the name that it gets in the file.
fn use_tree<'a>(tree: &mut &[Token<'a>], prefix: &mut Vec<&'a str>, visit: &mut dyn FnMut(&[&'a str], String)) {
    let length = prefix.len();
    while let Some((token, rest)) = tree.split_first() {
        *tree = rest;
        match token {
            Token::Word("as") => {
                if let Some((Token::Word(alias), rest)) = tree.split_first() {
                    *tree = rest;
                    visit(prefix, (*alias).to_owned());
                    prefix.truncate(length);
                }
            }
            Token::Word("self") if !prefix.is_empty() => {}
            Token::Word(word) => prefix.push(word),
            Token::Sign('{') => {
                use_tree(tree, prefix, visit);
                prefix.truncate(length);
            }
            Token::Sign(',' | '}') => {
                if prefix.len() > length {
                    visit(prefix, prefix[prefix.len() - 1].to_owned());
                    prefix.truncate(length);
                }
                if *token == Token::Sign('}') {
                    return;
                }
            }
            // `::` and `*`, which imports from the module as a whole.
            Token::Sign(_) => {}
        }
    }
    if prefix.len() > length {
        visit(prefix, prefix[prefix.len() - 1].to_owned());
        prefix.truncate(length);
    }
}

/// The path at the beginning of a list of tokens.
fn path_at<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut path = Vec::new();
    let mut rest = tokens;
    while let [Token::Word(word), after @ ..] = rest {
        path.push(*word);
        let [Token::Sign(':'), Token::Sign(':'), next @ ..] = after else { break };
        rest = next;
    }
    path
}

/// A path of a file as it is from the crate's root; `None` for a path into another crate.
fn absolute(module: &[String], inline: &[&str], path: &[&str]) -> Option<Vec<String>> {
    let mut base: Vec<&str> = module.iter().map(String::as_str).chain(inline.iter().copied()).collect();
    let mut rest = path;
    match *path.first()? {
        "crate" => {
            base.clear();
            rest = &path[1..];
        }
        "self" => rest = &path[1..],
        "super" => {
            while let ["super", after @ ..] = rest {
                base.pop()?;
                rest = after;
            }
        }
        _ => return None,
    }
    Some(["crate"].into_iter().chain(base).chain(rest.iter().copied()).map(str::to_owned).collect())
}

#[test]
fn circles_are_found_through_reexports_and_not_between_a_parent_and_its_submodule() {
    let source = |path: &str, code: &str| {
        let module = path.strip_suffix(".rs").unwrap().split('/').filter(|part| *part != "lib");
        Source { path: path.to_owned(), module: module.map(str::to_owned).collect(), code: code.to_owned() }
    };
    let sources = [
        source("lib.rs", "mod a; mod b; mod d; pub use self::a::A;"),
        source("a.rs", "mod one; mod two; pub use self::one::{One, Other as Another}; use crate::b::B; struct A;"),
        source("a/one.rs", "use super::{A, two::{self, Two}}; struct One;"),
        source("a/two.rs", "fn f() -> super::Another { todo() }"),
        source("b.rs", "use std::fmt::{self, Debug}; use crate::d; struct B;"),
        source("d.rs", "mod inner { use super::super::A; } fn g(b: crate::b::B) {}"),
    ];
    let circles = circles(&sources);
    let expected = [vec!["a.rs", "b.rs", "d.rs"], vec!["a/one.rs", "a/two.rs"]];
    let expected: Vec<BTreeSet<String>> =
        expected.iter().map(|circle| circle.iter().map(|file| (*file).to_owned()).collect()).collect();
    assert_eq!(circles, expected);
}
