//! Finds the operation of a request by its method and path.

use http::Method;

use super::path_template;
use super::similar_names::distance;

/// The most operations that a message lists.
const SIMILAR: usize = 3;

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
pub(crate) struct RouteError {
    /// The methods of the operations that the path has; empty if it has none.
    pub(crate) allowed: Vec<&'static str>,
    /// A sentence that names the method, the path, and what is there instead.
    pub(crate) message: String,
}

impl RouteError {
    /// The error for a path that is not below the path of the base URL.
    pub(crate) fn outside(method: &Method, path: &str, base: &str) -> Self {
        let message = format!("There is no operation `{method} {path}`: the API begins at `{base}`.");
        Self { allowed: Vec::new(), message }
    }
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

    /// The names of the operations.
    pub(crate) fn operations(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|route| route.operation)
    }

    /// Finds the operation of a method and a path. The path is relative to the vendor's base URL.
    pub(crate) fn find<'a>(&self, method: &Method, path: &'a str) -> Result<RouteMatch<'a, E>, RouteError> {
        let mut allowed = Vec::new();
        let mut other_ids = None;
        for route in self.routes {
            let Some(ids) = path_template::captures(route.path, path) else { continue };
            if !ids.iter().all(|id| self.ids.accepts(id)) {
                // Preferably that of the request's method.
                if route.method == method.as_str() || other_ids.is_none() {
                    other_ids = Some(route);
                }
            } else if route.method == method.as_str() {
                return Ok(RouteMatch { route, ids });
            } else {
                allowed.push(route.method);
            }
        }
        let reason = match (allowed.as_slice(), other_ids) {
            ([], None) => self.nearest(path),
            ([], Some(route)) => format!(": an id in `{} {}` {}", route.method, route.path, self.ids.rule()),
            (allowed, _) => format!(": this path supports {}", allowed.join(", ")),
        };
        Err(RouteError { allowed, message: format!("There is no operation `{method} {path}`{reason}.") })
    }

    /// The operations whose paths are most like this one, as the rest of a sentence.
    fn nearest(&self, path: &str) -> String {
        // An id may be any text, so a segment in braces stands for the one at its place.
        let filled = |template: &str| {
            let mut segments = path.split('/');
            let parts = template.split('/').map(|part| match segments.next() {
                Some(segment) if part.starts_with('{') => segment.to_owned(),
                _ => part.to_owned(),
            });
            parts.collect::<Vec<_>>().join("/")
        };
        let ranked = self.routes.iter().map(|route| (distance(path, &filled(route.path)), route));
        let mut ranked: Vec<_> = ranked.filter(|(distance, _)| *distance <= path.len() / 2).collect();
        ranked.sort_by_key(|(distance, _)| *distance);
        let names = ranked.iter().take(SIMILAR).map(|(_, route)| format!("`{} {}`", route.method, route.path));
        let names: Vec<_> = names.collect();
        if names.is_empty() { String::new() } else { format!(". Similar: {}", names.join(", ")) }
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

    /// What the ids are, as the end of a sentence.
    fn rule(self) -> &'static str {
        match self {
            Self::Number => "has to be a number",
            Self::Text => "must not be empty",
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

    fn refused(router: &Router<u8>, method: Method, path: &str) -> RouteError {
        router.find(&method, path).map(|found| found.route.operation).expect_err(path)
    }

    #[test]
    fn an_id_in_another_format_is_no_route() {
        for path in
            ["/orders/x/lines/1", "/orders/-1/lines/1", "/orders/+1/lines/1", "/orders/99999999999999999999/lines/1"]
        {
            let message = format!(
                "There is no operation `GET {path}`: an id in `GET /orders/{{id}}/lines/{{id}}` has to be a number."
            );
            assert_eq!(refused(&BY_NUMBER, Method::GET, path), RouteError { allowed: vec![], message });
        }
        let message = refused(&BY_TEXT, Method::GET, "/orders//lines/1").message;
        assert!(message.ends_with("an id in `GET /orders/{id}/lines/{id}` must not be empty."), "{message}");
    }

    #[test]
    fn another_method_gets_the_methods_of_the_path() {
        for (path, allowed) in [("/orders", vec!["GET", "POST"]), ("/orders/1/lines/2", vec!["GET"])] {
            let error = refused(&BY_NUMBER, Method::DELETE, path);
            let methods = allowed.join(", ");
            assert_eq!(error.message, format!("There is no operation `DELETE {path}`: this path supports {methods}."));
            assert_eq!(error.allowed, allowed);
        }
    }

    #[test]
    fn an_unknown_path_gets_the_operations_that_are_like_it() {
        for (path, similar) in [
            ("/order", ". Similar: `GET /orders`, `POST /orders`."),
            ("/orders/7/line/8", ". Similar: `GET /orders/{id}/lines/{id}`."),
            ("/a", "."),
            ("", "."),
        ] {
            let message = refused(&BY_NUMBER, Method::GET, path).message;
            assert_eq!(message, format!("There is no operation `GET {path}`{similar}"));
        }
    }

    #[test]
    fn a_path_outside_of_the_api_gets_the_place_where_it_begins() {
        let error = RouteError::outside(&Method::GET, "/orders", "/api/v3");
        assert_eq!(error.message, "There is no operation `GET /orders`: the API begins at `/api/v3`.");
        assert!(error.allowed.is_empty());
    }
}
