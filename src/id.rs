//! What the typed ids of every vendor have in common.

/// Compares, orders, hashes and prints an `Id<T>` by its `id`. By hand, for a derive would ask the same of `T`.
macro_rules! like_its_id {
    ($id:ident) => {
        impl<T> PartialEq for $id<T> {
            fn eq(&self, other: &Self) -> bool {
                self.id == other.id
            }
        }

        impl<T> Eq for $id<T> {}

        impl<T> PartialOrd for $id<T> {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<T> Ord for $id<T> {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.id.cmp(&other.id)
            }
        }

        impl<T> std::hash::Hash for $id<T> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.id.hash(state);
            }
        }

        impl<T> std::fmt::Debug for $id<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.id, f)
            }
        }

        impl<T> std::fmt::Display for $id<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.id, f)
            }
        }
    };
}

pub(crate) use like_its_id;
