//! The layout of generated code: blank lines, macro bodies, and rustfmt.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, io};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::spec_error::SpecError;

/// The widest line of a macro's body, which rustfmt leaves as it is.
pub(crate) const WIDTH: usize = 120;

/// Source text that goes into the code as it is: calls of macros, whose bodies no formatter lays out.
#[derive(Debug, Default)]
pub(crate) struct Verbatim {
    texts: Vec<Vec<String>>,
}

impl Verbatim {
    /// An item that [`text`](Self::text) replaces by these lines.
    pub(crate) fn item(&mut self, lines: Vec<String>) -> TokenStream {
        let placeholder = format_ident!("VERBATIM_{}", self.texts.len());
        self.texts.push(lines);
        quote!(const #placeholder: () = ();)
    }

    /// The tokens as text, with blank lines between items and with the verbatim lines in their places.
    pub(crate) fn text(&self, tokens: TokenStream) -> Result<String, SpecError> {
        let file = syn::parse2(tokens).map_err(|error| SpecError::new("the generated code", error))?;
        Ok(spaced(&self.filled(&prettyplease::unparse(&file))))
    }

    fn filled(&self, code: &str) -> String {
        let mut text = String::new();
        for line in code.lines() {
            let place = line.trim_start().strip_prefix("const VERBATIM_");
            let index = place.and_then(|rest| rest.strip_suffix(": () = ();")).and_then(|index| index.parse().ok());
            match index.and_then(|index: usize| self.texts.get(index)) {
                Some(lines) => {
                    let indent = &line[..line.len() - line.trim_start().len()];
                    lines.iter().for_each(|line| text += &format!("{indent}{line}\n"));
                }
                None => text += &format!("{line}\n"),
            }
        }
        text
    }
}

/// The items separated by commas, in lines that are as long as fits behind this indentation.
pub(crate) fn filled_lines(items: impl IntoIterator<Item = String>, indent: &str, outer_indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for item in items {
        match lines.last_mut() {
            Some(last) if outer_indent + last.len() + item.len() + 2 <= WIDTH => *last += &format!(" {item},"),
            _ => lines.push(format!("{indent}{item},")),
        }
    }
    lines
}

/// How the lines begin that start an item.
const ITEMS: [&str; 9] = ["///", "#[", "fn ", "impl", "mod ", "pub ", "static ", "struct ", "use "];

/// The code with blank lines between its items, which prettyplease leaves out.
fn spaced(code: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str, starts: &[&str]| starts.iter().any(|start| line.trim_start().starts_with(start));
    let mut text = String::new();
    let mut previous = "";
    for line in code.lines() {
        let after_block = previous.trim() == "}" && indent(line) == indent(previous);
        let after_call = previous.contains("! {") && previous.ends_with('}');
        let after_import = begins(previous, &["use "]) && !begins(line, &["use "]);
        let after_line = previous.starts_with("//!") || (previous.ends_with(';') && !begins(previous, &["///"]));
        let item = (after_block || after_call) && (begins(line, &ITEMS) || line.ends_with("! {"));
        let documented = after_line && begins(line, &["///"]);
        if item || documented || after_import {
            text.push('\n');
        }
        text += line;
        text.push('\n');
        previous = line;
    }
    text
}

/// The code as rustfmt leaves it, by the `rustfmt.toml` of this directory or of one above it.
///
/// # Errors
///
/// If rustfmt is not installed, or refuses the code.
pub fn rustfmt(code: &str, directory: &Path) -> io::Result<String> {
    let program = env::var_os("RUSTFMT").unwrap_or_else(|| "rustfmt".into());
    let mut process = Command::new(program)
        .args(["--edition", "2024"])
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = process.stdin.take().ok_or_else(|| io::Error::other("rustfmt has no input"))?;
    // From a thread: rustfmt may write before it has read everything.
    let code = code.to_owned();
    let writer = std::thread::spawn(move || input.write_all(code.as_bytes()));
    let output = process.wait_with_output()?;
    let written = writer.join().map_err(|_| io::Error::other("writing to rustfmt panicked"))?;
    if !output.status.success() {
        return Err(io::Error::other(format!("rustfmt failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    written?;
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_separated_by_blank_lines() {
        let code = "//! Docs.\n/// A.\npub struct A {\n    a: u8,\n}\nimpl A {\n    fn a() {\n        if x {\n            y();\n        }\n        z();\n    }\n    fn b() {}\n}\nuse x;\nuse y;\nstatic Z: u8 = 1;\n/// W.\nstatic W: u8 = 2;\n";
        let expected = "//! Docs.\n\n/// A.\npub struct A {\n    a: u8,\n}\n\nimpl A {\n    fn a() {\n        if x {\n            y();\n        }\n        z();\n    }\n\n    fn b() {}\n}\n\nuse x;\nuse y;\n\nstatic Z: u8 = 1;\n\n/// W.\nstatic W: u8 = 2;\n";
        assert_eq!(spaced(code), expected);
    }

    #[test]
    fn verbatim_lines_take_the_indentation_of_their_place() {
        let mut verbatim = Verbatim::default();
        let item = verbatim.item(vec!["object! {".to_owned(), "    Order { id }".to_owned(), "}".to_owned()]);
        let text = verbatim.text(quote!(mod types { #item struct Order; })).unwrap();
        assert_eq!(text, "mod types {\n    object! {\n        Order { id }\n    }\n\n    struct Order;\n}\n");
    }

    #[test]
    fn a_list_fills_its_lines() {
        let items = ["a".repeat(50), "b".repeat(50), "c".repeat(7), "d".repeat(10)];
        let lines = filled_lines(items, "    ", 4);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len() + 4, WIDTH);
        assert_eq!(lines[1], format!("    {},", "d".repeat(10)));
    }

    #[test]
    fn code_that_is_no_rust_is_an_error_of_rustfmt() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = rustfmt("pub fn {", directory).unwrap_err().to_string();
        assert!(error.starts_with("rustfmt failed"), "{error}");
    }

    #[test]
    fn rustfmt_follows_the_settings_of_the_repository() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR"));
        let long = format!("fn f() {{\n    call({}, 2)\n}}\n", "a".repeat(100));
        assert_eq!(rustfmt(&long, directory).unwrap(), long, "rustfmt.toml allows 120 columns");
    }
}
