//! Emits the client's methods, and `pub mod operations` with what is known about each operation.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use crate::docs;
use crate::operation::Endpoint;
use crate::schema::Confidence;
use crate::spec::Spec;

pub(crate) fn methods(spec: &Spec, vendor: &str) -> TokenStream {
    let methods = spec.endpoints().map(|endpoint| {
        let method = format_ident!("{}", endpoint.operation.id);
        let builder = format_ident!("{}", endpoint.builder());
        let docs = docs::of_method(endpoint, vendor);
        quote! {
            #docs
            pub fn #method(&self) -> builder::#builder {
                builder::#builder::new(self.inner())
            }
        }
    });
    quote! {
        /// A method for each operation. It returns a builder, whose `send` makes the call.
        impl super::Client {
            #(#methods)*
        }
    }
}

pub(crate) fn operations(spec: &Spec) -> TokenStream {
    let names = spec.endpoints().map(|endpoint| format_ident!("{}", endpoint.constant()));
    let statics = spec.endpoints().map(|endpoint| item(spec, endpoint));
    quote! {
        /// What is known about each operation before it is called.
        pub mod operations {
            use crate::{Confidence, Operation};
            use http::Method;

            /// Every operation of this vendor.
            pub static ALL: &[&Operation] = &[#(&#names),*];
            #(#statics)*
        }
    }
}

fn item(spec: &Spec, endpoint: Endpoint<'_>) -> TokenStream {
    let (id, path, operation) = (&endpoint.operation.id, endpoint.path, endpoint.operation);
    let name = format_ident!("{}", endpoint.constant());
    let docs = docs::of_constant(endpoint);
    let method = format_ident!("{}", endpoint.method);
    let scopes = match operation.scopes.as_slice() {
        [] => None,
        scopes => Some(quote!(.scopes(&[#(#scopes),*]))),
    };
    let idempotent = endpoint.is_idempotent().then(|| quote!(.idempotent(true)));
    let key = operation.idempotency_key.then(|| quote!(.with_idempotency_key()));
    // What a new operation has already is not repeated.
    let confidence = match operation.confidence {
        Confidence::Assumed => None,
        Confidence::Documented => Some(quote!(.with_confidence(Confidence::Documented))),
        Confidence::Observed => Some(quote!(.with_confidence(Confidence::Observed))),
    };
    let root = operation.success().and_then(|schema| spec.unwrapped(schema).0);
    let envelope = root.map(|root| quote!(.with_envelope(#root)));
    let errors = operation.errors_in_success.then(|| quote!(.with_errors_in_success()));
    quote! {
        #docs
        pub static #name: Operation = Operation::new(#id, Method::#method, #path)
            #scopes
            #idempotent
            #key
            #confidence
            #envelope
            #errors;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_static_holds_what_is_known_about_its_operation() {
        let text = operations(&sample::spec()).to_string().replace(' ', "");
        for expected in [
            "pubstaticALL:&[&Operation]=&[&LIST_ORDERS,&CREATE_ORDER,&GET_ORDER];",
            "pubstaticLIST_ORDERS:Operation=Operation::new(\"list_orders\",Method::GET,\"/orders\")\
             .scopes(&[\"orders:view\"]).idempotent(true).with_confidence(Confidence::Documented);",
            "pubstaticCREATE_ORDER:Operation=Operation::new(\"create_order\",Method::POST,\"/orders\")\
             .with_confidence(Confidence::Observed);",
            "pubstaticGET_ORDER:Operation=Operation::new(\"get_order\",Method::GET,\"/orders/{id}\")\
             .idempotent(true).with_envelope(\"order\");",
        ] {
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
    }

    #[test]
    fn a_static_says_that_its_operation_takes_a_key() {
        let spec = sample::changed(|document| document["paths"]["/orders"]["post"]["x-idempotency-key"] = true.into());
        let text = operations(&spec).to_string().replace(' ', "");
        assert!(text.contains("\"/orders\").with_idempotency_key().with_confidence(Confidence::Observed);"), "{text}");
        assert_eq!(text.matches("with_idempotency_key").count(), 1, "{text}");
    }

    #[test]
    fn a_method_returns_the_builder_of_its_operation() {
        let text = methods(&sample::spec(), "acme").to_string().replace(' ', "");
        assert!(
            text.contains("pubfnget_order(&self)->builder::GetOrder{builder::GetOrder::new(self.inner())}"),
            "{text}"
        );
    }
}
