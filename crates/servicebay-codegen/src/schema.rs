//! Schemas as the spec writes them: the part of OpenAPI that we use, and our extensions of it.

use std::fmt;

use indexmap::IndexMap;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::problem::Problem;

/// A schema, wherever it stands: a component, a property, a parameter or a body.
///
/// Keys that are not listed here fail the build, so that a misspelt extension cannot be overlooked.
#[derive(Debug, Default, Deserialize, PartialEq)]
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
    /// The hand-written type that stands for this component, such as `Id<Order>`.
    #[serde(rename = "x-rust")]
    pub(crate) rust: Option<String>,
    /// The Rust name of this property, where the vendor's is a keyword or misleads.
    #[serde(rename = "x-rust-name")]
    pub(crate) rust_name: Option<String>,
    /// The member of this object that it is all about: an envelope, which users do not see.
    #[serde(rename = "x-root")]
    pub(crate) root: Option<String>,
    /// Whether members that are not listed are kept when this object is read, so that it can be sent back whole.
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
}

impl Schema {
    /// The component that this schema refers to, directly or as `allOf` with a description beside it.
    pub(crate) fn target(&self) -> Option<&str> {
        let reference = match (&self.reference, self.all_of.as_slice()) {
            (Some(reference), _) => reference,
            (None, [only]) => only.reference.as_ref()?,
            (None, _) => return None,
        };
        reference.strip_prefix("#/components/schemas/")
    }

    /// Whether this schema is a JSON object with properties of its own.
    pub(crate) fn is_struct(&self) -> bool {
        !self.properties.is_empty()
    }

    /// Every component that a value of this schema may contain.
    pub(crate) fn mentions(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.target().into_iter().collect();
        let composed = self.all_of.iter().chain(&self.any_of).chain(&self.one_of);
        for part in composed.chain(self.items.as_deref()).chain(self.properties.values()) {
            found.extend(part.mentions());
        }
        found
    }

    /// Checks what progenitor would refuse or name by itself.
    pub(crate) fn check(&self, place: &str) -> Result<(), Problem> {
        let wrong = |what: &str| Err(Problem::new(place, what));
        if self.rust.is_some() {
            return Ok(());
        }
        if !self.any_of.is_empty() || !self.one_of.is_empty() {
            return wrong("anyOf and oneOf need a hand-written type: name it in `x-rust` of a component");
        }
        if (self.reference.is_some() || !self.all_of.is_empty()) && self.target().is_none() {
            return wrong("refers to something other than one component schema");
        }
        match self.kind.as_deref() {
            Some("array") if self.items.is_none() => return wrong("an array without `items`"),
            None | Some("array" | "boolean" | "integer" | "number" | "object" | "string") => {}
            Some(_) => return wrong("a `type` that JSON does not have"),
        }
        if let Some(items) = &self.items {
            items.check_inline(&format!("{place}.items"))?;
        }
        if self.root.as_ref().is_some_and(|root| !self.properties.contains_key(root)) {
            return wrong("its `x-root` is no property of it");
        }
        for required in &self.required {
            match self.properties.get(required) {
                None => return wrong(&format!("requires `{required}`, which it does not have")),
                Some(property) if property.nullable => {
                    return wrong(&format!("`{required}` is required and nullable: make it one of the two"));
                }
                Some(_) => {}
            }
        }
        for (name, property) in &self.properties {
            let place = format!("{place}.properties.{name}");
            if property.description.is_none() {
                return Err(Problem::new(place, "has no description"));
            }
            if property.confidence.is_none() {
                return Err(Problem::new(place, "has no x-confidence"));
            }
            property.check_inline(&place)?;
        }
        Ok(())
    }

    /// Checks a schema that is no component: the types that users see must have names that we chose.
    pub(crate) fn check_inline(&self, place: &str) -> Result<(), Problem> {
        if self.is_struct() || !self.values.is_empty() || self.rust.is_some() {
            return Err(Problem::new(place, "an object, enum or x-rust here has no name: make it a component schema"));
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
#[derive(Debug, Deserialize, PartialEq)]
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
