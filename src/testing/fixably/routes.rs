//! The operations of the API: those that the vendor or a working client of it names, and no others.

use super::schema::Resource;
use crate::testing::router::{IdFormat, Route, Router};

/// What an operation requires and does.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) scope: &'static str,
    pub(super) action: Action,
}

/// What an operation does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    AddNotes,
    Create(Resource),
    Invoice,
    List(Resource),
    Read(Resource),
    ReadChild,
    Update(Resource),
}

const fn route(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    action: Action,
) -> Route<Endpoint> {
    Route::new(operation, method, path, Endpoint { scope, action })
}

/// Finds the operation of a method and a path relative to the base URL.
pub(super) static ROUTER: Router<Endpoint> = Router::new(IdFormat::Number, &ROUTES);

use Action::{AddNotes, Create, Invoice, List, Read, ReadChild, Update};
use Resource::{Customer, Device, Line, Location, Note, Order, Product, Queue, Status, Store, Task, User};

// The vendor names no scope in full. These follow its pattern `{resource}:{action}`; lines, notes and tasks have the
// scopes of their orders. PATCH for lines and tasks is assumed from orders.
static ROUTES: [Route<Endpoint>; 33] = [
    route("list_orders", "GET", "/orders", "orders:view", List(Order)),
    route("create_order", "POST", "/orders", "orders:create", Create(Order)),
    route("get_order", "GET", "/orders/{id}", "orders:view", Read(Order)),
    route("update_order", "PATCH", "/orders/{id}", "orders:update", Update(Order)),
    route("list_order_lines", "GET", "/orders/{id}/lines", "orders:view", List(Line)),
    route("get_order_line", "GET", "/orders/{id}/lines/{id}", "orders:view", Read(Line)),
    route("update_order_line", "PATCH", "/orders/{id}/lines/{id}", "orders:update", Update(Line)),
    route("list_order_notes", "GET", "/orders/{id}/notes", "orders:view", List(Note)),
    route("get_order_note", "GET", "/orders/{id}/notes/{id}", "orders:view", Read(Note)),
    route("create_order_notes", "POST", "/orders/{id}/notes", "orders:update", AddNotes),
    route("list_order_tasks", "GET", "/orders/{id}/tasks", "orders:view", List(Task)),
    route("get_order_task", "GET", "/orders/{id}/tasks/{id}", "orders:view", Read(Task)),
    route("update_order_task", "PATCH", "/orders/{id}/tasks/{id}", "orders:update", Update(Task)),
    route("create_order_invoice", "POST", "/orders/{id}/invoice", "invoices:create", Invoice),
    route("list_customers", "GET", "/customers", "customers:view", List(Customer)),
    route("create_customer", "POST", "/customers", "customers:create", Create(Customer)),
    route("get_customer", "GET", "/customers/{id}", "customers:view", Read(Customer)),
    route("update_customer", "PUT", "/customers/{id}", "customers:update", Update(Customer)),
    route("get_customer_child", "GET", "/customers/{id}/children/{id}", "customers:view", ReadChild),
    route("list_devices", "GET", "/devices", "devices:view", List(Device)),
    route("create_device", "POST", "/devices", "devices:create", Create(Device)),
    route("get_device", "GET", "/devices/{id}", "devices:view", Read(Device)),
    route("list_locations", "GET", "/locations", "locations:view", List(Location)),
    route("get_location", "GET", "/locations/{id}", "locations:view", Read(Location)),
    route("list_queues", "GET", "/queues", "queues:view", List(Queue)),
    route("get_queue", "GET", "/queues/{id}", "queues:view", Read(Queue)),
    route("list_statuses", "GET", "/statuses", "statuses:view", List(Status)),
    route("get_status", "GET", "/statuses/{id}", "statuses:view", Read(Status)),
    route("get_user", "GET", "/users/{id}", "users:view", Read(User)),
    route("list_stores", "GET", "/stores", "stores:view", List(Store)),
    route("get_store", "GET", "/stores/{id}", "stores:view", Read(Store)),
    route("list_products", "GET", "/products", "products:view", List(Product)),
    route("get_product", "GET", "/products/{id}", "products:view", Read(Product)),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;

    use super::*;
    use crate::testing::router::RouteMatch;

    fn find<'a>(method: &Method, path: &'a str) -> Result<RouteMatch<'a, Endpoint>, Vec<&'static str>> {
        ROUTER.find(method, path).map_err(|reason| reason.allowed)
    }

    #[test]
    fn no_two_operations_share_a_name_or_a_path() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let paths: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), paths.len()), (33, 33));
    }

    #[test]
    fn a_path_yields_its_ids_in_order() {
        let found = find(&Method::GET, "/orders/20000010/lines/2").expect("a route");
        assert_eq!((found.route.operation, found.numbers()), ("get_order_line", vec![20_000_010, 2]));
    }

    #[test]
    fn unknown_paths_are_not_found() {
        for path in [
            "",
            "/",
            "/orders/",
            "/orders/x",
            "/orders/-1",
            "/orders/+1",
            "/orders/1.json",
            "/orders/99999999999999999999",
            "/users",
            "/invoices",
            "/customers/1/children",
            "/locations/1/deliveries",
            "/orders/1/lines/1/product",
            "//orders",
        ] {
            assert_eq!(find(&Method::GET, path).expect_err(path), [""; 0], "{path}");
        }
    }

    #[test]
    fn unknown_methods_get_the_allowed_ones() {
        for (method, path, allow) in [
            (Method::DELETE, "/orders/1", vec!["GET", "PATCH"]),
            (Method::PATCH, "/customers/1", vec!["GET", "PUT"]),
            (Method::POST, "/locations", vec!["GET"]),
            (Method::PUT, "/devices", vec!["GET", "POST"]),
            (Method::GET, "/orders/1/invoice", vec!["POST"]),
            (Method::POST, "/orders/1/lines", vec!["GET"]),
        ] {
            assert_eq!(find(&method, path).expect_err(path), allow, "{method} {path}");
        }
    }
}
