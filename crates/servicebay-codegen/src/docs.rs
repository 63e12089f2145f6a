//! The generated documentation: what the spec states, as sentences, lists and examples.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

use crate::operation::{Endpoint, Operation};
use crate::parameter::{Location, Parameter};
use crate::schema::{Confidence, Schema, Source};

/// The longest line of text: at the deepest indentation, behind `/// `, it ends at column 120.
const WIDTH: usize = 108;

/// A documentation comment.
#[derive(Debug, Default)]
pub(crate) struct Docs {
    lines: Vec<String>,
}

impl Docs {
    pub(crate) fn new(first: impl AsRef<str>) -> Self {
        Self::default().paragraph(first)
    }

    pub(crate) fn paragraph(self, text: impl AsRef<str>) -> Self {
        let text = linked(&sentence(text.as_ref()));
        let lines: Vec<_> = text.lines().flat_map(|line| wrapped(line, "")).collect();
        self.block(lines)
    }

    /// The comment as documentation of the file that it stands in.
    pub(crate) fn inner(&self) -> TokenStream {
        let lines = self.attributes();
        quote!(#(#![doc = #lines])*)
    }

    /// The comment as source text, for the body of a macro.
    pub(crate) fn source_lines(&self) -> impl Iterator<Item = String> {
        self.attributes().map(|line| format!("///{line}"))
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

impl ToTokens for Docs {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let lines = self.attributes();
        tokens.extend(quote!(#(#[doc = #lines])*));
    }
}

/// The documentation of a client's method.
pub(crate) fn of_method(endpoint: Endpoint<'_>, vendor: &str) -> Docs {
    let (Endpoint { path, method, operation }, constant) = (endpoint, endpoint.constant());
    let mut facts = vec![format!("`{method} {path}`: [`{constant}`](operations::{constant}).")];
    if !operation.scopes.is_empty() {
        let remark = match operation.scopes_confidence {
            None | Some(Confidence::Assumed) => " (the name is assumed)",
            Some(Confidence::Documented | Confidence::Observed) => "",
        };
        facts.push(format!("Scope: {}{remark}.", code_list(&operation.scopes)));
    }
    facts.push(format!("{} {}", standing(operation.confidence), source(&operation.source)));
    if let Some(confidence) = operation.body_confidence {
        facts.push(format!("The request body. {}", standing(confidence)));
    }
    facts.push(if endpoint.is_idempotent() {
        "Idempotent: sent again if the response is lost.".to_owned()
    } else if operation.idempotency_key {
        "Sent with an `Idempotency-Key`, and sent again with the same one if the response is lost.".to_owned()
    } else {
        "Not idempotent: not sent again if the response is lost.".to_owned()
    });

    let docs = Docs::new(&operation.summary).paragraph(&operation.description).list(facts);
    if operation.example.is_empty() { docs } else { docs.section("Example", example(&operation.example, vendor)) }
}

/// The documentation of a builder.
pub(crate) fn of_builder(operation: &Operation, vendor: &str) -> Docs {
    let id = &operation.id;
    Docs::new(format!("{} Made by [`Client::{id}`](crate::{vendor}::Client::{id})", sentence(&operation.summary)))
}

/// The documentation of a builder's `send`: the kinds of errors that this operation makes likely.
pub(crate) fn of_send(endpoint: Endpoint<'_>) -> Docs {
    let operation = endpoint.operation;
    let parameters = &operation.parameters;
    let has_bounds = |parameter: &Parameter| parameter.schema.minimum.is_some() || parameter.schema.maximum.is_some();
    let bounded = parameters.iter().any(has_bounds) || !operation.exclusive.is_empty() || operation.span.is_some();
    let required = parameters.iter().any(|parameter| parameter.required) || operation.body().is_some();

    let mut kinds = Vec::new();
    match (required, bounded) {
        (true, true) => kinds.push("[`Error::InvalidRequest`] if a value is missing or out of bounds".to_owned()),
        (true, false) => kinds.push("[`Error::InvalidRequest`] if a value is missing".to_owned()),
        (false, true) => kinds.push("[`Error::InvalidRequest`] if a value is out of bounds".to_owned()),
        (false, false) => {}
    }
    if !operation.scopes.is_empty() {
        kinds.push(format!("[`Error::Forbidden`] without {}", code_list(&operation.scopes)));
    }
    if parameters.iter().any(|parameter| parameter.location == Location::Path) {
        kinds.push("[`Error::NotFound`]".to_owned());
    }
    if operation.body().is_some() || operation.errors_in_success {
        kinds.push("[`Error::Validation`] if the vendor refuses what is sent".to_owned());
    }
    if !endpoint.is_idempotent() {
        kinds.push("[`Error::OutcomeUnknown`] if the response is lost".to_owned());
    }
    let errors = match kinds.as_slice() {
        [] => "Any [`Error`]".to_owned(),
        kinds => format!("Any [`Error`], in particular {}", kinds.join(", ")),
    };
    Docs::new("Sends the request").section("Errors", wrapped(&sentence(&errors), ""))
}

/// The documentation of a static operation.
pub(crate) fn of_constant(endpoint: Endpoint<'_>) -> Docs {
    Docs::new(format!("{}: `{} {}`", endpoint.operation.summary, endpoint.method, endpoint.path))
}

/// The documentation of a parameter's setter.
pub(crate) fn of_parameter(parameter: &Parameter) -> Docs {
    let schema = &parameter.schema;
    let statement = Statement {
        text: &parameter.description,
        unit: parameter.unit.as_deref().or(schema.unit.as_deref()),
        schema,
        confidence: Some(parameter.confidence),
        bounds: parameter.bounds_confidence.or(schema.bounds_confidence),
        default: parameter.default_confidence.or(schema.default_confidence),
    };
    // A part of the path is always needed, and the error says so.
    let required = parameter.location == Location::Query && parameter.required;
    statement.docs(if required { " Required." } else { "" })
}

/// The documentation of the setter of a request's body.
pub(crate) fn of_body(operation: &Operation) -> Docs {
    let description =
        operation.body().and_then(|body| body.description.as_deref()).unwrap_or("The body of the request.");
    let confidence = operation.body_confidence.unwrap_or(operation.confidence);
    Docs::new(format!("{} {confidence}.", sentence(description)))
}

/// The documentation of a field, or of its setter.
pub(crate) fn of_property(schema: &Schema) -> Docs {
    statement(schema).docs("")
}

/// The documentation of a field that is sent as `null` on request.
pub(crate) fn of_clearable(schema: &Schema) -> Docs {
    statement(schema).docs(" `Some(None)` is sent as `null`.")
}

fn statement(schema: &Schema) -> Statement<'_> {
    Statement {
        text: schema.description.as_deref().unwrap_or_default(),
        unit: schema.unit.as_deref(),
        schema,
        confidence: schema.confidence,
        bounds: schema.bounds_confidence,
        default: schema.default_confidence,
    }
}

/// The documentation of the method that sends a property as `null`.
pub(crate) fn of_clear(wire: &str, schema: &Schema) -> Docs {
    let confidence = schema.nullable_confidence.or(schema.confidence);
    let remark = confidence.map(|known| format!(" {known}.")).unwrap_or_default();
    Docs::new(format!("Sends `{wire}` as `null`, which clears it.{remark}"))
}

/// The documentation of a type.
pub(crate) fn of_component(schema: &Schema) -> Docs {
    let facts = [schema.confidence.map(|known| standing(known).to_owned()), schema.source.as_ref().map(source)];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    let docs = Docs::new(schema.description.as_deref().unwrap_or_default());
    if facts.is_empty() { docs } else { docs.paragraph(facts.join(" ")) }
}

/// What the spec states about a parameter or field.
struct Statement<'a> {
    text: &'a str,
    unit: Option<&'a str>,
    schema: &'a Schema,
    confidence: Option<Confidence>,
    bounds: Option<Confidence>,
    default: Option<Confidence>,
}

impl Statement<'_> {
    fn docs(&self, remark: &str) -> Docs {
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
        Docs::new(text)
    }

    /// The confidence of a part, if it differs from that of the whole.
    fn aside(&self, part: Option<Confidence>) -> String {
        match part {
            Some(part) if Some(part) != self.confidence => format!(" ({})", part.to_string().to_lowercase()),
            _ => String::new(),
        }
    }
}

fn standing(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Assumed => "Assumed: no source that could be read confirms it.",
        Confidence::Documented => "Documented by the vendor.",
        Confidence::Observed => "Observed in a working client; the vendor's documentation of it could not be read.",
    }
}

