//! What is known of one operation of a vendor before it is called.

use std::fmt;

use http::Method;

/// One operation of a vendor: its name, address, and what the vendor asks for it.
///
/// Every error that belongs to a call names its operation, and each vendor lists its own, for example
/// [`fixably::operations`](crate::fixably::operations).
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    id: &'static str,
    method: Method,
    path: &'static str,
    scopes: &'static [&'static str],
    idempotent: bool,
    confidence: Confidence,
    root: Option<&'static str>,
    refuses_inside: bool,
}

impl Operation {
    pub(crate) const fn new(id: &'static str, method: Method, path: &'static str) -> Self {
        Self {
            id,
            method,
            path,
            scopes: &[],
            idempotent: false,
            confidence: Confidence::Assumed,
            root: None,
            refuses_inside: false,
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

    pub(crate) const fn with_confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// Says that answers stand in an envelope, under this name.
    pub(crate) const fn within(mut self, root: &'static str) -> Self {
        self.root = Some(root);
        self
    }

    /// Says that a success in which the vendor complains is a refusal.
    pub(crate) const fn refusing_inside(mut self) -> Self {
        self.refuses_inside = true;
        self
    }

    /// The member of the answer that it is all about; `None` where that is the whole of it.
    pub(crate) fn root(&self) -> Option<&'static str> {
        self.root
    }

    /// Whether a success may hold complaints, and is a refusal then.
    pub(crate) fn refuses_inside(&self) -> bool {
        self.refuses_inside
    }

    /// The name of the operation and of the client's method, such as `get_order`.
    pub fn id(&self) -> &'static str {
        self.id
    }

    /// The HTTP method. For a request to an endpoint that is not modelled, [`CallError::method`](crate::CallError::method)
    /// tells the one that was sent.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path below the base URL, with its parameters in braces, such as `/orders/{id}`.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The scopes that the token needs, as far as they are known.
    pub fn required_scopes(&self) -> &'static [&'static str] {
        self.scopes
    }

    /// Whether sending the call twice has the effect of sending it once, so that it may be repeated when its answer is
    /// lost.
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
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
    /// Nobody names it; it follows from what the vendor does elsewhere.
    Assumed,
    /// The vendor says so.
    Documented,
    /// A client that works against the vendor does so; the vendor's own words could not be read.
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
