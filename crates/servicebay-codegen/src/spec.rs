//! A vendor's spec, parsed: everything that the generator relies on is there, or parsing says what is missing.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::operation::{Answer, Body, Call, Operation};
use crate::problem::Problem;
use crate::schema::Schema;

/// An OpenAPI document with our extensions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) openapi: String,
    pub(crate) paths: IndexMap<String, PathItem>,
    pub(crate) components: Components,
    /// The hand-written types of the vendor's module that `x-rust` may name.
    #[serde(default, rename = "x-rust-types")]
    pub(crate) rust_types: BTreeSet<String>,

    #[serde(rename = "info")]
    _info: IgnoredAny,
    #[serde(default, rename = "servers")]
    _servers: IgnoredAny,
    #[serde(default, rename = "tags")]
    _tags: IgnoredAny,
    #[serde(default, rename = "security")]
    _security: IgnoredAny,
    #[serde(default, rename = "externalDocs")]
    _external_docs: IgnoredAny,
}

impl Spec {
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let document: Value = serde_json::from_str(text).map_err(|error| Problem::new("not JSON", error))?;
        let spec: Self = serde_path_to_error::deserialize(without_references(&document, &document))
            .map_err(|error| Problem::new(error.path(), error.inner()))?;
        spec.check()?;
        Ok(spec)
    }

    /// Every operation, in the order of the spec.
    pub(crate) fn calls(&self) -> impl Iterator<Item = Call<'_>> {
        self.paths.iter().flat_map(|(path, item)| {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
                ("DELETE", &item.delete),
            ];
            methods.into_iter().filter_map(move |(method, operation)| {
                let operation = operation.as_ref()?;
                Some(Call { path, method, operation })
            })
        })
    }

    pub(crate) fn schemas(&self) -> &IndexMap<String, Schema> {
        &self.components.schemas
    }

    /// What a body is about, and the name that it stands under where it is in an envelope.
    pub(crate) fn unwrapped<'a>(&'a self, schema: &'a Schema) -> (Option<&'a str>, &'a Schema) {
        let envelope = schema.target().and_then(|name| self.schemas().get(name));
        let inside = envelope.and_then(|envelope| {
            let root = envelope.root.as_deref()?;
            Some((Some(root), envelope.properties.get(root)?))
        });
        inside.unwrap_or((None, schema))
    }

    /// The components that a request may contain.
    pub(crate) fn sent(&self) -> BTreeSet<&str> {
        self.reachable(self.calls().filter_map(|call| call.operation.body()).filter_map(Body::schema))
    }

    /// The components that an answer may contain.
    pub(crate) fn received(&self) -> BTreeSet<&str> {
        let answers = self.calls().flat_map(|call| call.operation.responses.values());
        self.reachable(answers.filter_map(Answer::schema))
    }

    /// The components that a parameter may hold.
    pub(crate) fn parameters(&self) -> BTreeSet<&str> {
        let parameters = self.calls().flat_map(|call| &call.operation.parameters);
        self.reachable(parameters.map(|parameter| &parameter.schema))
    }

    fn reachable<'a>(&'a self, roots: impl Iterator<Item = &'a Schema>) -> BTreeSet<&'a str> {
        let mut pending: Vec<&str> = roots.flat_map(Schema::mentions).collect();
        let mut found = BTreeSet::new();
        while let Some(name) = pending.pop() {
            if found.insert(name) {
                pending.extend(self.schemas().get(name).into_iter().flat_map(Schema::mentions));
            }
        }
        found
    }

    fn check(&self) -> Result<(), Problem> {
        if !self.openapi.starts_with("3.0.") {
            return Err(Problem::new("openapi", "progenitor reads 3.0 alone"));
        }
        let mut ids = BTreeSet::new();
        for call in self.calls() {
            call.check()?;
            if !ids.insert(&call.operation.id) {
                return Err(Problem::new(&call.operation.id, "two operations have this operationId"));
            }
        }
        for (name, schema) in self.schemas() {
            let place = format!("components.schemas.{name}");
            if schema.description.is_none() {
                return Err(Problem::new(place, "has no description"));
            }
            schema.check(&place)?;
        }
        let used = self.calls().flat_map(|call| call.operation.schemas()).chain(self.schemas().values());
        match used.flat_map(Schema::mentions).find(|name| !self.schemas().contains_key(*name)) {
            Some(name) => Err(Problem::new(format!("components.schemas.{name}"), "is referred to and not there")),
            None => Ok(()),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Components {
    schemas: IndexMap<String, Schema>,

    // Written out where they are used before the document is parsed.
    #[serde(default, rename = "headers")]
    _headers: IgnoredAny,
    #[serde(default, rename = "parameters")]
    _parameters: IgnoredAny,
    #[serde(default, rename = "requestBodies")]
    _request_bodies: IgnoredAny,
    #[serde(default, rename = "responses")]
    _responses: IgnoredAny,
    #[serde(default, rename = "securitySchemes")]
    _security_schemes: IgnoredAny,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathItem {
    get: Option<Operation>,
    post: Option<Operation>,
    put: Option<Operation>,
    patch: Option<Operation>,
    delete: Option<Operation>,
}

/// The document with shared parameters, bodies and answers written out where they are used; schemas stay shared.
fn without_references(part: &Value, document: &Value) -> Value {
    match part {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let shared = reference.filter(|reference| !reference.starts_with("#/components/schemas/"));
            match shared.and_then(|reference| document.pointer(reference.strip_prefix('#')?)) {
                Some(target) => without_references(target, document),
                None => fields.iter().map(|(key, value)| (key.clone(), without_references(value, document))).collect(),
            }
        }
        Value::Array(items) => items.iter().map(|item| without_references(item, document)).collect(),
        _ => part.clone(),
    }
}
