//! The operations of the API: those that the vendor names, and no others.

use http::Method;

use super::schema::Kind;
use crate::testing::router::{IdFormat, Route, RouteError, RouteMatch, Router};

/// What an operation requires and does, and what is known of it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) scope: &'static str,
    pub(super) action: Action,
    pub(super) evidence: Evidence,
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
    /// The tasks of one work order, the only list without pages.
    Tasks,
    Update(Kind),
    Warranty,
}

/// What the vendor's documentation shows of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Method and path.
    Documented,
    /// Only its name. Method and path are assumed.
    Named,
}

/// Finds the operation of a method and a path below the base URL.
pub(super) fn find<'a>(method: &Method, path: &'a str) -> Result<RouteMatch<'a, Endpoint>, RouteError> {
    // Whether an update is PUT or PATCH is unknown. Here it is PUT, as in the spec.
    ROUTER.find(method, path)
}

/// The names of the operations.
pub(super) fn operations() -> impl Iterator<Item = &'static str> {
    ROUTER.operations()
}

const fn route(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    action: Action,
    evidence: Evidence,
) -> Route<Endpoint> {
    Route::new(operation, method, path, Endpoint { scope, action, evidence })
}

static ROUTER: Router<Endpoint> = Router::new(IdFormat::Text, &ROUTES);

use Action::{AddPart, Create, Delete, List, Parts, Read, ServiceHistory, Tasks, Update, Warranty};
use Evidence::{Documented, Named};
use Kind::{Asset, Customer, Task, WorkOrder};

// The vendor documents that reading needs a `read:` scope and writing a `write:` scope. It names no scope for tasks,
// which have those of work orders here, and none for deleting, which counts as writing here.
static ROUTES: [Route<Endpoint>; 20] = [
    route("list_work_orders", "GET", "/work-orders", "read:work-orders", List(WorkOrder), Documented),
    route("create_work_order", "POST", "/work-orders", "write:work-orders", Create(WorkOrder), Named),
    route("get_work_order", "GET", "/work-orders/{id}", "read:work-orders", Read(WorkOrder), Documented),
    route("update_work_order", "PUT", "/work-orders/{id}", "write:work-orders", Update(WorkOrder), Named),
    route("delete_work_order", "DELETE", "/work-orders/{id}", "write:work-orders", Delete(WorkOrder), Named),
    route("list_work_order_tasks", "GET", "/work-orders/{id}/tasks", "read:work-orders", Tasks, Documented),
    route("get_task", "GET", "/tasks/{id}", "read:work-orders", Read(Task), Documented),
    route("list_customers", "GET", "/customers", "read:customers", List(Customer), Documented),
    route("create_customer", "POST", "/customers", "write:customers", Create(Customer), Named),
    route("get_customer", "GET", "/customers/{id}", "read:customers", Read(Customer), Documented),
    route("update_customer", "PUT", "/customers/{id}", "write:customers", Update(Customer), Named),
    route("list_assets", "GET", "/assets", "read:assets", List(Asset), Documented),
    route("create_asset", "POST", "/assets", "write:assets", Create(Asset), Named),
    route("get_asset", "GET", "/assets/{id}", "read:assets", Read(Asset), Documented),
    route("update_asset", "PUT", "/assets/{id}", "write:assets", Update(Asset), Named),
    route("delete_asset", "DELETE", "/assets/{id}", "write:assets", Delete(Asset), Named),
    route("list_asset_service_history", "GET", "/assets/{id}/service-history", "read:assets", ServiceHistory, Named),
    route("list_asset_parts", "GET", "/assets/{id}/parts", "read:assets", Parts, Named),
    route("add_asset_part", "POST", "/assets/{id}/parts", "write:assets", AddPart, Named),
    route("get_asset_warranty", "GET", "/assets/{id}/warranty", "read:assets", Warranty, Named),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::Confidence;
    use crate::fentu::operations;

    #[test]
    fn server_and_client_have_the_same_operations() {
        let own: BTreeMap<_, _> = ROUTES
            .iter()
            .map(|route| {
                let Endpoint { scope, evidence, .. } = route.endpoint;
                (route.operation, (route.method, vec![scope], evidence == Documented))
            })
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
    fn a_path_yields_its_id_in_any_format() {
        for id in ["wo-12345", "12345", "WO%2F1"] {
            let path = format!("/work-orders/{id}/tasks");
            assert_eq!(find(&Method::GET, &path).expect("a route").id(), id);
        }
    }

    #[test]
    fn unknown_paths_are_not_found() {
        for path in ["", "/", "/work-orders/", "/tasks", "/technicians", "/work-orders/1/tasks/1", "/assets//parts"] {
            assert_eq!(find(&Method::GET, path).expect_err(path).allowed, [""; 0], "{path}");
        }
    }

    #[test]
    fn unknown_methods_are_refused() {
        for (method, path, allowed) in [
            (Method::DELETE, "/customers/cust-001", vec!["GET", "PUT"]),
            (Method::POST, "/work-orders/wo-10001/tasks", vec!["GET"]),
            (Method::PUT, "/tasks/task-001", vec!["GET"]),
            (Method::PATCH, "/tasks/task-001", vec!["GET"]),
        ] {
            assert_eq!(find(&method, path).expect_err(path).allowed, allowed, "{method} {path}");
        }
    }

    #[test]
    fn an_update_is_a_put() {
        let found = find(&Method::PUT, "/assets/asset-001").expect("a route");
        assert_eq!(found.route.operation, "update_asset");
        let refused = find(&Method::PATCH, "/assets/asset-001").expect_err("no route");
        assert_eq!(refused.allowed, ["GET", "PUT", "DELETE"]);
    }
}
