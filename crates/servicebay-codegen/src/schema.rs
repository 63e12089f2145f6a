//! Schemas as the spec writes them: the part of OpenAPI that we use, and our extensions of it.

use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::spec_error::SpecError;

/// A schema, wherever it stands: a component, a property, a parameter or a body.
///
/// Any other key is refused, so that a misspelt extension cannot be overlooked.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Schema {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    all_of: Vec<Self>,
    any_of: Vec<Self>,
    one_of: Vec<Self>,

    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) nullable: bool,
    #[serde(rename = "enum")]
    pub(crate) values: Vec<String>,
    pub(crate) items: Option<Box<Self>>,
    pub(crate) properties: IndexMap<String, Self>,
    pub(crate) required: Vec<String>,
    pub(crate) minimum: Option<i64>,
    pub(crate) maximum: Option<i64>,
    pub(crate) default: Option<Value>,
    pub(crate) description: Option<String>,

    #[serde(rename = "x-unit")]
    pub(crate) unit: Option<String>,
    #[serde(rename = "x-source")]
    pub(crate) source: Option<Source>,
    #[serde(rename = "x-confidence")]
    pub(crate) confidence: Option<Confidence>,
    #[serde(rename = "x-default-confidence")]
    pub(crate) default_confidence: Option<Confidence>,
    #[serde(rename = "x-bounds-confidence")]
    pub(crate) bounds_confidence: Option<Confidence>,
    /// How well it is known that the vendor takes `null`, if that differs from the rest.
    #[serde(rename = "x-nullable-confidence")]
    pub(crate) nullable_confidence: Option<Confidence>,
    /// The hand-written type for this component, such as `Id<Order>`.
    #[serde(rename = "x-rust")]
    pub(crate) rust: Option<String>,
    /// The Rust name of this property, if the vendor's is a keyword or misleads.
    #[serde(rename = "x-rust-name")]
    pub(crate) rust_name: Option<String>,
    /// The only member of this object that users see: the object is an envelope around it.
    #[serde(rename = "x-root")]
    pub(crate) root: Option<String>,
    /// Whether members that are not listed are kept, so that an object that was read can be sent back whole.
    #[serde(rename = "x-extra")]
    pub(crate) extra: bool,
    /// What each value of an enum means.
    #[serde(rename = "x-enum-descriptions")]
    pub(crate) value_descriptions: IndexMap<String, String>,

    // Part of OpenAPI, and nothing that the code depends on.
    #[serde(rename = "additionalProperties")]
    _additional_properties: IgnoredAny,
    #[serde(rename = "example")]
    _example: IgnoredAny,
    #[serde(rename = "readOnly")]
    _read_only: IgnoredAny,
    #[serde(rename = "writeOnly")]
    _write_only: IgnoredAny,
    #[serde(rename = "title")]
    _title: IgnoredAny,
    #[serde(rename = "pattern")]
    _pattern: IgnoredAny,
    #[serde(rename = "minLength")]
    _min_length: IgnoredAny,
    #[serde(rename = "minItems")]
    _min_items: IgnoredAny,
    #[serde(rename = "minProperties")]
    _min_properties: IgnoredAny,
}

impl Schema {
    /// The component that this schema refers to, directly or by an `allOf` with a description beside it.
    pub(crate) fn target(&self) -> Option<&str> {
        let reference = match (&self.reference, self.all_of.as_slice()) {
            (Some(reference), _) => reference,
            (None, [only]) => only.reference.as_ref()?,
            (None, _) => return None,
        };
        reference.strip_prefix("#/components/schemas/")
    }

    /// Whether this schema only narrows another: which members must be there, and which values they may have. Only testers
    /// read it.
    fn is_rule(&self) -> bool {
        let rule = Self {
            kind: self.kind.clone(),
            required: self.required.clone(),
            properties: self.properties.clone(),
            all_of: self.all_of.clone(),
            any_of: self.any_of.clone(),
            ..Self::default()
        };
        let mut parts = self.properties.values().chain(&self.all_of).chain(&self.any_of);
        *self == rule && parts.all(Self::is_rule)
    }

    /// The members of its own object that a rule names.
    fn named(&self) -> Vec<&str> {
        let parts = self.all_of.iter().chain(&self.any_of).flat_map(Self::named);
        self.required.iter().chain(self.properties.keys()).map(String::as_str).chain(parts).collect()
    }

    /// Whether this schema is a JSON object with properties of its own.
    pub(crate) fn is_struct(&self) -> bool {
        !self.properties.is_empty()
    }

    /// Every component that a value of this schema may contain, without those that are inside of them.
    pub(crate) fn mentions(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.target().into_iter().collect();
        let composed = self.all_of.iter().chain(&self.any_of).chain(&self.one_of);
        for part in composed.chain(self.items.as_deref()).chain(self.properties.values()) {
            found.extend(part.mentions());
        }
        found
    }

