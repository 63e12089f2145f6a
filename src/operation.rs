//! The static description of a vendor's operation.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use http::Method;

/// One operation of a vendor's API: its name, HTTP method and path, and the scopes that it requires.
///
/// Every error of a call names its operation. Each vendor's module lists its operations, for example
/// [`fixably::operations`](crate::fixably::operations).
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    id: &'static str,
    method: Method,
    path: &'static str,
    scopes: &'static [&'static str],
    idempotent: bool,
    takes_idempotency_key: bool,
    confidence: Confidence,
    root: Option<&'static str>,
    errors_in_success: bool,
}

impl Operation {
    pub(crate) const fn new(id: &'static str, method: Method, path: &'static str) -> Self {
        Self {
            id,
            method,
            path,
            scopes: &[],
            idempotent: false,
            takes_idempotency_key: false,
            confidence: Confidence::Assumed,
            root: None,
            errors_in_success: false,
        }
    }

    pub(crate) const fn scopes(mut self, scopes: &'static [&'static str]) -> Self {
        self.scopes = scopes;
        self
    }

    pub(crate) const fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }

    /// Declares that the vendor recognizes a repeated request by its `Idempotency-Key`.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for an operation whose spec says so; the four vendors have none")
    )]
    pub(crate) const fn with_idempotency_key(mut self) -> Self {
        self.takes_idempotency_key = true;
        self
    }

    pub(crate) const fn with_confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// The same operation under another name, which lives as long as the program. Each name is made once.
    pub(crate) fn named(&'static self, name: &'static str) -> &'static Self {
        static NAMED: Mutex<BTreeMap<(&str, &str), &Operation>> = Mutex::new(BTreeMap::new());
        let mut named = NAMED.lock().unwrap_or_else(PoisonError::into_inner);
        named.entry((name, self.method.as_str())).or_insert_with(|| {
            let operation = Self::new(name, self.method.clone(), self.path).idempotent(self.idempotent);
            Box::leak(Box::new(operation))
        })
    }

    /// Declares that the content of responses is this member of an envelope.
    pub(crate) const fn with_envelope(mut self, root: &'static str) -> Self {
        self.root = Some(root);
        self
    }

    /// Declares that a 2xx response with errors in its body is an error.
    pub(crate) const fn with_errors_in_success(mut self) -> Self {
        self.errors_in_success = true;
        self
    }

    /// The member of the response that holds its content; `None` if the whole body is the content.
    pub(crate) fn root(&self) -> Option<&'static str> {
        self.root
    }

    /// Whether a 2xx response with errors in its body is an error.
    pub(crate) fn errors_in_success(&self) -> bool {
        self.errors_in_success
    }

    /// The name of the operation and of the client's method, such as `get_order`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The HTTP method. A request to an endpoint that is not modeled may use another one: see
    /// [`CallError::method`](crate::CallError::method).
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path relative to the base URL, with its parameters in braces, such as `/orders/{id}`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The scopes that the token needs, as far as they are known.
    pub fn required_scopes(&self) -> &'static [&'static str] {
        self.scopes
    }

    /// Whether sending the request twice has the effect of sending it once. Only then does the client repeat it after its
    /// response was lost.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether the vendor recognizes a repeated request by its `Idempotency-Key`. Then the client sends one, and repeats the
    /// request after its response was lost. No operation of the four vendors is known to take one.
    pub fn takes_idempotency_key(&self) -> bool {
        self.takes_idempotency_key
    }

    /// How well the operation is known.
    pub fn confidence(&self) -> Confidence {
        self.confidence
    }
}

/// How well a fact about a vendor is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Confidence {
    /// Neither the vendor nor a working client names it; it is inferred from the vendor's other operations.
    Assumed,
    /// The vendor's documentation states it.
    Documented,
    /// A client that works with the vendor relies on it; the vendor's documentation of it could not be read.
    Observed,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assumed => "assumed",
            Self::Documented => "documented",
            Self::Observed => "observed",
        })
    }
}
