//! Every operation that the vendor names, and no other.

use http::Method;

use super::refusal::Refusal;
use super::schema::Kind;
use crate::testing::template;

/// One operation.
#[derive(Debug)]
pub(super) struct Route {
    /// Its name in the crate's clients, in counters and in logs.
    pub(super) operation: &'static str,
    method: &'static str,
    path: &'static str,
    pub(super) scope: &'static str,
    pub(super) action: Action,
    pub(super) known: Known,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    AddPart,
    Create(Kind),
    Delete(Kind),
    List(Kind),
    Parts,
    Read(Kind),
    ServiceHistory,
    /// The tasks of one work order: the list without pages.
    Tasks,
    Update(Kind),
    Warranty,
}

/// How much of an operation the vendor's pages show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Its name: method and path are a guess.
    ByName,
    Whole,
}

/// A route with the id that its path held, if it has a place for one.
#[derive(Debug)]
pub(super) struct Found<'a> {
    pub(super) route: &'static Route,
    pub(super) id: &'a str,
}

/// Finds the operation of a method and a path below the base URL.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<Found<'a>, Refusal> {
    // Which of the two updates is unknown; both do.
    let method = if method == Method::PATCH { "PUT" } else { method.as_str() };
    let mut allowed = Vec::new();
    for route in &ROUTES {
        let Some(ids) = template::captures(route.path, path).filter(|ids| !ids.contains(&"")) else { continue };
        if route.method == method {
            return Ok(Found { route, id: ids.first().copied().unwrap_or_default() });
        }
        allowed.push(route.method);
        if route.method == "PUT" {
            allowed.push("PATCH");
        }
    }
    if allowed.is_empty() { Err(Refusal::not_found()) } else { Err(Refusal::method_not_allowed(allowed.join(", "))) }
}

const fn route(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    action: Action,
    known: Known,
) -> Route {
    Route { operation, method, path, scope, action, known }
}

use Action::{AddPart, Create, Delete, List, Parts, Read, ServiceHistory, Tasks, Update, Warranty};
use Kind::{Asset, Customer, Task, WorkOrder};
use Known::{ByName, Whole};

// That reading takes a `read:` scope and writing a `write:` one is documented. No scope is named for tasks, which here go
// with work orders, nor for deleting, which here goes with writing.
static ROUTES: [Route; 20] = [
    route("list_work_orders", "GET", "/work-orders", "read:work-orders", List(WorkOrder), Whole),
    route("create_work_order", "POST", "/work-orders", "write:work-orders", Create(WorkOrder), ByName),
    route("get_work_order", "GET", "/work-orders/{id}", "read:work-orders", Read(WorkOrder), Whole),
    route("update_work_order", "PUT", "/work-orders/{id}", "write:work-orders", Update(WorkOrder), ByName),
    route("delete_work_order", "DELETE", "/work-orders/{id}", "write:work-orders", Delete(WorkOrder), ByName),
    route("list_work_order_tasks", "GET", "/work-orders/{id}/tasks", "read:work-orders", Tasks, Whole),
    route("get_task", "GET", "/tasks/{id}", "read:work-orders", Read(Task), Whole),
    route("list_customers", "GET", "/customers", "read:customers", List(Customer), Whole),
    route("create_customer", "POST", "/customers", "write:customers", Create(Customer), ByName),
    route("get_customer", "GET", "/customers/{id}", "read:customers", Read(Customer), Whole),
    route("update_customer", "PUT", "/customers/{id}", "write:customers", Update(Customer), ByName),
    route("list_assets", "GET", "/assets", "read:assets", List(Asset), Whole),
    route("create_asset", "POST", "/assets", "write:assets", Create(Asset), ByName),
    route("get_asset", "GET", "/assets/{id}", "read:assets", Read(Asset), Whole),
    route("update_asset", "PUT", "/assets/{id}", "write:assets", Update(Asset), ByName),
    route("delete_asset", "DELETE", "/assets/{id}", "write:assets", Delete(Asset), ByName),
    route("list_asset_service_history", "GET", "/assets/{id}/service-history", "read:assets", ServiceHistory, ByName),
    route("list_asset_parts", "GET", "/assets/{id}/parts", "read:assets", Parts, ByName),
    route("add_asset_part", "POST", "/assets/{id}/parts", "write:assets", AddPart, ByName),
    route("get_asset_warranty", "GET", "/assets/{id}/warranty", "read:assets", Warranty, ByName),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Confidence;
    use crate::fentu::operations;

    #[test]
    fn the_tenant_and_the_client_know_the_same_operations() {
        let own: BTreeMap<_, _> = ROUTES
            .iter()
            .map(|route| (route.operation, (route.method, vec![route.scope], route.known == Whole)))
            .collect();
        let clients: BTreeMap<_, _> = operations::ALL
            .iter()
            .map(|operation| {
                let documented = operation.confidence() == Confidence::Documented;
                (operation.id(), (operation.method().as_str(), operation.required_scopes().to_vec(), documented))
            })
            .collect();
        assert_eq!(own, clients);
        for operation in operations::ALL {
            let path = operation.path().replace("{work_order_id}", "x-1").replace("{id}", "x-1");
            assert_eq!(find(operation.method(), &path).expect("a route").route.operation, operation.id());
        }
    }

    #[test]
    fn a_path_gives_up_its_id_whatever_it_looks_like() {
        for id in ["wo-12345", "12345", "WO%2F1"] {
            let path = format!("/work-orders/{id}/tasks");
            assert_eq!(find(&Method::GET, &path).expect("a route").id, id);
        }
    }

    #[test]
    fn paths_that_nobody_names_are_not_found() {
        for path in ["", "/", "/work-orders/", "/tasks", "/technicians", "/work-orders/1/tasks/1", "/assets//parts"] {
            assert_eq!(find(&Method::GET, path).expect_err(path).status.as_u16(), 404, "{path}");
        }
    }

    #[test]
    fn methods_that_nobody_names_are_refused() {
        for (method, path) in [
            (Method::DELETE, "/customers/cust-001"),
            (Method::POST, "/work-orders/wo-10001/tasks"),
            (Method::PUT, "/tasks/task-001"),
            (Method::DELETE, "/tasks/task-001"),
        ] {
            assert_eq!(find(&method, path).expect_err(path).status.as_u16(), 405, "{method} {path}");
        }
    }

    #[test]
    fn an_update_goes_by_either_method() {
        for method in [Method::PUT, Method::PATCH] {
            let found = find(&method, "/assets/asset-001").expect("a route");
            assert_eq!(found.route.operation, "update_asset");
        }
    }
}
