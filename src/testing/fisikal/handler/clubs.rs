//! Locations, settings and lookups.

use serde_json::{Value, json};

use super::{Handler, HandlerResult, time};
use crate::testing::fisikal::catalog;
use crate::testing::fisikal::list::{by_boolean, by_number, by_text, constant, list, unfiltered};
use crate::testing::fisikal::params::{number, numbers};

impl Handler<'_> {
    pub(crate) fn list_locations(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "parent_id" => by_number("parent_id", wanted),
            "region_id" => by_number("region_id", wanted),
            "club_id" => by_number("club_id", wanted),
            "hidden" => by_boolean("hidden", wanted),
            "fulltext" => by_text(&["name"], wanted),
            // No membership names a location, and no location has a tag.
            "memberships_client_id" => number(wanted).and_then(|_| constant(false)),
            "tag_ids" => numbers(wanted).and_then(|_| constant(false)),
            "tags_fulltext" => (wanted.is_array() || wanted.is_string()).then(|| constant(false))?,
            _ => None,
        };
        list("locations", catalog::locations(), &self.params, filter, &["name"])
    }

    pub(crate) fn get_location(&self) -> HandlerResult {
        // The vendor documents that the member may be null; an unknown id gets that here.
        let location = catalog::locations().into_iter().find(|location| location["id"] == self.id);
        Ok(json!({"location": location}))
    }

    pub(crate) fn list_regions(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| (name == "disabled").then(|| by_boolean("disabled", wanted))?;
        list("regions", catalog::regions(), &self.params, filter, &[])
    }

    pub(crate) fn get_club_settings(&self) -> HandlerResult {
        Ok(json!({"settings": catalog::settings()}))
    }

    pub(crate) fn list_app_sections(&self) -> HandlerResult {
        unfiltered("sections", catalog::sections(), &self.params)
    }

    pub(crate) fn list_countries(&self) -> HandlerResult {
        unfiltered("countries", catalog::countries(), &self.params)
    }

    pub(crate) fn list_announcements(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| {
            time(wanted).filter(|_| matches!(name, "since" | "till")).and_then(|_| constant(true))
        };
        list("announcements", Vec::new(), &self.params, filter, &[])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::fisikal::{MockServer, Role};

    #[test]
    fn an_unknown_location_is_null() {
        let server = MockServer::builder().in_memory();
        assert_eq!(
            server.request_as(Role::Client, "GET", "/clubs/locations/99", None),
            (200, json!({"location": null}))
        );
    }
}
