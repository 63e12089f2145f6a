//! What an application may ask a user for.

/// A right that an application asks a user for, all documented
/// ([source](https://docs.fentufsm.com/api-reference/authentication)). Where a scope is missing here, its name as text does
/// as well.
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
    /// The vendor's name for it.
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
