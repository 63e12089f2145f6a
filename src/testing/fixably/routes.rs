//! Every operation that the vendor or a working client of it names, and no other.

use http::Method;

use super::refusal::Refusal;
use super::schema::Resource;
use crate::testing::template;

/// One operation.
#[derive(Debug)]
pub(super) struct Route {
    /// Its name in the crate's clients, in counters and in logs.
    pub(super) operation: &'static str,
    pub(super) method: &'static str,
    path: &'static str,
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

/// A route with the ids that its path held, in order.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) route: &'static Route,
    pub(super) ids: Vec<i64>,
}

/// Finds the operation of a method and a path relative to the base URL.
pub(super) fn find(method: &Method, path: &str) -> Result<Found, Refusal> {
    let mut other = None;
    for route in &ROUTES {
        let Some(ids) = route.ids(path) else { continue };
        if route.method == method.as_str() {
            return Ok(Found { route, ids });
        }
        other = Some(route.path);
    }
    match other {
        Some(path) => Err(Refusal::method_not_allowed(allowed(path))),
        None => Err(Refusal::not_found()),
    }
}

/// The `Allow` header of a path; each has one of these sets of methods.
fn allowed(path: &str) -> &'static str {
    let has = |method| ROUTES.iter().any(|route| route.path == path && route.method == method);
    match (has("GET"), has("PATCH"), has("POST"), has("PUT")) {
        (true, true, ..) => "GET, PATCH",
        (true, _, true, _) => "GET, POST",
        (true, .., true) => "GET, PUT",
        (true, ..) => "GET",
        _ => "POST",
    }
}

impl Route {
    const fn new(
        operation: &'static str,
        method: &'static str,
        path: &'static str,
        scope: &'static str,
        action: Action,
    ) -> Self {
        Self { operation, method, path, scope, action }
    }

    /// The ids in a path, or `None` if the path is not this route's.
    fn ids(&self, path: &str) -> Option<Vec<i64>> {
        let number = |segment: &str| {
            let digits = segment.bytes().all(|byte| byte.is_ascii_digit());
            segment.parse().ok().filter(|_| digits)
        };
        template::captures(self.path, path)?.into_iter().map(number).collect()
    }
}

use Action::{AddNotes, Create, Invoice, List, Read, ReadChild, Update};
use Resource::{Customer, Device, Line, Location, Note, Order, Product, Queue, Status, Store, Task, User};

// The vendor names no scope in full: these follow its pattern `{resource}:{action}`, with lines, notes and tasks under
// the orders they belong to. PATCH for lines and tasks is taken from orders.
static ROUTES: [Route; 33] = [
    Route::new("list_orders", "GET", "/orders", "orders:view", List(Order)),
    Route::new("create_order", "POST", "/orders", "orders:create", Create(Order)),
    Route::new("get_order", "GET", "/orders/{id}", "orders:view", Read(Order)),
    Route::new("update_order", "PATCH", "/orders/{id}", "orders:update", Update(Order)),
    Route::new("list_order_lines", "GET", "/orders/{id}/lines", "orders:view", List(Line)),
    Route::new("get_order_line", "GET", "/orders/{id}/lines/{id}", "orders:view", Read(Line)),
    Route::new("update_order_line", "PATCH", "/orders/{id}/lines/{id}", "orders:update", Update(Line)),
    Route::new("list_order_notes", "GET", "/orders/{id}/notes", "orders:view", List(Note)),
    Route::new("get_order_note", "GET", "/orders/{id}/notes/{id}", "orders:view", Read(Note)),
    Route::new("create_order_notes", "POST", "/orders/{id}/notes", "orders:update", AddNotes),
    Route::new("list_order_tasks", "GET", "/orders/{id}/tasks", "orders:view", List(Task)),
    Route::new("get_order_task", "GET", "/orders/{id}/tasks/{id}", "orders:view", Read(Task)),
    Route::new("update_order_task", "PATCH", "/orders/{id}/tasks/{id}", "orders:update", Update(Task)),
    Route::new("create_order_invoice", "POST", "/orders/{id}/invoice", "invoices:create", Invoice),
    Route::new("list_customers", "GET", "/customers", "customers:view", List(Customer)),
    Route::new("create_customer", "POST", "/customers", "customers:create", Create(Customer)),
    Route::new("get_customer", "GET", "/customers/{id}", "customers:view", Read(Customer)),
    Route::new("update_customer", "PUT", "/customers/{id}", "customers:update", Update(Customer)),
    Route::new("get_customer_child", "GET", "/customers/{id}/children/{id}", "customers:view", ReadChild),
    Route::new("list_devices", "GET", "/devices", "devices:view", List(Device)),
    Route::new("create_device", "POST", "/devices", "devices:create", Create(Device)),
    Route::new("get_device", "GET", "/devices/{id}", "devices:view", Read(Device)),
    Route::new("list_locations", "GET", "/locations", "locations:view", List(Location)),
    Route::new("get_location", "GET", "/locations/{id}", "locations:view", Read(Location)),
    Route::new("list_queues", "GET", "/queues", "queues:view", List(Queue)),
    Route::new("get_queue", "GET", "/queues/{id}", "queues:view", Read(Queue)),
    Route::new("list_statuses", "GET", "/statuses", "statuses:view", List(Status)),
    Route::new("get_status", "GET", "/statuses/{id}", "statuses:view", Read(Status)),
    Route::new("get_user", "GET", "/users/{id}", "users:view", Read(User)),
    Route::new("list_stores", "GET", "/stores", "stores:view", List(Store)),
    Route::new("get_store", "GET", "/stores/{id}", "stores:view", Read(Store)),
    Route::new("list_products", "GET", "/products", "products:view", List(Product)),
    Route::new("get_product", "GET", "/products/{id}", "products:view", Read(Product)),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_operations_share_a_name_or_an_address() {
        let names: BTreeSet<_> = ROUTES.iter().map(|route| route.operation).collect();
        let addresses: BTreeSet<_> = ROUTES.iter().map(|route| (route.method, route.path)).collect();
        assert_eq!((names.len(), addresses.len()), (33, 33));
    }

    #[test]
    fn a_path_gives_up_its_ids_in_order() {
        let found = find(&Method::GET, "/orders/20000010/lines/2").expect("a route");
        assert_eq!((found.route.operation, found.ids), ("get_order_line", vec![20_000_010, 2]));
    }

    #[test]
    fn paths_that_nobody_names_are_not_found() {
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
            let status = find(&Method::GET, path).expect_err(path).status.as_u16();
            assert_eq!(status, 404, "{path}");
        }
    }

    #[test]
    fn methods_that_nobody_names_are_told_the_ones_that_are() {
        for (method, path, allow) in [
            (Method::DELETE, "/orders/1", "GET, PATCH"),
            (Method::PATCH, "/customers/1", "GET, PUT"),
            (Method::POST, "/locations", "GET"),
            (Method::PUT, "/devices", "GET, POST"),
            (Method::GET, "/orders/1/invoice", "POST"),
            (Method::POST, "/orders/1/lines", "GET"),
        ] {
            assert_eq!(find(&method, path).expect_err(path), Refusal::method_not_allowed(allow), "{method} {path}");
        }
    }
}
