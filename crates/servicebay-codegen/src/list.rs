//! Emits what makes an operation a list: one call of `list_operation!`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Ident, Type, parse_quote};

use crate::field::Field;
use crate::imports::Imports;
use crate::layout::Verbatim;
use crate::model::{Model, first_argument, last_name};
use crate::operation::Endpoint;
use crate::parameter::Paging;
use crate::spec_error::SpecError;

/// A list operation: how it is paged.
pub(crate) struct List<'a> {
    /// The fields that select the page.
    by: Vec<&'a Ident>,
    /// The field, and its value, that asks for whole items.
    expand: Option<(&'a Ident, &'a str)>,
    page: &'a Type,
    item: &'a Type,
    key: Key,
}

/// Where an item has its id.
#[derive(Clone, Copy)]
enum Key {
    /// The method `id`, which a link has too.
    Method,
    Field,
    None,
}

impl<'a> List<'a> {
    pub(crate) fn new(
        paging: &'a Paging,
        fields: &'a [Field<'_>],
        page: &'a Type,
        model: &Model,
    ) -> Result<Self, SpecError> {
        let ident = |name: &str| {
            let named = fields.iter().find(|field| field.parameter.is_some_and(|parameter| parameter.name == name));
            named
                .map(|field| &field.ident)
                .ok_or_else(|| SpecError::new(name, "x-page names it, the parameters do not"))
        };
        let by = paging.by.iter().map(|name| ident(name)).collect::<Result<_, _>>()?;
        let expand = match &paging.expand {
            Some(expansion) => Some((ident(&expansion.param)?, expansion.items.as_str())),
            None => None,
        };
        let Some(item) = first_argument(page) else {
            return Err(SpecError::new("x-page", "the response is no page: its `x-rust` has no type argument"));
        };
        let members = last_name(item).and_then(|name| model.structs.get(&name));
        let has = |name| members.is_some_and(|members| members.contains_key(name));
        let key = match (has("href"), has("id")) {
            (true, _) => Key::Method,
            (false, true) => Key::Field,
            (false, false) => Key::None,
        };
        Ok(Self { by, expand, page, item, key })
    }

    pub(crate) fn item(
        &self,
        endpoint: Endpoint<'_>,
        builder: &Ident,
        imports: &mut Imports,
        verbatim: &mut Verbatim,
    ) -> TokenStream {
        imports.add(&parse_quote!(crate::operation_builder::list_operation));
        let mut text = |ty: &Type| imports.shortened(ty).into_token_stream().to_string().replace(' ', "");
        let by: Vec<_> = self.by.iter().map(ToString::to_string).collect();
        let mut lines = vec![
            "list_operation! {".to_owned(),
            format!("    {builder} {{"),
            format!("        operation: operations::{},", endpoint.constant()),
            format!("        page: {},", text(self.page)),
            format!("        item: {},", text(self.item)),
            format!("        by: ({}),", by.join(", ")),
        ];
        match self.key {
            Key::Method => lines.push("        key: id(),".to_owned()),
            Key::Field => lines.push("        key: id,".to_owned()),
            Key::None => {}
        }
        if let Some((field, value)) = self.expand {
            lines.push(format!("        expand: {field} = {value:?},"));
        }
        lines.extend(["    }".to_owned(), "}".to_owned()]);
        verbatim.item(lines)
    }
}

#[cfg(test)]
mod tests {
    use crate::sample;
    use crate::spec::Spec;

    fn emitted(spec: &Spec) -> Result<String, String> {
        let text = sample::emitted(spec, crate::builder::module)?;
        let start = text.find("    list_operation! {").expect("there is a list");
        Ok(text[start..].split_once("\n    }\n").unwrap().0.to_owned())
    }

    #[test]
    fn a_list_contributes_its_operation_types_parameters_and_key() {
        assert_eq!(
            emitted(&sample::spec()).unwrap(),
            "    list_operation! {\n        ListOrders {\n            operation: operations::LIST_ORDERS,\n            \
             page: Page<types::Order>,\n            item: types::Order,\n            by: (page),\n            \
             key: id,\n        }"
        );
    }

    #[test]
    fn a_list_that_can_expand_its_items_does_so() {
        let text = emitted(&sample::changed(|document| {
            let expand = serde_json::json!({ "param": "perPage", "items": "all" });
            document["paths"]["/orders"]["get"]["x-page"]["expand"] = expand;
        }));
        assert!(text.unwrap().contains("            expand: per_page = \"all\","));
    }

    #[test]
    fn items_without_an_id_have_no_key() {
        let text = emitted(&sample::changed(|document| {
            document["components"]["schemas"]["Order"]["properties"].as_object_mut().unwrap().remove("id");
        }));
        assert!(!text.unwrap().contains("key:"));
    }

    #[test]
    fn a_response_that_is_no_page_is_refused() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["OrderPage"]["x-rust"] = "Page".into();
        });
        let error = emitted(&spec).unwrap_err();
        assert_eq!(error, "operation list_orders: x-page: the response is no page: its `x-rust` has no type argument");
    }
}
