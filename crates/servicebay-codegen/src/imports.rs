//! `use` lines for a generated module, and the short paths that they allow.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Path, Type, parse_quote};

/// Names that a module has without importing them, and that must keep their meaning.
const PRELUDE: [&str; 12] =
    ["Box", "Clone", "Default", "From", "FnMut", "Into", "Option", "Result", "Self", "Send", "String", "Vec"];

/// Collects the paths that a module imports, and shortens them where they are used.
pub(crate) struct Imports {
    /// Names that the module defines itself.
    own: BTreeSet<String>,
    /// The path that each imported name stands for.
    imported: BTreeMap<String, Path>,
}

impl Imports {
    pub(crate) fn new(own: impl IntoIterator<Item = String>) -> Self {
        Self { own: own.into_iter().collect(), imported: BTreeMap::new() }
    }

    /// The `use` lines for every path that was shortened.
    pub(crate) fn lines(&self) -> TokenStream {
        let mut parents: BTreeMap<String, (Path, Vec<&syn::PathSegment>)> = BTreeMap::new();
        for path in self.imported.values() {
            let Some(last) = path.segments.last() else { continue };
            let mut parent = path.clone();
            parent.segments = path.segments.iter().take(path.segments.len() - 1).cloned().collect();
            let key = quote!(#parent).to_string();
            parents.entry(key).or_insert_with(|| (parent, Vec::new())).1.push(last);
        }
        let lines = parents.into_values().map(|(parent, names)| match names.as_slice() {
            [name] => quote!(use #parent::#name;),
            names => quote!(use #parent::{#(#names),*};),
        });
        quote!(#(#lines)*)
    }

    /// The type with the short names of what it contains.
    pub(crate) fn shortened(&mut self, ty: &Type) -> Type {
        let mut ty = ty.clone();
        self.visit_type_mut(&mut ty);
        ty
    }

    /// Imports a macro, which no path in the syntax tree names.
    pub(crate) fn add(&mut self, path: &Path) {
        if let Some(last) = path.segments.last() {
            self.imported.insert(last.ident.to_string(), path.clone());
        }
    }

    /// Whether `name` stands, or from now on will stand, for this path.
    fn admits(&mut self, name: &str, path: &Path) -> bool {
        if self.own.contains(name) || PRELUDE.contains(&name) {
            return false;
        }
        let imported = self.imported.entry(name.to_owned()).or_insert_with(|| path.clone());
        imported == path
    }
}

impl VisitMut for Imports {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let is_foreign = |segment: &syn::PathSegment| {
            ["crate", "http", "jiff", "serde_json"].iter().any(|name| segment.ident == name)
        };
        if !path.segments.first().is_some_and(is_foreign) {
            return;
        }
        let is_type = |segment: &syn::PathSegment| segment.ident.to_string().starts_with(char::is_uppercase);
        let Some(position) = path.segments.iter().position(is_type) else { return };
        let mut whole = path.clone();
        whole.segments = path.segments.iter().take(position + 1).cloned().collect();
        if let Some(last) = whole.segments.last_mut() {
            last.arguments = syn::PathArguments::None;
        }
        let name = path.segments[position].ident.to_string();
        if self.admits(&name, &whole) {
            let short = path.segments.iter().skip(position);
            *path = parse_quote!(#(#short)::*);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shortened(imports: &mut Imports, ty: &str) -> String {
        let ty = imports.shortened(&syn::parse_str(ty).unwrap());
        quote!(#ty).to_string().replace(' ', "")
    }

    #[test]
    fn paths_are_imported_once_and_shortened() {
        let mut imports = Imports::new([]);
        assert_eq!(shortened(&mut imports, "Option<crate::acme::Id<Order>>"), "Option<Id<Order>>");
        assert_eq!(shortened(&mut imports, "crate::acme::Ref<crate::acme::Page<Order>>"), "Ref<Page<Order>>");
        assert_eq!(shortened(&mut imports, "crate::Open<jiff::Timestamp>"), "Open<Timestamp>");
        assert_eq!(
            imports.lines().to_string().replace(' ', ""),
            "usecrate::Open;usecrate::acme::{Id,Page,Ref};usejiff::Timestamp;"
        );
    }

    #[test]
    fn a_name_that_means_something_else_is_not_imported() {
        let mut imports = Imports::new(["Order".to_owned()]);
        assert_eq!(shortened(&mut imports, "crate::acme::Order"), "crate::acme::Order");
        assert_eq!(shortened(&mut imports, "crate::acme::Result"), "crate::acme::Result");
        assert_eq!(shortened(&mut imports, "jiff::civil::Date"), "Date");
        assert_eq!(shortened(&mut imports, "crate::acme::Date"), "crate::acme::Date");
    }

    #[test]
    fn what_belongs_to_a_type_stays_behind_it() {
        let mut imports = Imports::new([]);
        let mut call: syn::Expr = parse_quote!(crate::acme::Expand::of_items(crate::Error::new()));
        imports.visit_expr_mut(&mut call);
        assert_eq!(quote!(#call).to_string().replace(' ', ""), "Expand::of_items(Error::new())");
    }
}
