//! The scopes that an application can request.

/// A scope that an application requests from a user. All of them are documented
/// ([source](https://docs.fentufsm.com/api-reference/authentication)). Scopes are passed as text, so a scope that is
/// missing here can be given by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everything.
    Admin,
    /// View assets.
    ReadAssets,
    /// View customers.
    ReadCustomers,
    /// View work orders.
    ReadWorkOrders,
    /// Create and change assets.
    WriteAssets,
    /// Create and change customers.
    WriteCustomers,
    /// Create and change work orders.
    WriteWorkOrders,
}

impl Scope {
    /// The vendor's name for the scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::ReadAssets => "read:assets",
            Self::ReadCustomers => "read:customers",
            Self::ReadWorkOrders => "read:work-orders",
            Self::WriteAssets => "write:assets",
            Self::WriteCustomers => "write:customers",
            Self::WriteWorkOrders => "write:work-orders",
        }
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}
