//! A small spec of an imaginary vendor, for tests.

use serde_json::Value;

use crate::spec::Spec;

const TEXT: &str = include_str!("../tests/acme.json");

pub(crate) fn document() -> Value {
    serde_json::from_str(TEXT).expect("the sample is JSON")
}

pub(crate) fn spec() -> Spec {
    Spec::parse(TEXT).expect("the sample is a spec")
}

/// The sample with a change that keeps it a spec.
pub(crate) fn changed(change: impl FnOnce(&mut Value)) -> Spec {
    let mut document = document();
    change(&mut document);
    Spec::parse(&document.to_string()).expect("the changed sample is a spec")
}
