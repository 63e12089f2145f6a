//! The generated documentation: the spec's statements as sentences, lines and examples.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::operation::{Call, Operation, Parameter, Place};
use crate::schema::{Confidence, Schema, Source};

/// Where a line of documentation is broken.
const WIDTH: usize = 100;

/// A documentation comment.
#[derive(Debug, Default)]
pub(crate) struct Prose {
    lines: Vec<String>,
}

impl Prose {
    pub(crate) fn new(first: impl AsRef<str>) -> Self {
        Self::default().paragraph(first)
    }

    pub(crate) fn paragraph(self, text: impl AsRef<str>) -> Self {
        let text = linked(&sentence(text.as_ref()));
        let lines: Vec<_> = text.lines().flat_map(|line| wrapped(line, "")).collect();
        self.block(lines)
    }

    /// The same as the documentation of the file that it stands in.
    pub(crate) fn inner(&self) -> TokenStream {
        let lines = self.attributes();
        quote!(#(#![doc = #lines])*)
    }

    fn attributes(&self) -> impl Iterator<Item = String> {
        self.lines.iter().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") })
    }

    fn list(self, items: impl IntoIterator<Item = String>) -> Self {
        self.block(items.into_iter().flat_map(|item| wrapped(&format!("* {}", linked(&item)), "  ")))
    }

    fn section(self, title: &str, lines: impl IntoIterator<Item = String>) -> Self {
        self.block([format!("# {title}")]).block(lines)
    }

    fn block(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        if !self.lines.is_empty() {
            self.lines.push(String::new());
        }
        self.lines.extend(lines);
        self
    }
}

impl ToTokens for Prose {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let lines = self.attributes();
        tokens.extend(quote!(#(#[doc = #lines])*));
    }
}

/// The documentation of a client's method.
pub(crate) fn of_operation(call: Call<'_>, vendor: &str) -> Prose {
    let (operation, builder) = (call.operation, call.builder());
    let mut facts = Vec::new();
    if !operation.scopes.is_empty() {
        let scopes: Vec<_> = operation.scopes.iter().map(|scope| format!("`{scope}`")).collect();
        let known = match operation.scopes_confidence {
            None | Some(Confidence::Assumed) => " (the name is assumed)",
            Some(Confidence::Documented | Confidence::Observed) => "",
        };
        facts.push(format!("Scope: {}{known}.", scopes.join(", ")));
    }
    facts.push(standing(operation.confidence).to_owned());
    if let Some(confidence) = operation.body_confidence {
        facts.push(format!("The request body. {}", standing(confidence)));
    }
    facts.push(source(&operation.source));
    facts.push(if call.is_idempotent() {
        "Idempotent: sent again when its answer is lost.".to_owned()
    } else {
        "Not idempotent: not sent again when its answer is lost.".to_owned()
    });

    let mut prose = Prose::new(&operation.summary).paragraph(&operation.description).list(facts);
    if !operation.example.is_empty() {
        prose = prose.section("Example", example(&operation.example, vendor));
    }
    prose.section(
        "Errors",
        [format!(
            "[`send`](builder::{builder}::send) fails with an [`Error`](crate::Error) that tells what went wrong."
        )],
    )
}

/// The documentation of a parameter's setter.
pub(crate) fn of_parameter(parameter: &Parameter) -> Prose {
    let schema = &parameter.schema;
    let statement = Statement {
        text: &parameter.description,
        unit: parameter.unit.as_deref().or(schema.unit.as_deref()),
        schema,
        confidence: Some(parameter.confidence),
        bounds: parameter.bounds_confidence.or(schema.bounds_confidence),
        default: parameter.default_confidence.or(schema.default_confidence),
    };
    // A part of the path is always needed, and its builder says so by name.
    statement.prose(if parameter.place == Place::Query && parameter.required { " Required." } else { "" })
}

/// The documentation of the setter of a request's body.
pub(crate) fn of_body(operation: &Operation) -> Prose {
    let description =
        operation.body().and_then(|body| body.description.as_deref()).unwrap_or("The body of the request.");
    let known = operation.body_confidence.unwrap_or(operation.confidence);
    Prose::new(format!("{} {known}.", sentence(description)))
}

/// The documentation of a field, or of its setter.
pub(crate) fn of_property(schema: &Schema) -> Prose {
    let statement = Statement {
        text: schema.description.as_deref().unwrap_or_default(),
        unit: schema.unit.as_deref(),
        schema,
        confidence: schema.confidence,
        bounds: schema.bounds_confidence,
        default: schema.default_confidence,
    };
    statement.prose("")
}

/// The documentation of a type.
pub(crate) fn of_component(schema: &Schema) -> Prose {
    let facts = [schema.confidence.map(|known| standing(known).to_owned()), schema.source.as_ref().map(source)];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let prose = Prose::new(schema.description.as_deref().unwrap_or_default());
    if facts.is_empty() { prose } else { prose.paragraph(facts.join(" ")) }
}

/// What the spec says of a parameter or field.
struct Statement<'a> {
    text: &'a str,
    unit: Option<&'a str>,
    schema: &'a Schema,
    confidence: Option<Confidence>,
    bounds: Option<Confidence>,
    default: Option<Confidence>,
}

impl Statement<'_> {
    fn prose(&self, remark: &str) -> Prose {
        let mut text = sentence(self.text) + remark;
        if let Some(unit) = self.unit {
            text += &format!(" Unit: {unit}.");
        }
        let bounds = match (self.schema.minimum, self.schema.maximum) {
            (Some(minimum), Some(maximum)) => Some(format!("From {minimum} to {maximum}")),
            (Some(minimum), None) => Some(format!("At least {minimum}")),
            (None, Some(maximum)) => Some(format!("At most {maximum}")),
            (None, None) => None,
        };
        if let Some(bounds) = bounds {
            text += &format!(" {bounds}{}.", self.aside(self.bounds));
        }
        if let Some(default) = &self.schema.default {
            text += &format!(" Default: `{default}`{}.", self.aside(self.default));
        }
        if let Some(confidence) = self.confidence {
            text += &format!(" {confidence}.");
        }
        Prose::new(text)
    }

