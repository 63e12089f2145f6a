//! The error of a store of deliveries.

use crate::error::store_failure;

store_failure! {
    /// A failure of a [`DeliveryStore`](super::DeliveryStore).
    ///
    /// # Example
    ///
    /// ```
    /// use servicebay::webhook::DeliveryStoreError;
    ///
    /// let error = DeliveryStoreError::new("the database does not respond; check its address");
    /// assert_eq!(error.to_string(), "delivery store: the database does not respond; check its address");
    /// ```
    DeliveryStoreError, "delivery store"
}
