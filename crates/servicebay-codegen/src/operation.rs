//! Operations as the spec writes them, with their parameters and bodies.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::problem::Problem;
use crate::schema::{Confidence, Schema, Source};

/// An operation where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) path: &'a str,
    pub(crate) method: &'static str,
    pub(crate) operation: &'a Operation,
}

impl Call<'_> {
    /// Whether repeating the call has the effect of making it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.operation.idempotent || !matches!(self.method, "POST" | "PATCH")
    }

    /// The name of its builder, such as `GetOrder`.
    pub(crate) fn builder(&self) -> String {
        let words = self.operation.id.split('_').map(|word| word.split_at(word.len().min(1)));
        words.flat_map(|(first, rest)| [first.to_uppercase(), rest.to_owned()]).collect()
    }

    pub(crate) fn check(&self) -> Result<(), Problem> {
        self.operation
            .check()
            .and_then(|()| self.check_path())
            .map_err(|problem| problem.within(format!("paths.{}.{}", self.path, self.method.to_lowercase())))
    }

    fn check_path(&self) -> Result<(), Problem> {
        let named: Vec<&str> = self.path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
        for name in &named {
            if !self.operation.parameter(name).is_some_and(|parameter| parameter.place == Place::Path) {
                return Err(Problem::new(name, "in the path, and no path parameter"));
            }
        }
        for parameter in &self.operation.parameters {
            if parameter.place == Place::Path && !named.contains(&parameter.name.as_str()) {
                return Err(Problem::new(&parameter.name, "a path parameter that is not in the path"));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Operation {
    #[serde(rename = "operationId")]
    pub(crate) id: String,
    pub(crate) summary: String,
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) parameters: Vec<Parameter>,
    #[serde(default, rename = "requestBody")]
    request_body: Option<Body>,
    pub(crate) responses: IndexMap<String, Answer>,

    #[serde(rename = "x-source")]
    pub(crate) source: Source,
    #[serde(rename = "x-confidence")]
    pub(crate) confidence: Confidence,
    #[serde(default, rename = "x-confidence-body")]
    pub(crate) body_confidence: Option<Confidence>,
    #[serde(default, rename = "x-scopes")]
    pub(crate) scopes: Vec<String>,
    /// How well the scopes' names are known; assumed where it is not said.
    #[serde(default, rename = "x-scopes-confidence")]
    pub(crate) scopes_confidence: Option<Confidence>,
    #[serde(default, rename = "x-idempotent")]
    idempotent: bool,
    #[serde(default, rename = "x-page")]
    pub(crate) page: Option<Paging>,
    /// The query parameter that holds all the others, as one JSON object. Brackets in their names say where in it.
    #[serde(default, rename = "x-query-object")]
    pub(crate) query_object: Option<String>,
    /// Whether a successful answer may hold the vendor's complaints, and is a refusal then.
    #[serde(default, rename = "x-refuses-inside")]
    pub(crate) refuses_inside: bool,
    #[serde(default, rename = "x-exclusive")]
    pub(crate) exclusive: Vec<Vec<String>>,
    #[serde(default, rename = "x-span")]
    pub(crate) span: Option<Span>,
    /// Lines of Rust that run against the vendor's mock server, with a `client` in scope.
    #[serde(default, rename = "x-example")]
    pub(crate) example: Vec<String>,

    #[serde(default, rename = "tags")]
    _tags: IgnoredAny,
    #[serde(default, rename = "security")]
    _security: IgnoredAny,
    #[serde(default, rename = "externalDocs")]
    _external_docs: IgnoredAny,
}

impl Operation {
    pub(crate) fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }

    pub(crate) fn body(&self) -> Option<&Body> {
        self.request_body.as_ref()
    }

    /// The one schema of its successful answers; `None` inside means that they have no body.
    pub(crate) fn success(&self) -> Option<&Schema> {
        self.successes().find_map(Answer::schema)
    }

    /// Every schema of the operation.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let parameters = self.parameters.iter().map(|parameter| &parameter.schema);
        let answers = self.responses.values().filter_map(Answer::schema);
        parameters.chain(self.body().and_then(Body::schema)).chain(answers)
    }

    fn successes(&self) -> impl Iterator<Item = &Answer> {
        self.responses.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer)
    }

    fn check(&self) -> Result<(), Problem> {
        let wrong = |what: &str| Err(Problem::new(&self.id, what));
        if snake(&self.id) != self.id || syn::parse_str::<syn::Ident>(&self.id).is_err() {
            return wrong("the operationId is no Rust name in snake_case");
        }
        let mut shapes: Vec<_> = self.successes().map(Answer::schema).collect();
        shapes.dedup();
        if shapes.len() != 1 {
            return wrong("needs successful answers of exactly one shape");
        }
        for parameter in &self.parameters {
            parameter.check().map_err(|problem| problem.within(&self.id))?;
        }
        let paged = self.page.iter().flat_map(Paging::parameters);
        for name in paged.chain(self.exclusive.iter().flatten().map(String::as_str)) {
            if self.parameter(name).is_none() {
                return wrong(&format!("x-page or x-exclusive names `{name}`, the parameters do not"));
            }
        }
        for name in self.span.iter().flat_map(|span| [&span.from, &span.to]) {
            if self.parameter(name).is_none_or(|parameter| parameter.schema.format.as_deref() != Some("date")) {
                return wrong(&format!("x-span names `{name}`, which is no parameter of the format date"));
            }
        }
        if let Some(body) = self.body() {
            if !body.required {
                return wrong("an optional request body cannot be expressed: set `required`");
            }
            if body.content.len() != 1 || body.schema().is_none() {
                return wrong("the request body needs a schema, for application/json and nothing else");
            }
        }
        self.schemas().try_for_each(|schema| schema.check_inline(&self.id))
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    #[serde(rename = "in")]
    pub(crate) place: Place,
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) required: bool,
    pub(crate) schema: Schema,

    #[serde(default, rename = "x-rust-name")]
    rust_name: Option<String>,
    #[serde(default, rename = "x-unit")]
    pub(crate) unit: Option<String>,
    #[serde(rename = "x-confidence")]
    pub(crate) confidence: Confidence,
    #[serde(default, rename = "x-default-confidence")]
    pub(crate) default_confidence: Option<Confidence>,
    #[serde(default, rename = "x-bounds-confidence")]
    pub(crate) bounds_confidence: Option<Confidence>,

    #[serde(default, rename = "example")]
    _example: IgnoredAny,
    #[serde(default, rename = "examples")]
    _examples: IgnoredAny,
}

