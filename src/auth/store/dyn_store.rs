//! Token stores behind a pointer.

use std::fmt;

use futures_core::future::BoxFuture;

use super::{CompareAndSwap, TokenKey, TokenStore};
use crate::auth::lease::Lease;
use crate::auth::token_set::TokenSet;
use crate::error::StoreError;

/// [`TokenStore`] with boxed futures, so that it can be a trait object.
pub(crate) trait DynTokenStore: fmt::Debug + Send + Sync {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>>;
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>>;
    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>>;
    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>>;
    fn is_shared(&self) -> bool;
}

impl<S: TokenStore> DynTokenStore for S {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        Box::pin(TokenStore::load(self, key))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        Box::pin(TokenStore::compare_and_swap(self, key, expected, tokens))
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(TokenStore::remove(self, key))
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(TokenStore::lease(self, key))
    }

    fn is_shared(&self) -> bool {
        TokenStore::is_shared(self)
    }
}
