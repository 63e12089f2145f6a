//! The error of a token store.

use super::{Error, store_failure};

store_failure! {
    /// A failure of a token store. No tokens are lost: the client keeps them in memory and tries to store them again.
    StoreError, "token store"
}

impl From<StoreError> for Error {
    /// For programs that use a token store themselves, so that `?` works on its errors and on those of calls.
    fn from(error: StoreError) -> Self {
        Self::TokenStore(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_of_a_store_becomes_an_error_without_a_call() {
        let error = Error::from(StoreError::new("no room; make some").with_source(std::io::Error::other("28")));
        assert_eq!((error.to_string().as_str(), error.kind()), ("token store: no room; make some", "token_store"));
        assert_eq!(error.source().unwrap().to_string(), "28");
        assert!(error.call_error().is_none() && error.is_retryable() && !error.maybe_applied() && !error.is_auth());
        assert_eq!(error.support_report(), "nothing was sent: token store: no room; make some\n");
    }

    #[test]
    fn an_error_of_a_store_shows_its_reason_and_keeps_its_cause() {
        let error = StoreError::new("no room; make some").with_source(std::io::Error::other("28"));
        assert_eq!(error.to_string(), "token store: no room; make some");
        assert_eq!((error.reason(), error.source().unwrap().to_string()), ("no room; make some", "28".to_owned()));
    }
}
