//! The spec as progenitor gets it: names and shapes, and nothing that it would refuse or take too literally.
//!
//! Bounds would become `NonZero` types and newtypes, `nullable` a second layer of `Option`, two kinds of answers a
//! panic. Descriptions are left out because the text of the generated documentation is ours.

use serde_json::{Map, Value, json};

use crate::operation::{Body, Call, Place};
use crate::schema::Schema;
use crate::spec::Spec;
use crate::stand_in;

pub(crate) fn document<'a>(spec: &Spec, stand_ins: impl Iterator<Item = &'a String>) -> Value {
    let mut paths = Map::new();
    for call in spec.calls() {
        let item = paths.entry(call.path).or_insert_with(|| json!({}));
        item[call.method.to_lowercase()] = operation(spec, call);
    }
    let shown = spec.schemas().iter().filter(|(_, schema)| schema.root.is_none());
    let mut schemas: Map<String, Value> = shown.map(|(name, schema)| (name.clone(), component(schema))).collect();
    schemas.extend(stand_ins.map(|name| (name.clone(), json!({}))));
    json!({
        "openapi": spec.openapi,
        "info": { "title": "", "version": "" },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn operation(spec: &Spec, call: Call<'_>) -> Value {
    let operation = call.operation;
    let parameters = operation.parameters.iter().map(|parameter| {
        let place = match parameter.place {
            Place::Path => "path",
            Place::Query => "query",
        };
        json!({
            "name": parameter.rust_name(),
            "in": place,
            "required": parameter.required,
            "schema": inline(&parameter.schema),
        })
    });
    let inside = |schema| spec.unwrapped(schema).1;
    let mut prepared = json!({
        "operationId": operation.id,
        "parameters": parameters.collect::<Vec<_>>(),
        "responses": { "2XX": { "description": "", "content": content(operation.success().map(inside)) } },
    });
    if let Some(body) = operation.body().and_then(Body::schema) {
        prepared["requestBody"] = json!({ "required": true, "content": content(Some(inside(body))) });
    }
    prepared
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
    if let Some(name) = schema.target().or_else(|| stand_in::of_format(schema)) {
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
