//! References to shared parameters, bodies, responses and headers, written out where they are used.
//!
//! References to schemas stay: a schema becomes a type, and a type is shared by name.

use serde_json::Value;

use crate::spec_error::SpecError;

/// The document without references to anything but schemas.
///
/// Fails if a reference leads nowhere, out of the document, or back to itself.
pub(crate) fn inline(document: &Value) -> Result<Value, SpecError> {
    written_out(document, document, &mut Vec::new())
}

/// `open` holds the references that are being written out: one that comes again would never end.
fn written_out<'a>(part: &'a Value, document: &'a Value, open: &mut Vec<&'a str>) -> Result<Value, SpecError> {
    match part {
        Value::Object(fields) => {
            let Some(reference) = fields.get("$ref").and_then(Value::as_str).filter(|reference| !is_schema(reference))
            else {
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), written_out(value, document, open)?)));
                return fields.collect::<Result<_, _>>().map(Value::Object);
            };
            if open.contains(&reference) {
                open.push(reference);
                return Err(SpecError::new(open.join(" -> "), "this reference leads back to itself"));
            }
            let Some(pointer) = reference.strip_prefix('#') else {
                return Err(SpecError::new(reference, "only references inside the document are supported"));
            };
            let Some(target) = document.pointer(pointer) else {
                return Err(SpecError::new(reference, "is referred to but not defined"));
            };
            open.push(reference);
            let target = written_out(target, document, open);
            open.pop();
            target
        }
        Value::Array(items) => {
            items.iter().map(|item| written_out(item, document, open)).collect::<Result<_, _>>().map(Value::Array)
        }
        _ => Ok(part.clone()),
    }
}

fn is_schema(reference: &str) -> bool {
    reference.starts_with("#/components/schemas/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shared_parts_are_written_out_and_schemas_stay() {
        let document = json!({
            "use": [{ "$ref": "#/components/parameters/Page" }, { "$ref": "#/components/schemas/Order" }],
            "components": {
                "parameters": { "Page": { "name": "page", "schema": { "$ref": "#/components/headers/Count" } } },
                "headers": { "Count": { "type": "integer" } },
            },
        });
        let inlined = inline(&document).unwrap();
        assert_eq!(inlined["use"][0], json!({ "name": "page", "schema": { "type": "integer" } }));
        assert_eq!(inlined["use"][1], json!({ "$ref": "#/components/schemas/Order" }));
    }

    #[test]
    fn a_part_may_be_used_twice() {
        let page = json!({ "$ref": "#/parts/page" });
        let document = json!({ "use": [page, page], "parts": { "page": { "name": "page" } } });
        assert_eq!(inline(&document).unwrap()["use"], json!([{ "name": "page" }, { "name": "page" }]));
    }

    #[test]
    fn a_reference_that_leads_back_to_itself_is_refused_with_its_chain() {
        let document = json!({ "parts": { "a": { "$ref": "#/parts/b" }, "b": { "in": [{ "$ref": "#/parts/a" }] } } });
        let error = inline(&document).unwrap_err().to_string();
        assert_eq!(error, "#/parts/b -> #/parts/a -> #/parts/b: this reference leads back to itself");

        let itself = json!({ "parts": { "a": { "$ref": "#/parts/a" } } });
        let error = inline(&itself).unwrap_err().to_string();
        assert_eq!(error, "#/parts/a -> #/parts/a: this reference leads back to itself");
    }

    #[test]
    fn a_reference_that_contains_its_own_place_is_refused() {
        let document = json!({ "parts": { "a": { "whole": { "$ref": "#/parts" } } } });
        let error = inline(&document).unwrap_err().to_string();
        assert_eq!(error, "#/parts -> #/parts: this reference leads back to itself");
    }

    #[test]
    fn a_reference_to_nothing_is_refused() {
        for (reference, problem) in [
            ("#/components/parameters/Missing", "is referred to but not defined"),
            ("other.json#/Order", "only references inside the document are supported"),
        ] {
            let error = inline(&json!({ "use": { "$ref": reference } })).unwrap_err();
            assert_eq!(error.to_string(), format!("{reference}: {problem}"));
        }
    }
}
