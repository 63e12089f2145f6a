//! Type overrides: the hand-written types that `x-rust` names for a component, and the crate's own for some formats.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Path, Type, parse_quote};

use crate::schema::Schema;
use crate::spec::Spec;
use crate::spec_error::SpecError;

/// JSON types whose format no primitive can express: type, format, the name of a schema for both, and its Rust type.
const FORMATS: [(&str, &str, &str, &str); 5] = [
    ("string", "date", "FormatDate", "crate::Open<jiff::civil::Date>"),
    ("string", "date-time", "FormatDateTime", "crate::Open<jiff::Timestamp>"),
    ("string", "local-date-time", "FormatLocalDateTime", "crate::Open<jiff::civil::DateTime>"),
    ("number", "decimal", "FormatDecimal", "crate::Amount"),
    ("string", "decimal", "FormatDecimal", "crate::Amount"),
];

/// The Rust type of every schema that progenitor must not write a type for, by the schema's name.
///
/// Generated types inside are written `types::Order`, wherever they are used.
pub(crate) fn all(spec: &Spec, vendor: &str) -> Result<BTreeMap<String, String>, SpecError> {
    let mut overrides = BTreeMap::new();
    for (name, schema) in spec.schemas() {
        let Some(rust) = &schema.rust else { continue };
        let resolved =
            resolve(rust, spec, vendor).map_err(|error| error.within(format!("components.schemas.{name}.x-rust")))?;
        overrides.insert(name.clone(), resolved);
    }
    for (_, _, name, rust) in FORMATS {
        if spec.schemas().contains_key(name) {
            let problem = "the generator uses this name itself; rename the component";
            return Err(SpecError::new(format!("components.schemas.{name}"), problem));
        }
        overrides.insert(name.to_owned(), rust.to_owned());
    }
    Ok(overrides)
}

/// The name of the schema that stands for the format of this one.
pub(crate) fn of_format(schema: &Schema) -> Option<&'static str> {
    let (kind, format) = (schema.kind.as_deref()?, schema.format.as_deref()?);
    FORMATS.iter().find(|known| (known.0, known.1) == (kind, format)).map(|known| known.2)
}

fn resolve(rust: &str, spec: &Spec, vendor: &str) -> Result<String, SpecError> {
    let mut written: Type = syn::parse_str(rust).map_err(|error| SpecError::new(rust, error))?;
    let module = syn::parse_str(vendor).map_err(|error| SpecError::new(vendor, error))?;
    let mut resolver = Resolver { spec, module, unknown: None };
    resolver.visit_type_mut(&mut written);
    match resolver.unknown {
        Some(name) => {
            let problem = format!("`{name}` is no generated type; list a hand-written one in `x-rust-types`");
            Err(SpecError::new(rust, problem))
        }
        None => Ok(written.into_token_stream().to_string()),
    }
}

/// Gives each bare name in an `x-rust` the path of the type that it means.
struct Resolver<'a> {
    spec: &'a Spec,
    module: Path,
    unknown: Option<String>,
}

impl VisitMut for Resolver<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(segment) = path.segments.last() else { return };
        let name = segment.ident.to_string();
        let module = &self.module;
        if path.segments.len() == 1 && name == "Vec" {
            return;
        }
        if path.segments.len() == 1 && self.spec.rust_types.contains(&name) {
            *path = parse_quote!(crate::#module::#segment);
        } else if path.segments.len() == 1 && self.spec.schemas().get(&name).is_some_and(|schema| schema.rust.is_none())
        {
            *path = parse_quote!(types::#segment);
        } else {
            self.unknown.get_or_insert(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    fn resolved(rust: &str) -> Result<String, String> {
        let rust = resolve(rust, &sample::spec(), "acme").map_err(|error| error.to_string())?;
        Ok(rust.replace(' ', ""))
    }

    #[test]
    fn names_get_the_path_of_what_they_mean() {
        for (rust, path) in [
            ("Id<Order>", "crate::acme::Id<types::Order>"),
            ("Vec<Id<Order>>", "Vec<crate::acme::Id<types::Order>>"),
            ("OrderStatus", "types::OrderStatus"),
        ] {
            assert_eq!(resolved(rust).as_deref(), Ok(path));
        }
    }

    #[test]
    fn a_name_that_nothing_has_is_refused() {
        for (rust, name) in [("Id<Customer>", "Customer"), ("std::string::String", "String"), ("OrderId", "OrderId")] {
            let problem = format!("`{name}` is no generated type; list a hand-written one in `x-rust-types`");
            assert_eq!(resolved(rust), Err(format!("{rust}: {problem}")));
        }
        assert!(resolved("Id<").unwrap_err().starts_with("Id<: "));
    }

    #[test]
    fn the_refusal_of_an_override_names_its_component() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["OrderId"]["x-rust"] = "Number<Order>".into();
        });
        let error = all(&spec, "acme").unwrap_err().to_string();
        assert!(
            error.starts_with("components.schemas.OrderId.x-rust: Number<Order>: `Number` is no generated"),
            "{error}"
        );
    }

    #[test]
    fn a_component_with_a_name_that_the_generator_uses_is_refused() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["FormatDate"] = json!({ "type": "string", "description": "A date." });
        });
        let error = all(&spec, "acme").unwrap_err().to_string();
        assert_eq!(error, "components.schemas.FormatDate: the generator uses this name itself; rename the component");
    }

    #[test]
    fn formats_that_a_primitive_cannot_express_have_a_type() {
        for (kind, format, name) in [
            ("string", "date", Some("FormatDate")),
            ("string", "date-time", Some("FormatDateTime")),
            ("string", "local-date-time", Some("FormatLocalDateTime")),
            ("number", "decimal", Some("FormatDecimal")),
            ("string", "decimal", Some("FormatDecimal")),
            ("string", "email", None),
            ("integer", "date", None),
        ] {
            let schema: Schema = serde_json::from_value(json!({ "type": kind, "format": format })).unwrap();
            assert_eq!(of_format(&schema), name, "{kind} {format}");
        }
    }
}
