//! Reads the crate's own source code, for tests that hold rules about it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files in a folder and below, in alphabetical order.
pub(crate) fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
}

/// A source file of the library, without its tests.
pub(crate) struct Source {
    /// The path relative to the repository.
    pub(crate) path: String,
    /// The path of the module, such as `["auth", "store"]`; empty for `lib.rs`.
    pub(crate) module: Vec<String>,
    /// The text without comments and without the module of tests.
    pub(crate) code: String,
}

/// The source files of the library, generated code included, modules of tests excluded.
pub(crate) fn library() -> Vec<Source> {
    let src = root().join("src");
    let sources: Vec<Source> = files_in(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
            let module = path.strip_prefix(&src).unwrap().with_extension("");
            let module: Vec<String> =
                module.iter().map(|part| part.to_str().unwrap().to_owned()).filter(|part| part != "lib").collect();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            Source { path, module, code: code.collect::<Vec<_>>().join("\n") }
        })
        .collect();
    // Modules that a parent declares for tests only.
    let test_modules: BTreeSet<Vec<String>> = sources
        .iter()
        .flat_map(|source| {
            let declarations = source.code.split("#[cfg(test)]\nmod ").skip(1);
            declarations.filter_map(|rest| Some([&source.module[..], &[rest.split_once(';')?.0.to_owned()]].concat()))
        })
        .collect();
    sources.into_iter().filter(|source| !test_modules.contains(&source.module)).collect()
}

/// A token of Rust source text; literals and comments are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    Word(&'a str),
    Sign(char),
}

/// The tokens of Rust source text.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if c == '"' {
            string(rest)
        } else if c == '\'' {
            character(rest)
        } else if is_word(c) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..length]));
            length
        } else {
            if !c.is_whitespace() {
                tokens.push(Token::Sign(c));
            }
            c.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length of a string literal at the beginning of a text.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of a raw string literal at the beginning of a text, if there is one.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let body = hashes.trim_start_matches('#');
    let end = format!("\"{}", &hashes[..hashes.len() - body.len()]);
    let body = body.strip_prefix('"')?;
    let start = text.len() - body.len();
    body.find(&end).map(|length| start + length + end.len())
}

/// The length of a character literal or a lifetime at the beginning of a text.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => text[2..].find('\'').map_or(text.len(), |end| {
            // The escaped character may be a quote itself.
            if end == 0 { 4 } else { end + 3 }
        }),
        (Some(_), Some((index, '\''))) => index + 1,
        _ => 1,
    }
}

#[test]
fn tokens_leave_out_literals_and_comments() {
    let text = r##"let a: &'static str = "b \" c"; // d
        /* e */ f('g', '\'', '\u{68}', b"i", r#"j " k"#, b'l')"##;
    let words: Vec<_> = tokens(text)
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word),
            Token::Sign(_) => None,
        })
        .collect();
    assert_eq!(words, ["let", "a", "static", "str", "f", "b", "b"]);
}
