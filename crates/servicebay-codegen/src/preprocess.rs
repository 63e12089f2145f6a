//! Preprocesses the spec for progenitor: names and shapes, without anything that it would refuse or take too literally.
//!
//! Bounds would become `NonZero` types and newtypes, `nullable` a second layer of `Option`, and two shapes of responses
//! a panic. Descriptions are left out, because we write the generated documentation ourselves.

use serde_json::{Map, Value, json};

use crate::operation::{Body, Endpoint};
use crate::parameter::Location;
use crate::schema::Schema;
use crate::spec::Spec;
use crate::type_override;

/// The document for progenitor. A schema with a type override becomes an empty one, whose name is all that counts.
pub(crate) fn document<'a>(spec: &Spec, overrides: impl Iterator<Item = &'a String>) -> Value {
    let mut paths = Map::new();
    for endpoint in spec.endpoints() {
        let item = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        item[endpoint.method.to_lowercase()] = operation(spec, endpoint);
    }
    let visible = spec.schemas().iter().filter(|(_, schema)| schema.root.is_none());
    let mut schemas: Map<String, Value> = visible.map(|(name, schema)| (name.clone(), component(schema))).collect();
    schemas.extend(overrides.map(|name| (name.clone(), json!({}))));
    json!({
        "openapi": spec.openapi,
        "info": { "title": "", "version": "" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(spec: &Spec, endpoint: Endpoint<'_>) -> Value {
    let operation = endpoint.operation;
    let parameters = operation.parameters.iter().map(|parameter| {
        let location = match parameter.location {
            Location::Path => "path",
            Location::Query => "query",
        };
        json!({
            "name": parameter.rust_name(),
            "in": location,
            "required": parameter.required,
            "schema": inline(&parameter.schema),
        })
    });
    let inside = |schema| spec.unwrapped(schema).1;
    let mut preprocessed = json!({
        "operationId": operation.id,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": { "2XX": { "description": "", "content": content(operation.success().map(inside)) } },
    });
    if let Some(body) = operation.body().and_then(Body::schema) {
        preprocessed["requestBody"] = json!({ "required": true, "content": content(Some(inside(body))) });
    }
    preprocessed
}

fn content(schema: Option<&Schema>) -> Value {
    match schema {
        Some(schema) => json!({ "application/json": { "schema": inline(schema) } }),
        None => json!({}),
    }
}

fn component(schema: &Schema) -> Value {
    if schema.is_struct() {
        let properties: Map<String, Value> =
            schema.properties.iter().map(|(name, property)| (name.clone(), inline(property))).collect();
        json!({ "type": "object", "properties": properties, "required": schema.required })
    } else if !schema.values.is_empty() {
        json!({ "type": "string", "enum": schema.values })
    } else {
        inline(schema)
    }
}

fn inline(schema: &Schema) -> Value {
    if let Some(name) = schema.target().or_else(|| type_override::of_format(schema)) {
        return json!({ "$ref": format!("#/components/schemas/{name}") });
    }
    match (schema.kind.as_deref(), &schema.items) {
        (Some("array"), Some(items)) => json!({ "type": "array", "items": inline(items) }),
        (Some("integer" | "number"), _) if schema.format.is_some() => {
            json!({ "type": schema.kind, "format": schema.format })
        }
        // An object without properties may turn out to be anything: clients see a link where another sees text.
        (None | Some("object"), _) => json!({}),
        (kind, _) => json!({ "type": kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn preprocessed() -> Value {
        document(&sample::spec(), ["OrderId".to_owned()].iter())
    }

    #[test]
    fn progenitor_sees_parameters_by_their_rust_names_and_without_bounds() {
        let parameters = &preprocessed()["paths"]["/orders"]["get"]["parameters"];
        assert_eq!(
            parameters[1],
            json!({ "name": "per_page", "in": "query", "required": false,
                    "schema": { "type": "integer", "format": "uint32" } })
        );
    }

    #[test]
    fn progenitor_sees_one_success_without_its_envelope() {
        let responses = &preprocessed()["paths"]["/orders/{id}"]["get"]["responses"];
        let order = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Order" } } });
        assert_eq!(*responses, json!({ "2XX": { "description": "", "content": order } }));
        assert_eq!(preprocessed()["components"]["schemas"].get("OrderEnvelope"), None);
    }

    #[test]
    fn what_has_a_type_override_is_a_name_and_nothing_more() {
        let schemas = &preprocessed()["components"]["schemas"];
        assert_eq!(schemas["OrderId"], json!({}));
        assert_eq!(
            schemas["Order"]["properties"]["createdAt"],
            json!({ "$ref": "#/components/schemas/FormatDateTime" })
        );
    }
}