    /// Refuses what progenitor would refuse or name by itself.
    pub(crate) fn check(&self, place: &str) -> Result<(), SpecError> {
        let refuse = |problem: &str| Err(SpecError::new(place, problem));
        if self.rust.is_some() {
            return Ok(());
        }
        let is_object = self.is_struct() || self.target().is_some();
        let narrows = is_object && self.any_of.iter().all(|part| !part.required.is_empty() && part.is_rule());
        if !self.any_of.is_empty() && !narrows || !self.one_of.is_empty() {
            return refuse("anyOf and oneOf need a hand-written type; name it in the `x-rust` of a component");
        }
        if (self.reference.is_some() || !self.all_of.is_empty()) && self.target().is_none() {
            return refuse("must refer to exactly one component schema");
        }
        match self.kind.as_deref() {
            Some("array") if self.items.is_none() => return refuse("is an array without `items`"),
            None | Some("array" | "boolean" | "integer" | "number" | "object" | "string") => {}
            Some(kind) => return refuse(&format!("has the type `{kind}`, which JSON does not have")),
        }
        if let Some(items) = &self.items {
            items.check_inline(&format!("{place}.items"))?;
        }
        if let Some(root) = self.root.as_ref().filter(|root| !self.properties.contains_key(*root)) {
            return refuse(&format!("its `x-root` names `{root}`, which is no property of it"));
        }
        let mut named = self.any_of.iter().flat_map(Self::named);
        if let Some(unknown) = named.find(|name| self.is_struct() && !self.properties.contains_key(*name)) {
            return refuse(&format!("an `anyOf` names `{unknown}`, which is no property of it"));
        }
        for required in &self.required {
            match self.properties.get(required) {
                None => return refuse(&format!("requires `{required}`, which is no property of it")),
                Some(property) if property.nullable => {
                    return refuse(&format!("`{required}` is required and nullable; it can be only one of the two"));
                }
                Some(_) => {}
            }
        }
        for (name, property) in &self.properties {
            let place = format!("{place}.properties.{name}");
            if property.description.is_none() {
                return Err(SpecError::new(place, "has no description"));
            }
            if property.confidence.is_none() {
                return Err(SpecError::new(place, "has no x-confidence"));
            }
            property.check_inline(&place)?;
        }
        Ok(())
    }

    /// Checks a schema that is no component. It must not become a type, because that would have no name of our choice.
    pub(crate) fn check_inline(&self, place: &str) -> Result<(), SpecError> {
        if self.is_struct() || !self.values.is_empty() || self.rust.is_some() {
            let problem = "an object, an enum or an x-rust needs a name; make it a component schema";
            return Err(SpecError::new(place, problem));
        }
        self.check(place)
    }
}

/// How well a statement about the vendor is known.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Confidence {
    Assumed,
    Documented,
    Observed,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assumed => "Assumed",
            Self::Documented => "Documented",
            Self::Observed => "Observed",
        })
    }
}

