//! A small spec of an imaginary vendor, for tests.

use proc_macro2::TokenStream;
use quote::format_ident;
use serde_json::Value;
use syn::Ident;

use crate::layout::Verbatim;
use crate::model::Model;
use crate::spec::Spec;
use crate::spec_error::SpecError;
use crate::type_override;

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

/// What emits a module of the generated code.
type Emit = fn(&Spec, &Model, &Ident, &mut Verbatim) -> Result<TokenStream, SpecError>;

/// The text of a module, as `emit` writes it for the vendor `acme`.
pub(crate) fn emitted(spec: &Spec, emit: Emit) -> Result<String, String> {
    let model = Model::infer(spec, &type_override::all(spec, "acme").unwrap()).unwrap();
    let mut verbatim = Verbatim::default();
    let module = emit(spec, &model, &format_ident!("acme"), &mut verbatim).map_err(|error| error.to_string())?;
    Ok(verbatim.text(module).unwrap())
}