impl Parameter {
    /// The name of its setter, and the name that progenitor gets to see.
    pub(crate) fn rust_name(&self) -> String {
        self.rust_name.clone().unwrap_or_else(|| snake(&self.name))
    }

    fn check(&self) -> Result<(), Problem> {
        let wrong = |what: &str| Err(Problem::new(&self.name, what));
        if ["body", "client", "items", "new", "pages", "send"].contains(&self.rust_name().as_str()) {
            return wrong("a builder has something of this name already: set `x-rust-name`");
        }
        match (self.place, self.required) {
            (Place::Path, false) => wrong("a path parameter is always `required`"),
            (Place::Path, true) if self.rust_name() != self.name => {
                wrong("a path parameter is in snake_case: the name is ours to choose")
            }
            _ => Ok(()),
        }
    }
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Place {
    Path,
    Query,
}

/// Two days that a call asks about, and how many days may lie between them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Span {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) days: i32,
}

/// How a list is walked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    /// The parameters that lead to the next page.
    pub(crate) by: Vec<String>,
    /// What to ask for where whole items are wanted.
    #[serde(default)]
    pub(crate) expand: Option<Expansion>,
}

impl Paging {
    fn parameters(&self) -> impl Iterator<Item = &str> {
        self.by.iter().chain(self.expand.iter().map(|expand| &expand.param)).map(String::as_str)
    }
}

/// The parameter, and its value, that turns links in a list into whole items.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expansion {
    pub(crate) param: String,
    pub(crate) items: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    #[serde(default)]
    pub(crate) description: Option<String>,
    #[serde(default)]
    required: bool,
    content: IndexMap<String, Media>,
}

impl Body {
    pub(crate) fn schema(&self) -> Option<&Schema> {
        self.content.get("application/json").map(|media| &media.schema)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    #[serde(default)]
    content: IndexMap<String, Media>,

    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "headers")]
    _headers: IgnoredAny,
}

impl Answer {
    pub(crate) fn schema(&self) -> Option<&Schema> {
        self.content.get("application/json").map(|media| &media.schema)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Media {
    schema: Schema,

    #[serde(default, rename = "example")]
    _example: IgnoredAny,
    #[serde(default, rename = "examples")]
    _examples: IgnoredAny,
}

/// A name in snake_case, from camelCase or kebab-case.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' });
    }
    snake
}
