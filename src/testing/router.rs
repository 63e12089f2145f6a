//! Finds the operation of a request by its method and path.

use http::Method;

use super::path_template;

/// The operations of one vendor, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Router<E: 'static> {
    pub(crate) routes: &'static [Route<E>],
    ids: IdFormat,
}

/// What a path segment must look like to be an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IdFormat {
    /// Digits that fit into an `i64`.
    Number,
    /// Any text that is not empty.
    Text,
}

/// One operation: its method, its path template such as `/orders/{id}`, and the vendor's own data about it.
#[derive(Debug)]
pub(crate) struct Route<E> {
    /// The operation's name in the crate's clients, in counters and in logs.
    pub(crate) operation: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// What the operation does and what it requires.
    pub(crate) endpoint: E,
}

/// A route with the ids in its path, in order.
#[derive(Debug)]
pub(crate) struct RouteMatch<'a, E: 'static> {
    pub(crate) route: &'static Route<E>,
    pub(crate) ids: Vec<&'a str>,
}

/// Why a request has no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    /// The path has operations with these methods only.
    MethodNotAllowed(Vec<&'static str>),
    NotFound,
}

impl<E> Route<E> {
    pub(crate) const fn new(operation: &'static str, method: &'static str, path: &'static str, endpoint: E) -> Self {
        Self { operation, method, path, endpoint }
    }
}

impl<E> Router<E> {
    pub(crate) const fn new(ids: IdFormat, routes: &'static [Route<E>]) -> Self {
        Self { routes, ids }
    }

    /// Finds the operation of a method and a path. The path is relative to the vendor's base URL.
    pub(crate) fn find<'a>(&self, method: &Method, path: &'a str) -> Result<RouteMatch<'a, E>, RouteError> {
        let mut allowed = Vec::new();
        for route in self.routes {
            let ids = path_template::captures(route.path, path);
            let Some(ids) = ids.filter(|ids| ids.iter().all(|id| self.ids.accepts(id))) else { continue };
            if route.method == method.as_str() {
                return Ok(RouteMatch { route, ids });
            }
            allowed.push(route.method);
        }
        if allowed.is_empty() { Err(RouteError::NotFound) } else { Err(RouteError::MethodNotAllowed(allowed)) }
    }
}

impl<'a, E> RouteMatch<'a, E> {
    /// The first id in the path; empty if the path has none.
    pub(crate) fn id(&self) -> &'a str {
        self.ids.first().copied().unwrap_or_default()
    }

    /// The ids of a path of [`IdFormat::Number`].
    pub(crate) fn numbers(&self) -> Vec<i64> {
        self.ids.iter().map(|id| id.parse().expect("the router accepts only ids that are numbers")).collect()
    }
}

impl IdFormat {
    fn accepts(self, id: &str) -> bool {
        match self {
            Self::Number => id.bytes().all(|byte| byte.is_ascii_digit()) && id.parse::<i64>().is_ok(),
            Self::Text => !id.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static ROUTES: [Route<u8>; 3] = [
        Route::new("list", "GET", "/orders", 1),
        Route::new("create", "POST", "/orders", 2),
        Route::new("get_line", "GET", "/orders/{id}/lines/{id}", 3),
    ];
    static BY_NUMBER: Router<u8> = Router::new(IdFormat::Number, &ROUTES);
    static BY_TEXT: Router<u8> = Router::new(IdFormat::Text, &ROUTES);

    #[test]
    fn a_request_finds_its_operation_and_the_ids_in_its_path() {
        let found = BY_NUMBER.find(&Method::GET, "/orders/7/lines/8").expect("a route");
        assert_eq!((found.route.operation, found.route.endpoint, found.numbers()), ("get_line", 3, vec![7, 8]));
        let found = BY_TEXT.find(&Method::GET, "/orders/wo-7/lines/8").expect("a route");
        assert_eq!((found.id(), found.ids), ("wo-7", vec!["wo-7", "8"]));
        assert_eq!(BY_TEXT.find(&Method::GET, "/orders").expect("a route").id(), "");
    }

    #[test]
    fn an_id_in_another_format_is_no_route() {
        for path in
            ["/orders/x/lines/1", "/orders/-1/lines/1", "/orders/+1/lines/1", "/orders/99999999999999999999/lines/1"]
        {
            assert_eq!(BY_NUMBER.find(&Method::GET, path).expect_err(path), RouteError::NotFound);
        }
        assert_eq!(BY_TEXT.find(&Method::GET, "/orders//lines/1").expect_err("no id"), RouteError::NotFound);
    }

    #[test]
    fn another_method_gets_the_methods_of_the_path() {
        for (path, allowed) in [("/orders", vec!["GET", "POST"]), ("/orders/1/lines/2", vec!["GET"])] {
            let error = BY_NUMBER.find(&Method::DELETE, path).expect_err(path);
            assert_eq!(error, RouteError::MethodNotAllowed(allowed));
        }
    }
}
