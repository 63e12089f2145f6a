//! The permissions between the members of a family.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::generated::types::{HashedPermissions, User};
use super::id::Id;

/// The body of [`update_family_permissions`](super::Client::update_family_permissions): for whom a person may book, and
/// whose mail the person receives.
///
/// Both lists replace the old ones: a list that is not set is sent empty.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::FamilyPermissions;
///
/// let permissions = FamilyPermissions::of(2001).book_for([2002, 2003]).email_redirection_for([2002]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyPermissions {
    id: Id<User>,
    book_for: Vec<Id<User>>,
    email_redirection_for: Vec<Id<User>>,
}

impl FamilyPermissions {
    /// No permissions for this person yet.
    pub fn of(id: impl Into<Id<User>>) -> Self {
        Self { id: id.into(), book_for: Vec::new(), email_redirection_for: Vec::new() }
    }

    /// The person's current permissions, from [`list_linked_clients`](super::Client::list_linked_clients) or the profile.
    pub fn current(id: impl Into<Id<User>>, permissions: &HashedPermissions) -> Self {
        Self {
            id: id.into(),
            book_for: permissions.book_for.clone(),
            email_redirection_for: permissions.email_redirection_for.clone(),
        }
    }

    /// Sets for whom the person may book.
    pub fn book_for(self, users: impl IntoIterator<Item = impl Into<Id<User>>>) -> Self {
        Self { book_for: users.into_iter().map(Into::into).collect(), ..self }
    }

    /// Sets whose mail the person receives.
    pub fn email_redirection_for(self, users: impl IntoIterator<Item = impl Into<Id<User>>>) -> Self {
        Self { email_redirection_for: users.into_iter().map(Into::into).collect(), ..self }
    }
}

impl Serialize for FamilyPermissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct RolePermissions<'a> {
            client: PermissionLists<'a>,
        }
        #[derive(serde::Serialize)]
        struct PermissionLists<'a> {
            book_for: &'a [Id<User>],
            email_redirection_for: &'a [Id<User>],
        }
        let client = PermissionLists { book_for: &self.book_for, email_redirection_for: &self.email_redirection_for };
        let mut permissions = serializer.serialize_struct("FamilyPermissions", 2)?;
        permissions.serialize_field("id", &self.id)?;
        permissions.serialize_field("hashed_permissions", &RolePermissions { client })?;
        permissions.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn permissions_are_sent_in_the_vendors_wrapper() {
        let sent = serde_json::to_value(FamilyPermissions::of(2001).book_for([2002])).unwrap();
        let lists = json!({"book_for": [2002], "email_redirection_for": []});
        assert_eq!(sent, json!({"id": 2001, "hashed_permissions": {"client": lists}}));
    }

    #[test]
    fn a_change_starts_from_the_current_permissions() {
        let read: HashedPermissions =
            serde_json::from_str(r#"{"book_for": [3], "email_redirection_for": [4]}"#).unwrap();
        let changed = FamilyPermissions::current(1, &read).book_for([3, 5]);
        let sent = serde_json::to_value(changed).unwrap();
        assert_eq!(sent["hashed_permissions"]["client"], json!({"book_for": [3, 5], "email_redirection_for": [4]}));
    }
}