fn source(source: &Source) -> String {
    format!("Source: {source}.")
}

fn code_list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The example as a test that runs against the vendor's mock server.
fn example(lines: &[String], vendor: &str) -> Vec<String> {
    let opening = [
        "```".to_owned(),
        format!("# use servicebay::{vendor};"),
        "# #[tokio::main(flavor = \"current_thread\")]".to_owned(),
        "# async fn main() -> Result<(), servicebay::Error> {".to_owned(),
        format!("# let server = servicebay::testing::{vendor}::MockServer::start().await;"),
        "# let client = server.client()?;".to_owned(),
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

/// The line broken at spaces, but never in front of a word that means something to Markdown at the start of a line.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn of(operation: &str, docs: impl Fn(Endpoint<'_>) -> Docs) -> String {
        let spec = sample::spec();
        let endpoint = spec.endpoints().find(|endpoint| endpoint.operation.id == operation).unwrap();
        docs(endpoint).lines.join("\n")
    }

    #[test]
    fn a_method_shows_its_request_scope_standing_and_source() {
        assert_eq!(
            of("list_orders", |endpoint| of_method(endpoint, "acme")),
            "List orders.\n\nAll orders.\n\n\
             * `GET /orders`: [`LIST_ORDERS`](operations::LIST_ORDERS).\n\
             * Scope: `orders:view` (the name is assumed).\n\
             * Documented by the vendor. Source: <https://docs.acme.example>.\n\
             * Idempotent: sent again if the response is lost."
        );
    }

    #[test]
    fn a_method_says_that_its_operation_takes_a_key() {
        let spec = sample::changed(|document| document["paths"]["/orders"]["post"]["x-idempotency-key"] = true.into());
        let endpoint = spec.endpoints().find(|endpoint| endpoint.operation.id == "create_order").unwrap();
        let docs = of_method(endpoint, "acme").lines.join(" ");
        let fact = "* Sent with an `Idempotency-Key`, and sent again with the same one if the response is lost.";
        assert!(docs.contains(fact), "{docs}");
    }

    #[test]
    fn an_example_runs_against_the_mock_server() {
        let docs = of("create_order", |endpoint| of_method(endpoint, "acme"));
        let example = docs.split_once("# Example\n\n").unwrap().1;
        assert_eq!(
            example,
            "```\n# use servicebay::acme;\n# #[tokio::main(flavor = \"current_thread\")]\n\
             # async fn main() -> Result<(), servicebay::Error> {\n\
             # let server = servicebay::testing::acme::MockServer::start().await;\n\
             # let client = server.client()?;\nlet order = client.create_order();\n# Ok(())\n# }\n```"
        );
    }

    #[test]
    fn a_builder_repeats_the_summary_and_links_the_method() {
        let docs = of("get_order", |endpoint| of_builder(endpoint.operation, "acme"));
        assert_eq!(docs, "Read an order. Made by [`Client::get_order`](crate::acme::Client::get_order).");
    }

    #[test]
    fn send_names_the_errors_that_its_operation_makes_likely() {
        for (operation, errors) in [
            (
                "list_orders",
                "Any [`Error`], in particular [`Error::InvalidRequest`] if a value is out of bounds, \
                 [`Error::Forbidden`]\nwithout `orders:view`.",
            ),
            (
                "get_order",
                "Any [`Error`], in particular [`Error::InvalidRequest`] if a value is missing, [`Error::NotFound`].",
            ),
            (
                "create_order",
                "Any [`Error`], in particular [`Error::InvalidRequest`] if a value is missing, [`Error::Validation`] if the\n\
                 vendor refuses what is sent, [`Error::OutcomeUnknown`] if the response is lost.",
            ),
        ] {
            assert_eq!(of(operation, of_send), format!("Sends the request.\n\n# Errors\n\n{errors}"), "{operation}");
        }
    }

    #[test]
    fn a_parameter_states_its_unit_bounds_and_default() {
        let docs = of("list_orders", |endpoint| of_parameter(endpoint.operation.parameter("perPage").unwrap()));
        assert_eq!(docs, "Orders on a page. Unit: orders. From 1 to 100. Default: `25` (assumed). Documented.");
        let docs = of("list_orders", |endpoint| of_parameter(endpoint.operation.parameter("page").unwrap()));
        assert_eq!(docs, "Number of the page. At least 1. Documented.");
    }

    #[test]
    fn a_sentence_ends() {
        for (text, whole) in [("An order", "An order."), (" How? ", "How?"), ("These:", "These:"), ("", "")] {
            assert_eq!(sentence(text), whole);
        }
    }

    #[test]
    fn bare_addresses_become_links() {
        assert_eq!(
            linked("See https://a.example/b, and (http://c.example)."),
            "See <https://a.example/b>, and (http://c.example)."
        );
        assert_eq!(linked("From https://a.example."), "From <https://a.example>.");
    }

    #[test]
    fn lines_break_at_the_width_and_not_before_marks() {
        let word = "w".repeat(WIDTH - 2);
        assert_eq!(wrapped(&format!("{word} a b"), "  "), [format!("{word} a"), "  b".to_owned()]);
        assert_eq!(wrapped(&format!("{word} a - b"), ""), [format!("{word} a -"), "b".to_owned()]);
        assert_eq!(wrapped(&format!("{word} a 12. b"), ""), [format!("{word} a 12."), "b".to_owned()]);
    }

    #[test]
    fn source_text_of_a_comment_has_no_trailing_space() {
        let lines: Vec<_> = Docs::new("One").paragraph("Two").source_lines().collect();
        assert_eq!(lines, ["/// One.", "///", "/// Two."]);
    }
}