/// Where a statement was read: a URL or a repository, or several.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub(crate) enum Source {
    One(String),
    Several(Vec<String>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(source) => f.write_str(source),
            Self::Several(sources) => f.write_str(&sources.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema(json: Value) -> Schema {
        serde_json::from_value(json).unwrap()
    }

    fn refused(json: Value) -> String {
        schema(json).check("here").expect_err("the schema is wrong").to_string()
    }

    fn text() -> Value {
        json!({ "type": "string", "description": "Text.", "x-confidence": "observed" })
    }

    #[test]
    fn a_target_is_named_directly_or_beside_a_description() {
        let reference = json!({ "$ref": "#/components/schemas/Order" });
        assert_eq!(schema(reference.clone()).target(), Some("Order"));
        assert_eq!(schema(json!({ "allOf": [reference], "description": "It." })).target(), Some("Order"));
        assert_eq!(schema(json!({ "type": "string" })).target(), None);
    }

    #[test]
    fn components_are_mentioned_wherever_they_stand() {
        let to = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        let all = schema(json!({
            "properties": { "a": to("A"), "list": { "type": "array", "items": to("B") } },
            "oneOf": [to("C"), { "allOf": [to("D")] }],
        }));
        let mut mentions = all.mentions();
        mentions.sort_unstable();
        assert_eq!(mentions, ["A", "B", "C", "D", "D"]);
    }

    #[test]
    fn choices_need_a_hand_written_type() {
        for choice in ["anyOf", "oneOf"] {
            let error = refused(json!({ choice: [{ "type": "string" }] }));
            assert_eq!(error, "here: anyOf and oneOf need a hand-written type; name it in the `x-rust` of a component");
            assert!(schema(json!({ choice: [{ "type": "string" }], "x-rust": "Text" })).check("here").is_ok());
        }
    }

    #[test]
    fn a_choice_of_required_members_needs_no_type() {
        let choice = |part: Value| json!({ "properties": { "id": text() }, "anyOf": [{ "required": ["id"] }, part] });
        for part in [
            json!({ "required": ["id"] }),
            json!({ "required": ["id"], "properties": { "id": { "type": "string", "pattern": "\\S" } } }),
            json!({ "required": ["id"], "properties": { "id": { "required": ["name"] } } }),
            json!({ "required": ["id"], "allOf": [{ "anyOf": [{ "required": ["id"] }] }] }),
        ] {
            assert!(schema(choice(part.clone())).check("here").is_ok(), "{part}");
        }
        for part in [
            json!({ "required": ["name"] }),
            json!({ "required": ["id"], "properties": { "name": {} } }),
            json!({ "required": ["id"], "anyOf": [{ "required": ["name"] }] }),
        ] {
            assert_eq!(refused(choice(part)), "here: an `anyOf` names `name`, which is no property of it");
        }
    }

    #[test]
    fn a_choice_that_adds_to_the_type_needs_a_hand_written_one() {
        let text = text();
        for part in [
            json!({ "properties": { "id": {} } }),
            json!({ "required": ["id"], "properties": { "id": text } }),
            json!({ "required": ["id"], "properties": { "id": { "enum": ["a"] } } }),
            json!({ "required": ["id"], "oneOf": [{ "required": ["id"] }] }),
        ] {
            let problem = refused(json!({ "properties": { "id": text }, "anyOf": [part] }));
            assert_eq!(
                problem,
                "here: anyOf and oneOf need a hand-written type; name it in the `x-rust` of a component"
            );
        }
    }

    #[test]
    fn a_reference_may_be_narrowed_beside_it() {
        let reference = json!([{ "$ref": "#/components/schemas/Order" }]);
        let narrowed = schema(json!({ "allOf": reference, "anyOf": [{ "required": ["id"] }] }));
        assert!(narrowed.check_inline("here").is_ok());
        assert_eq!(narrowed.target(), Some("Order"));
    }

    #[test]
    fn a_reference_to_anything_but_one_component_is_refused() {
        let problem = "here: must refer to exactly one component schema";
        assert_eq!(refused(json!({ "$ref": "#/components/responses/Order" })), problem);
        assert_eq!(refused(json!({ "allOf": [{ "type": "string" }, { "type": "object" }] })), problem);
    }

    #[test]
    fn types_that_json_does_not_have_are_refused() {
        assert_eq!(refused(json!({ "type": "file" })), "here: has the type `file`, which JSON does not have");
        assert_eq!(refused(json!({ "type": "array" })), "here: is an array without `items`");
    }

    #[test]
    fn an_envelope_is_about_a_property_of_its_own() {
        let error = refused(json!({ "properties": { "data": text() }, "x-root": "date" }));
        assert_eq!(error, "here: its `x-root` names `date`, which is no property of it");
    }

    #[test]
    fn a_required_property_is_there_and_not_nullable() {
        let error = refused(json!({ "properties": { "id": text() }, "required": ["name"] }));
        assert_eq!(error, "here: requires `name`, which is no property of it");

        let mut nullable = text();
        nullable["nullable"] = true.into();
        let error = refused(json!({ "properties": { "id": nullable }, "required": ["id"] }));
        assert_eq!(error, "here: `id` is required and nullable; it can be only one of the two");
    }

    #[test]
    fn a_property_has_a_description_and_a_confidence() {
        let error = refused(json!({ "properties": { "id": { "type": "string", "x-confidence": "observed" } } }));
        assert_eq!(error, "here.properties.id: has no description");
        let error = refused(json!({ "properties": { "id": { "type": "string", "description": "Its id." } } }));
        assert_eq!(error, "here.properties.id: has no x-confidence");
    }

    #[test]
    fn types_without_a_name_are_refused() {
        let problem = "an object, an enum or an x-rust needs a name; make it a component schema";
        for unnamed in [
            json!({ "properties": { "id": text() } }),
            json!({ "type": "string", "enum": ["a"] }),
            json!({ "type": "string", "x-rust": "Name" }),
        ] {
            let error = refused(json!({ "type": "array", "items": unnamed }));
            assert_eq!(error, format!("here.items: {problem}"));
        }
    }

    #[test]
    fn an_extension_that_is_not_known_is_refused() {
        let error = serde_json::from_value::<Schema>(json!({ "x-units": "items" })).unwrap_err().to_string();
        assert!(error.contains("unknown field `x-units`"), "{error}");
    }

    #[test]
    fn a_source_is_one_or_several() {
        assert_eq!(schema(json!({ "x-source": "a" })).source.unwrap().to_string(), "a");
        assert_eq!(schema(json!({ "x-source": ["a", "b"] })).source.unwrap().to_string(), "a, b");
    }
}
