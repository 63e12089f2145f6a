//! Emits the client's methods, and `pub mod operations` with what is known of each.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use crate::operation::Call;
use crate::prose::{self, Prose};
use crate::schema::Confidence;
use crate::spec::Spec;

pub(crate) fn methods(spec: &Spec, vendor: &str) -> TokenStream {
    let methods = spec.calls().map(|call| {
        let method = format_ident!("{}", call.operation.id);
        let builder = format_ident!("{}", call.builder());
        let docs = prose::of_operation(call, vendor);
        quote! {
            #docs
            pub fn #method(&self) -> builder::#builder {
                builder::#builder::new(self.inner())
            }
        }
    });
    quote! {
        /// A method for each operation: it returns a builder, which is sent by `send`.
        impl super::Client {
            #(#methods)*
        }
    }
}

pub(crate) fn operations(spec: &Spec) -> TokenStream {
    let names: Vec<_> = spec.calls().map(constant).collect();
    let statics = spec.calls().map(|call| item(spec, call));
    quote! {
        /// What is known of each operation before it is called.
        pub mod operations {
            use crate::{Confidence, Operation};

            /// Every operation of this vendor.
            pub static ALL: &[&Operation] = &[#(&#names),*];
            #(#statics)*
        }
    }
}

/// The name of an operation's static.
pub(crate) fn constant(call: Call<'_>) -> Ident {
    format_ident!("{}", call.operation.id.to_uppercase())
}

fn item(spec: &Spec, call: Call<'_>) -> TokenStream {
    let (name, id, path, operation) = (constant(call), &call.operation.id, call.path, call.operation);
    let docs = Prose::new(format!("{}: `{} {}`", operation.summary, call.method, path));
    let method = format_ident!("{}", call.method);
    let scopes = &operation.scopes;
    let idempotent = call.is_idempotent();
    let confidence = match operation.confidence {
        Confidence::Assumed => quote!(Confidence::Assumed),
        Confidence::Documented => quote!(Confidence::Documented),
        Confidence::Observed => quote!(Confidence::Observed),
    };
    let root = operation.success().and_then(|schema| spec.unwrapped(schema).0);
    let within = root.map(|root| quote!(.within(#root)));
    let refusing = operation.refuses_inside.then(|| quote!(.refusing_inside()));
    quote! {
        #docs
        pub static #name: Operation = Operation::new(#id, ::http::Method::#method, #path)
            .scopes(&[#(#scopes),*])
            .idempotent(#idempotent)
            .with_confidence(#confidence)
            #within
            #refusing;
    }
}
