//! A vendor's spec, parsed and checked: whatever the generator relies on is there, or parsing names what is missing.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::cycle;
use crate::operation::{Body, Endpoint, Operation, Response};
use crate::reference;
use crate::schema::Schema;
use crate::spec_error::SpecError;

/// An OpenAPI document with our extensions, which `openapi/README.md` explains.
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
    pub(crate) fn parse(text: &str) -> Result<Self, SpecError> {
        let document: Value = serde_json::from_str(text).map_err(|error| SpecError::new("not JSON", error))?;
        let spec: Self = serde_path_to_error::deserialize(reference::inline(&document)?)
            .map_err(|error| SpecError::new(error.path(), error.inner()))?;
        spec.check()?;
        Ok(spec)
    }

    /// Every operation, in the order of the spec.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = Endpoint<'_>> {
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
                Some(Endpoint { path, method, operation })
            })
        })
    }

    pub(crate) fn schemas(&self) -> &IndexMap<String, Schema> {
        &self.components.schemas
    }

    /// The schema of a body without its envelope, and the member of the envelope that holds it.
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
        self.reachable(self.endpoints().filter_map(|endpoint| endpoint.operation.body()).filter_map(Body::schema))
    }

    /// The components that a response may contain.
    pub(crate) fn received(&self) -> BTreeSet<&str> {
        let responses = self.endpoints().flat_map(|endpoint| endpoint.operation.responses.values());
        self.reachable(responses.filter_map(Response::schema))
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

    fn check(&self) -> Result<(), SpecError> {
        if !self.openapi.starts_with("3.0.") {
            let found = &self.openapi;
            return Err(SpecError::new(
                "openapi",
                format!("is {found}; only 3.0 is supported, as progenitor reads it"),
            ));
        }
        let mut ids = BTreeSet::new();
        for endpoint in self.endpoints() {
            endpoint.check()?;
            if !ids.insert(&endpoint.operation.id) {
                return Err(SpecError::new(&endpoint.operation.id, "is the operationId of two operations; rename one"));
            }
        }
        for (name, schema) in self.schemas() {
            let place = format!("components.schemas.{name}");
            if schema.description.is_none() {
                return Err(SpecError::new(place, "has no description"));
            }
            schema.check(&place)?;
        }
        self.check_references()?;
        self.check_envelopes()?;
        cycle::check(self.schemas())
    }

    fn check_envelopes(&self) -> Result<(), SpecError> {
        for (name, schema) in self.schemas() {
            let inside = schema.root.as_ref().and_then(|root| schema.properties.get(root)).and_then(Schema::target);
            if let Some(inside) =
                inside.filter(|inside| self.schemas().get(*inside).is_some_and(|it| it.root.is_some()))
            {
                let place = format!("components.schemas.{name}");
                return Err(SpecError::new(place, format!("its `x-root` is `{inside}`, which is an envelope too")));
            }
        }
        Ok(())
    }

    fn check_references(&self) -> Result<(), SpecError> {
        let used = self.endpoints().flat_map(|endpoint| endpoint.operation.schemas()).chain(self.schemas().values());
        match used.flat_map(Schema::mentions).find(|name| !self.schemas().contains_key(*name)) {
            Some(name) => Err(SpecError::new(format!("components.schemas.{name}"), "is referred to but not defined")),
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    fn refused(change: impl FnOnce(&mut Value)) -> String {
        let mut document = sample::document();
        change(&mut document);
        Spec::parse(&document.to_string()).expect_err("the spec is wrong").to_string()
    }

    #[test]
    fn the_sample_is_a_spec() {
        let spec = sample::spec();
        let ids: Vec<_> = spec.endpoints().map(|endpoint| endpoint.operation.id.as_str()).collect();
        assert_eq!(ids, ["list_orders", "create_order", "get_order"]);
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        let error = Spec::parse("openapi: 3.0.3").unwrap_err().to_string();
        assert!(error.starts_with("not JSON: expected value at line 1"), "{error}");
    }

    #[test]
    fn another_version_of_openapi_is_refused() {
        let error = refused(|document| document["openapi"] = "3.1.0".into());
        assert_eq!(error, "openapi: is 3.1.0; only 3.0 is supported, as progenitor reads it");
    }

    #[test]
    fn a_misspelt_extension_is_refused_with_its_place() {
        let error = refused(|document| document["paths"]["/orders"]["get"]["x-scope"] = json!([]));
        assert!(error.starts_with("paths./orders.get"), "{error}");
        assert!(error.contains("unknown field `x-scope`"), "{error}");
    }

    #[test]
    fn a_method_that_is_not_supported_is_refused() {
        let error = refused(|document| document["paths"]["/orders"]["trace"] = json!({}));
        assert!(error.contains("unknown field `trace`"), "{error}");
    }

    #[test]
    fn an_operation_id_that_is_used_twice_is_refused() {
        let error = refused(|document| {
            let get = document["paths"]["/orders"]["get"].clone();
            document["paths"]["/others"] = json!({ "get": get });
        });
        assert_eq!(error, "list_orders: is the operationId of two operations; rename one");
    }

    #[test]
    fn a_component_without_a_description_is_refused() {
        let error = refused(|document| {
            document["components"]["schemas"]["Order"].as_object_mut().unwrap().remove("description");
        });
        assert_eq!(error, "components.schemas.Order: has no description");
    }

    #[test]
    fn a_reference_to_a_component_that_is_not_there_is_refused() {
        let error = refused(|document| {
            document["components"]["schemas"]["Order"]["properties"]["customer"] = json!({ "allOf": [{ "$ref": "#/components/schemas/Customer" }], "description": "Who.",
                        "x-confidence": "observed" });
        });
        assert_eq!(error, "components.schemas.Customer: is referred to but not defined");
    }

    #[test]
    fn an_envelope_in_an_envelope_is_refused() {
        let error = refused(|document| {
            document["components"]["schemas"]["OrderEnvelope"]["properties"]["order"]["allOf"] =
                json!([{ "$ref": "#/components/schemas/OrderEnvelope" }]);
        });
        let problem = "its `x-root` is `OrderEnvelope`, which is an envelope too";
        assert_eq!(error, format!("components.schemas.OrderEnvelope: {problem}"));
    }

    #[test]
    fn a_component_is_sent_or_received_by_where_it_is_mentioned() {
        let spec = sample::spec();
        assert_eq!(Vec::from_iter(spec.sent()), ["OrderCreate", "OrderStatus"]);
        assert_eq!(Vec::from_iter(spec.received()), ["Order", "OrderEnvelope", "OrderId", "OrderPage", "OrderStatus"]);
    }

    #[test]
    fn an_envelope_is_unwrapped_to_the_member_that_it_is_about() {
        let spec = sample::spec();
        let get_order = spec.endpoints().find(|endpoint| endpoint.operation.id == "get_order").unwrap();
        let (root, inside) = spec.unwrapped(get_order.operation.success().unwrap());
        assert_eq!((root, inside.target()), (Some("order"), Some("Order")));
    }
}