    /// The confidence of a part, where it differs from the whole.
    fn aside(&self, part: Option<Confidence>) -> String {
        match part {
            Some(part) if Some(part) != self.confidence => format!(" ({})", part.to_string().to_lowercase()),
            _ => String::new(),
        }
    }
}

fn standing(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Assumed => "Assumed: nothing that could be read confirms it.",
        Confidence::Documented => "Documented by the vendor.",
        Confidence::Observed => "Observed in a working client; the vendor's documentation of it could not be read.",
    }
}

fn source(source: &Source) -> String {
    format!("Source: {source}.")
}

/// The example as a test that runs against the vendor's mock server.
fn example(lines: &[String], vendor: &str) -> Vec<String> {
    let opening = [
        "```".to_owned(),
        format!("# use servicebay::{vendor};"),
        "# #[tokio::main(flavor = \"current_thread\")]".to_owned(),
        "# async fn main() -> Result<(), servicebay::Error> {".to_owned(),
        format!("# let tenant = servicebay::testing::{vendor}::MockServer::start().await;"),
        "# let client = tenant.client()?;".to_owned(),
    ];
    let closing = ["# Ok(())", "# }", "```"].map(str::to_owned);
    opening.into_iter().chain(lines.iter().cloned()).chain(closing).collect()
}

/// The text with a full stop, unless it ends otherwise.
fn sentence(text: &str) -> String {
    let text = text.trim();
    match text.chars().last() {
        None | Some('.' | '!' | '?' | ':') => text.to_owned(),
        Some(_) => format!("{text}."),
    }
}

/// The text with its bare addresses as links.
fn linked(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let address = word.trim_end_matches(['.', ',', ';', ':', ')']);
        match address.starts_with("https://") || address.starts_with("http://") {
            true => format!("<{address}>{}", &word[address.len()..]),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The line broken at spaces, never so that a word begins a line to which Markdown would give a meaning.
fn wrapped(line: &str, indent: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let marks = word.starts_with(['#', '*', '+', '-', '>', '=', '|'])
            || word.ends_with(['.', ')']) && word.starts_with(char::is_numeric);
        match lines.last_mut() {
            Some(last) if marks || last.len() + word.len() < WIDTH => *last += &format!(" {word}"),
            Some(_) => lines.push(format!("{indent}{word}")),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}
