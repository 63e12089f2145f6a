//! Operations as the spec writes them, with their bodies and responses.

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::naming;
use crate::parameter::{DateSpan, Location, Paging, Parameter};
use crate::schema::{Confidence, Schema, Source};
use crate::spec_error::SpecError;

/// An operation with its path and method.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint<'a> {
    pub(crate) path: &'a str,
    pub(crate) method: &'static str,
    pub(crate) operation: &'a Operation,
}

impl Endpoint<'_> {
    /// Whether repeating the call has the effect of making it once.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.operation.idempotent || !matches!(self.method, "POST" | "PATCH")
    }

    /// The name of its builder, such as `GetOrder`.
    pub(crate) fn builder(&self) -> String {
        naming::pascal_case(&self.operation.id)
    }

    /// The name of its static, such as `GET_ORDER`.
    pub(crate) fn constant(&self) -> String {
        self.operation.id.to_uppercase()
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        self.operation
            .check()
            .and_then(|()| self.check_path())
            .and_then(|()| self.check_idempotency_key())
            .map_err(|error| error.within(format!("paths.{}.{}", self.path, self.method.to_lowercase())))
    }

    fn check_idempotency_key(&self) -> Result<(), SpecError> {
        if self.operation.idempotency_key && self.is_idempotent() {
            let problem = "has `x-idempotency-key`, but can be repeated without a key; leave it out";
            return Err(SpecError::new(&self.operation.id, problem));
        }
        Ok(())
    }

    fn check_path(&self) -> Result<(), SpecError> {
        let named: Vec<&str> = self.path.split('{').skip(1).filter_map(|part| Some(part.split_once('}')?.0)).collect();
        for name in &named {
            if !self.operation.parameter(name).is_some_and(|parameter| parameter.location == Location::Path) {
                return Err(SpecError::new(name, "is in the path, but no path parameter has this name"));
            }
        }
        for parameter in &self.operation.parameters {
            if parameter.location == Location::Path && !named.contains(&parameter.name.as_str()) {
                return Err(SpecError::new(&parameter.name, "is a path parameter, but not in the path"));
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
    pub(crate) responses: IndexMap<String, Response>,

    #[serde(rename = "x-source")]
    pub(crate) source: Source,
    #[serde(rename = "x-confidence")]
    pub(crate) confidence: Confidence,
    #[serde(default, rename = "x-confidence-body")]
    pub(crate) body_confidence: Option<Confidence>,
    #[serde(default, rename = "x-scopes")]
    pub(crate) scopes: Vec<String>,
    /// How well the names of the scopes are known; assumed if it is not stated.
    #[serde(default, rename = "x-scopes-confidence")]
    pub(crate) scopes_confidence: Option<Confidence>,
    #[serde(default, rename = "x-idempotent")]
    idempotent: bool,
    /// Whether the vendor recognizes a repeated request by its `Idempotency-Key`.
    #[serde(default, rename = "x-idempotency-key")]
    pub(crate) idempotency_key: bool,
    #[serde(default, rename = "x-page")]
    pub(crate) page: Option<Paging>,
    /// The query parameter that holds all the others, as one JSON object. Brackets in their names nest them in it.
    #[serde(default, rename = "x-query-object")]
    pub(crate) query_object: Option<String>,
    /// Whether a successful response may hold the vendor's complaints, and is an error then.
    #[serde(default, rename = "x-errors-in-success")]
    pub(crate) errors_in_success: bool,
    /// Groups of parameters of which only one may be set.
    #[serde(default, rename = "x-exclusive")]
    pub(crate) exclusive: Vec<Vec<String>>,
    #[serde(default, rename = "x-span")]
    pub(crate) span: Option<DateSpan>,
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

    /// The one schema of its successful responses; `None` if they have no body.
    pub(crate) fn success(&self) -> Option<&Schema> {
        self.successes().find_map(Response::schema)
    }

    /// Every schema of the operation.
    pub(crate) fn schemas(&self) -> impl Iterator<Item = &Schema> {
        let parameters = self.parameters.iter().map(|parameter| &parameter.schema);
        let responses = self.responses.values().filter_map(Response::schema);
        parameters.chain(self.body().and_then(Body::schema)).chain(responses)
    }

    fn successes(&self) -> impl Iterator<Item = &Response> {
        self.responses.iter().filter(|(status, _)| status.starts_with('2')).map(|(_, response)| response)
    }

    fn check(&self) -> Result<(), SpecError> {
        let refuse = |problem: &str| Err(SpecError::new(&self.id, problem));
        if !naming::is_snake_case_identifier(&self.id) {
            return refuse("the operationId must be a Rust name in snake_case, such as `list_orders`");
        }
        let mut shapes: Vec<_> = self.successes().map(Response::schema).collect();
        shapes.dedup();
        if shapes.len() != 1 {
            return refuse(&format!("the successful responses must have one shape; they have {}", shapes.len()));
        }
        for parameter in &self.parameters {
            parameter.check().map_err(|error| error.within(&self.id))?;
        }
        self.check_names("x-page", self.page.iter().flat_map(Paging::parameters))?;
        self.check_names("x-exclusive", self.exclusive.iter().flatten().map(String::as_str))?;
        self.check_names("x-span", self.span.iter().flat_map(DateSpan::parameters))?;
        for name in self.span.iter().flat_map(DateSpan::parameters) {
            if self.parameter(name).is_some_and(|parameter| parameter.schema.format.as_deref() != Some("date")) {
                return refuse(&format!("x-span names `{name}`, which has not the format `date`"));
            }
        }
        if let Some(body) = self.body() {
            if !body.required {
                return refuse("the request body must be `required`; an optional one is not supported");
            }
            if body.content.len() != 1 || body.schema().is_none() {
                return refuse("the request body must have a schema for application/json, and for nothing else");
            }
        }
        self.schemas().try_for_each(|schema| schema.check_inline(&self.id))
    }

    /// Checks that the names in an extension are those of parameters.
    fn check_names<'a>(&self, key: &str, mut names: impl Iterator<Item = &'a str>) -> Result<(), SpecError> {
        match names.find(|name| self.parameter(name).is_none()) {
            Some(name) => Err(SpecError::new(&self.id, format!("{key} names `{name}`, which is no parameter of it"))),
            None => Ok(()),
        }
    }
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
pub(crate) struct Response {
    #[serde(default)]
    content: IndexMap<String, Media>,

    #[serde(rename = "description")]
    _description: IgnoredAny,
    #[serde(default, rename = "headers")]
    _headers: IgnoredAny,
}

impl Response {
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// An operation that nothing is wrong with.
    fn operation() -> Value {
        json!({
            "operationId": "list_orders",
            "summary": "List orders",
            "description": "All of them.",
            "parameters": [parameter("page"), parameter("since")],
            "responses": { "200": response("string"), "4XX": response("object") },
            "x-source": "https://docs.acme.example",
            "x-confidence": "documented",
        })
    }

    fn parameter(name: &str) -> Value {
        json!({ "name": name, "in": "query", "description": "It.", "schema": { "type": "integer" },
                "x-confidence": "documented" })
    }

    fn response(kind: &str) -> Value {
        json!({ "description": "", "content": { "application/json": { "schema": { "type": kind } } } })
    }

    fn checked(path: &str, change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut json = operation();
        change(&mut json);
        let operation: Operation = serde_json::from_value(json).map_err(|error| error.to_string())?;
        Endpoint { path, method: "GET", operation: &operation }.check().map_err(|error| error.to_string())
    }

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        checked("/orders", change).expect_err("the operation is wrong")
    }

    #[test]
    fn a_key_is_only_for_an_operation_that_cannot_be_repeated_without_one() {
        let keyed = |method, idempotent: bool| {
            let mut json = operation();
            json["x-idempotency-key"] = true.into();
            json["x-idempotent"] = idempotent.into();
            let operation: Operation = serde_json::from_value(json).unwrap();
            Endpoint { path: "/orders", method, operation: &operation }.check().map_err(|error| error.to_string())
        };
        assert_eq!((keyed("POST", false), keyed("PATCH", false)), (Ok(()), Ok(())));
        for (method, idempotent) in [("GET", false), ("PUT", false), ("DELETE", false), ("POST", true), ("PATCH", true)]
        {
            let error = keyed(method, idempotent).unwrap_err();
            let problem = "has `x-idempotency-key`, but can be repeated without a key; leave it out";
            assert!(error.ends_with(&format!("list_orders: {problem}")), "{method} {error}");
        }
    }

    #[test]
    fn a_sound_operation_passes() {
        assert_eq!(checked("/orders", |_| {}), Ok(()));
    }

    #[test]
    fn what_the_docs_need_is_required() {
        for key in ["operationId", "summary", "description", "responses", "x-source", "x-confidence"] {
            let error = refused(|operation| {
                operation.as_object_mut().unwrap().remove(key);
            });
            assert!(error.starts_with(&format!("missing field `{key}`")), "{error}");
        }
    }

    #[test]
    fn an_operation_id_is_a_rust_name() {
        for id in ["listOrders", "type", "list-orders"] {
            let error = refused(|operation| operation["operationId"] = id.into());
            let problem = "the operationId must be a Rust name in snake_case, such as `list_orders`";
            assert_eq!(error, format!("paths./orders.get: {id}: {problem}"));
        }
    }

    #[test]
    fn successful_responses_of_two_shapes_are_refused() {
        let error = refused(|operation| operation["responses"]["201"] = response("integer"));
        let problem = "the successful responses must have one shape; they have";
        assert_eq!(error, format!("paths./orders.get: list_orders: {problem} 2"));

        let error = refused(|operation| operation["responses"] = json!({ "404": response("object") }));
        assert_eq!(error, format!("paths./orders.get: list_orders: {problem} 0"));

        let same = checked("/orders", |operation| operation["responses"]["201"] = response("string"));
        assert_eq!(same, Ok(()), "the same shape twice is one");
    }

    #[test]
    fn an_extension_that_names_no_parameter_is_refused() {
        for (key, value) in [
            ("x-page", json!({ "by": ["offset"] })),
            ("x-page", json!({ "by": ["page"], "expand": { "param": "offset", "items": "all" } })),
            ("x-exclusive", json!([["page", "offset"]])),
            ("x-span", json!({ "from": "offset", "to": "since", "days": 7 })),
        ] {
            let error = refused(|operation| operation[key] = value);
            let problem = format!("{key} names `offset`, which is no parameter of it");
            assert_eq!(error, format!("paths./orders.get: list_orders: {problem}"));
        }
    }

    #[test]
    fn a_span_is_between_dates() {
        let error = refused(|operation| operation["x-span"] = json!({ "from": "since", "to": "page", "days": 7 }));
        let problem = "x-span names `since`, which has not the format `date`";
        assert_eq!(error, format!("paths./orders.get: list_orders: {problem}"));
    }

    #[test]
    fn an_optional_body_is_refused() {
        let error = refused(|operation| {
            operation["requestBody"] = json!({ "content": { "application/json": { "schema": {} } } });
        });
        let problem = "the request body must be `required`; an optional one is not supported";
        assert_eq!(error, format!("paths./orders.get: list_orders: {problem}"));
    }

    #[test]
    fn a_body_that_is_not_only_json_is_refused() {
        for content in [
            json!({ "text/plain": { "schema": {} } }),
            json!({ "application/json": { "schema": {} }, "text/plain": { "schema": {} } }),
        ] {
            let error = refused(|operation| operation["requestBody"] = json!({ "required": true, "content": content }));
            let problem = "the request body must have a schema for application/json, and for nothing else";
            assert_eq!(error, format!("paths./orders.get: list_orders: {problem}"));
        }
    }

    #[test]
    fn a_type_without_a_name_in_an_operation_is_refused() {
        let error = refused(|operation| {
            operation["parameters"][0]["schema"] = json!({ "type": "string", "enum": ["a", "b"] });
        });
        let problem = "an object, an enum or an x-rust needs a name; make it a component schema";
        assert_eq!(error, format!("paths./orders.get: list_orders: {problem}"));
    }

    #[test]
    fn the_path_and_its_parameters_agree() {
        let error = checked("/orders/{id}", |_| {}).unwrap_err();
        let problem = "is in the path, but no path parameter has this name";
        assert_eq!(error, format!("paths./orders/{{id}}.get: id: {problem}"));

        let error = refused(|operation| {
            operation["parameters"][0]["in"] = "path".into();
            operation["parameters"][0]["required"] = true.into();
        });
        assert_eq!(error, "paths./orders.get: page: is a path parameter, but not in the path");
    }

    #[test]
    fn post_and_patch_are_idempotent_only_if_the_spec_says_so() {
        for (method, stated, idempotent) in [
            ("GET", false, true),
            ("PUT", false, true),
            ("DELETE", false, true),
            ("POST", false, false),
            ("PATCH", false, false),
            ("PATCH", true, true),
        ] {
            let mut json = operation();
            json["x-idempotent"] = stated.into();
            let operation: Operation = serde_json::from_value(json).unwrap();
            let endpoint = Endpoint { path: "/orders", method, operation: &operation };
            assert_eq!(endpoint.is_idempotent(), idempotent, "{method} {stated}");
        }
    }
}
