//! Emits an open enum: the known values, and the text of any other.

use indexmap::IndexMap;
use proc_macro2::TokenStream;
use syn::{Ident, parse_quote};

use crate::docs::{self, Docs};
use crate::imports::Imports;
use crate::layout::Verbatim;
use crate::schema::Schema;
use crate::spec_error::SpecError;

pub(crate) fn item(
    name: &str,
    schema: &Schema,
    variants: &IndexMap<String, Ident>,
    imports: &mut Imports,
    verbatim: &mut Verbatim,
) -> Result<TokenStream, SpecError> {
    let place = || format!("components.schemas.{name}");
    if variants.values().any(|variant| variant == "Other") {
        return Err(SpecError::new(place(), "one of its values would be called `Other`, as unknown values are"));
    }
    if let Some(value) = schema.value_descriptions.keys().find(|value| !variants.contains_key(*value)) {
        return Err(SpecError::new(
            place(),
            format!("x-enum-descriptions describes `{value}`, which is no value of it"),
        ));
    }
    imports.add(&parse_quote!(crate::open::open_enum));
    let mut lines = vec!["open_enum! {".to_owned()];
    lines.extend(docs::of_component(schema).source_lines().map(|line| format!("    {line}")));
    lines.push(format!("    pub enum {name} {{"));
    for (value, variant) in variants {
        if let Some(meaning) = schema.value_descriptions.get(value) {
            lines.extend(Docs::new(meaning).source_lines().map(|line| format!("        {line}")));
        }
        lines.push(format!("        {variant} = {value:?},"));
    }
    lines.extend(["    }".to_owned(), "}".to_owned()]);
    Ok(verbatim.item(lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn emitted(variants: [(&str, &str); 2]) -> Result<String, String> {
        let spec = sample::spec();
        let variants =
            variants.map(|(value, variant)| (value.to_owned(), syn::parse_str(variant).unwrap())).into_iter().collect();
        let mut verbatim = Verbatim::default();
        let item = item("OrderStatus", &spec.schemas()["OrderStatus"], &variants, &mut Imports::new([]), &mut verbatim);
        verbatim.text(item.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    #[test]
    fn an_enum_lists_its_values_with_what_they_mean() {
        assert_eq!(
            emitted([("open", "Open"), ("closed", "Closed")]).unwrap(),
            "open_enum! {\n    /// The status of an order.\n    pub enum OrderStatus {\n        \
             /// Still being worked on.\n        Open = \"open\",\n        Closed = \"closed\",\n    }\n}\n"
        );
    }

    #[test]
    fn a_value_that_would_be_taken_for_an_unknown_one_is_refused() {
        let error = emitted([("open", "Open"), ("other", "Other")]).unwrap_err();
        let problem = "one of its values would be called `Other`, as unknown values are";
        assert_eq!(error, format!("components.schemas.OrderStatus: {problem}"));
    }

    #[test]
    fn a_description_of_a_value_that_is_not_there_is_refused() {
        let error = emitted([("opened", "Opened"), ("closed", "Closed")]).unwrap_err();
        let problem = "x-enum-descriptions describes `open`, which is no value of it";
        assert_eq!(error, format!("components.schemas.OrderStatus: {problem}"));
    }
}
