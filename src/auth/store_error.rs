//! The error of a token store.

use crate::error::store_failure;

store_failure! {
    /// A failure of a token store. No tokens are lost: the client keeps them in memory and tries to store them again.
    StoreError, "token store"
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn an_error_of_a_store_shows_its_reason_and_keeps_its_cause() {
        let error = StoreError::new("no room; make some").with_source(std::io::Error::other("28"));
        assert_eq!(error.to_string(), "token store: no room; make some");
        assert_eq!((error.reason(), error.source().unwrap().to_string()), ("no room; make some", "28".to_owned()));
    }
}
