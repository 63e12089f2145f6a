//! Services, the trainers that give them, and the packages that pay for them.

use serde_json::{Value, json};

use super::{Handler, HandlerResult};
use crate::testing::fisikal::catalog;
use crate::testing::fisikal::error_response::{invalid, not_found};
use crate::testing::fisikal::list::{Predicate, by_number, constant, list, unfiltered};
use crate::testing::fisikal::packages;
use crate::testing::fisikal::params::{number, numbers};
use crate::testing::fisikal::people::Role;

impl Handler<'_> {
    pub(crate) fn list_services(&self) -> HandlerResult {
        unfiltered("services", catalog::services(), &self.params)
    }

    pub(crate) fn list_activity_categories(&self) -> HandlerResult {
        unfiltered("activity_categories", catalog::activity_categories(), &self.params)
    }

    pub(crate) fn list_trainer_activities(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| match name {
            "service_category_id" => by_number("service_category_id", wanted),
            "trainer_id" => by_number("trainer_id", wanted),
            "location_id" => by_number("location_id", wanted),
            _ => None,
        };
        list("trainer_activities", catalog::trainer_activities(), &self.params, filter, &[])
    }

    pub(crate) fn list_trainers(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| match name {
            "service_category_id" => by_activity("/service_category_id", wanted),
            "service_id" => by_activity("/service/id", wanted),
            "location_ids" => by_activity("/location_id", wanted),
            _ => None,
        };
        list("trainers", catalog::trainers(), &self.params, filter, &[])
    }

    pub(crate) fn get_trainer(&self) -> HandlerResult {
        let trainer = self.store.people.get(self.id).filter(|person| person.role == Role::Trainer);
        let trainer = trainer.map(|person| catalog::trainer_details(person.id)).ok_or_else(not_found)?;
        Ok(json!({"trainer": trainer}))
    }

    pub(crate) fn list_service_packages(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| match name {
            "location_id" | "location_ids" => by_number("location_id", wanted),
            "credit_service_ids" => by_service(wanted),
            // How packages relate to trainers and categories is unknown, so every package matches.
            "trainer_id" | "service_category_id" => number(wanted).and_then(|_| constant(true)),
            _ => None,
        };
        let mut packages = packages::packages();
        for name in ["location_id", "club_id"] {
            let Some(wanted) = self.params.get(name).filter(|wanted| !wanted.is_null()) else { continue };
            packages.retain(by_number(name, wanted).ok_or_else(|| invalid(name))?);
        }
        list("service_packages", packages, &self.params, filter, &["position"])
    }

    pub(crate) fn get_service_package(&self) -> HandlerResult {
        let package = packages::package_details(self.id).ok_or_else(not_found)?;
        Ok(json!({"service_package": package}))
    }

    pub(crate) fn list_client_service_packages(&self) -> HandlerResult {
        let status = self.params.get("unified_filters").and_then(|filters| filters.get("status")?.as_str());
        let packages = self.store.purchases.packages_of(self.caller()?.user, status);
        let filter = |name: &str, wanted: &Value| {
            let is_status = wanted.as_str().is_some_and(|status| ["active", "inactive", "archived"].contains(&status));
            (name == "status" && is_status).then(|| constant(true))?
        };
        list("client_service_packages", packages, &self.params, filter, &[])
    }
}

/// Keeps the trainers with an activity that has one of the wanted numbers at this JSON pointer.
fn by_activity(pointer: &'static str, wanted: &Value) -> Option<Predicate> {
    let wanted = numbers(wanted)?;
    let matching = catalog::trainer_activities().into_iter().filter(move |activity| {
        activity.pointer(pointer).and_then(Value::as_i64).is_some_and(|value| wanted.contains(&value))
    });
    let trainers: Vec<_> = matching.filter_map(|activity| activity["trainer_id"].as_i64()).collect();
    Some(Box::new(move |trainer| trainer["id"].as_i64().is_some_and(|id| trainers.contains(&id))))
}

/// Keeps the packages with one of the wanted services.
fn by_service(wanted: &Value) -> Option<Predicate> {
    let services = numbers(wanted)?;
    let is_wanted = move |id: &Value| id.as_i64().is_some_and(|id| services.contains(&id));
    Some(Box::new(move |package| package["service_ids"].as_array().is_some_and(|ids| ids.iter().any(&is_wanted))))
}
