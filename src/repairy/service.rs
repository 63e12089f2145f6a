//! Constructors for the services of a new booking.

use super::generated::types::{CatalogItem, ServiceCategory, ServiceInput};

impl ServiceInput {
    /// A service from a workshop's catalog, as [`Client::list_workshop_services`](super::Client::list_workshop_services)
    /// returned it: its id, code, title, and lower price. The vendor adds the rest from the catalog.
    ///
    /// ```
    /// use servicebay::repairy::types::{CatalogItem, ServiceInput};
    ///
    /// let item: CatalogItem = serde_json::from_str(
    ///     r#"{"_id": "68b7bf3f6210580c57363a94", "catalogCode": "logbook", "title": "Logbook Service", "icon": "basic"}"#,
    /// )?;
    /// let sent = serde_json::to_value(ServiceInput::of(&item))?;
    /// assert_eq!(sent["catalogId"], "68b7bf3f6210580c57363a94");
    /// assert_eq!(sent.get("icon"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn of(item: &CatalogItem) -> Self {
        let mut service = Self::new();
        service.catalog_id = item.id.clone();
        service.catalog_code = item.catalog_code.clone();
        service.title = item.title.clone();
        service.cost = item.cost.clone();
        service
    }

    /// A custom service, which is not in the catalog. The vendor stores it as it is sent.
    pub fn custom(title: impl Into<String>, category: impl Into<ServiceCategory>) -> Self {
        Self::new().title(title).category(category)
    }
}
