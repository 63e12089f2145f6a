//! Token stores that change one operation of another store and forward the others.

/// Implements these operations of a `TokenStore` by those of the store in a field.
macro_rules! forward_to_store {
    ($field:tt: $($operation:ident),+) => {
        $(crate::forward_to_store::forward_to_store!(@$operation $field);)+
    };
    (@load $field:tt) => {
        fn load(
            &self,
            key: &::servicebay::TokenKey,
        ) -> impl Future<Output = Result<Option<::servicebay::TokenSet>, ::servicebay::StoreError>> + Send {
            self.$field.load(key)
        }
    };
    (@compare_and_swap $field:tt) => {
        fn compare_and_swap(
            &self,
            key: &::servicebay::TokenKey,
            expected: u64,
            tokens: &::servicebay::TokenSet,
        ) -> impl Future<Output = Result<::servicebay::CompareAndSwap, ::servicebay::StoreError>> + Send {
            self.$field.compare_and_swap(key, expected, tokens)
        }
    };
    (@remove $field:tt) => {
        fn remove(
            &self,
            key: &::servicebay::TokenKey,
        ) -> impl Future<Output = Result<(), ::servicebay::StoreError>> + Send {
            self.$field.remove(key)
        }
    };
    (@lease $field:tt) => {
        fn lease(
            &self,
            key: &::servicebay::TokenKey,
        ) -> impl Future<Output = Result<::servicebay::Lease, ::servicebay::StoreError>> + Send {
            self.$field.lease(key)
        }
    };
}

pub(crate) use forward_to_store;
