//! Parameters of an operation, and the extensions that relate them: paging and spans of dates.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::naming;
use crate::schema::{Confidence, Schema};
use crate::spec_error::SpecError;

/// What a builder has besides the setters of its parameters.
const BUILDER_METHODS: [&str; 7] = ["body", "client", "items", "new", "pages", "reconcile", "send"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    #[serde(rename = "in")]
    pub(crate) location: Location,
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
    // How a query without `x-query-object` would hold an object; only testers read it.
    #[serde(default, rename = "style")]
    _style: IgnoredAny,
    #[serde(default, rename = "examples")]
    _examples: IgnoredAny,
}

impl Parameter {
    /// The name of its setter, which is also the name that progenitor is given.
    pub(crate) fn rust_name(&self) -> String {
        self.rust_name.clone().unwrap_or_else(|| naming::snake_case(&self.name))
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        let refuse = |problem: &str| Err(SpecError::new(&self.name, problem));
        if BUILDER_METHODS.contains(&self.rust_name().as_str()) {
            return refuse("every builder has a method of this name; set `x-rust-name`");
        }
        match (self.location, self.required) {
            (Location::Path, false) => refuse("a path parameter must be `required`"),
            (Location::Path, true) if self.rust_name() != self.name => {
                refuse("a path parameter must be in snake_case; rename it, the vendor does not see its name")
            }
            _ => Ok(()),
        }
    }
}

/// Where a parameter goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Location {
    Path,
    Query,
}

/// Two dates that a call asks about, and how many days may lie between them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DateSpan {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) days: i32,
}

impl DateSpan {
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        [&self.from, &self.to].into_iter().map(String::as_str)
    }
}

/// How a list is paged.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    /// The parameters that select the page.
    pub(crate) by: Vec<String>,
    /// How to ask for whole items instead of links to them.
    #[serde(default)]
    pub(crate) expand: Option<Expansion>,
}

impl Paging {
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.by.iter().chain(self.expand.iter().map(|expand| &expand.param)).map(String::as_str)
    }
}

/// The parameter, and its value, that turns the links in a list into whole items.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expansion {
    pub(crate) param: String,
    pub(crate) items: String,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parameter(json: Value) -> Parameter {
        let mut whole = json!({ "in": "query", "description": "It.", "schema": {}, "x-confidence": "observed" });
        whole.as_object_mut().unwrap().extend(json.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    fn refused(json: Value) -> String {
        parameter(json).check().expect_err("the parameter is wrong").to_string()
    }

    #[test]
    fn a_setter_is_named_after_its_parameter_unless_the_spec_renames_it() {
        assert_eq!(parameter(json!({ "name": "updatedSince" })).rust_name(), "updated_since");
        assert_eq!(parameter(json!({ "name": "type", "x-rust-name": "kind" })).rust_name(), "kind");
    }

    #[test]
    fn a_setter_does_not_take_the_name_of_another_method() {
        for name in BUILDER_METHODS {
            let problem = "every builder has a method of this name; set `x-rust-name`";
            assert_eq!(refused(json!({ "name": name })), format!("{name}: {problem}"));
        }
        assert!(parameter(json!({ "name": "items", "x-rust-name": "item_ids" })).check().is_ok());
    }

    #[test]
    fn a_path_parameter_is_required_and_in_snake_case() {
        let error = refused(json!({ "name": "id", "in": "path" }));
        assert_eq!(error, "id: a path parameter must be `required`");
        let error = refused(json!({ "name": "orderId", "in": "path", "required": true }));
        assert_eq!(
            error,
            "orderId: a path parameter must be in snake_case; rename it, the vendor does not see its name"
        );
    }

    #[test]
    fn parameters_in_headers_and_cookies_are_refused() {
        for location in ["header", "cookie"] {
            let error = serde_json::from_value::<Location>(location.into()).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown variant `{location}`")), "{error}");
        }
    }

    #[test]
    fn paging_names_the_parameters_of_the_page_and_of_the_expansion() {
        let paging: Paging = serde_json::from_value(json!({
            "by": ["offset", "page"],
            "expand": { "param": "expand", "items": "items" },
        }))
        .unwrap();
        assert_eq!(paging.parameters().collect::<Vec<_>>(), ["offset", "page", "expand"]);

        let plain: Paging = serde_json::from_value(json!({ "by": ["page"] })).unwrap();
        assert_eq!(plain.parameters().collect::<Vec<_>>(), ["page"]);
    }

    #[test]
    fn paging_with_a_misspelt_key_is_refused() {
        for (json, problem) in [
            (json!({ "by": ["page"], "expands": {} }), "unknown field `expands`"),
            (json!({ "expand": { "param": "expand", "items": "items" } }), "missing field `by`"),
            (json!({ "by": ["page"], "expand": { "param": "expand" } }), "missing field `items`"),
        ] {
            let error = serde_json::from_value::<Paging>(json).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
