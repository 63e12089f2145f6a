//! Lists at endpoints that this crate does not model, with the vendor's own paging.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::decode;
use crate::error::Error;
use crate::list_changes::ListChanges;
use crate::operation::Operation;
use crate::page::{Items, List, ListPage, Pages, Position, Sealed, UnexpectedPage, key};
use crate::request::Request;
use crate::response::Response;

/// The page type of a vendor, as the response of a [`RawList`]: `fixably::Page<T>`, `fentu::Page<T>`, `fisikal::Page<T>`.
pub trait RawPage: ListPage<Item: Send + 'static> + DeserializeOwned {
    /// The names of the parameters that select a page.
    #[doc(hidden)]
    const PARAMETERS: &'static [&'static str];

    /// Adds the parameters that select the page at this position.
    ///
    /// # Errors
    ///
    /// If these parameters cannot be added to the others, with the reason.
    #[doc(hidden)]
    fn select(query: &mut Vec<(String, String)>, position: Position) -> Result<(), &'static str>;
}

/// A list at an endpoint that this crate does not model. Made by [`RawRequest::list`](crate::RawRequest::list).
///
/// It is paged as the vendor pages its other lists, and has all that those have: streams of pages and items, prefetch, cursors,
/// and what changed in the meantime.
///
/// # Example
///
/// ```
/// # use http::Method;
/// use serde_json::Value;
/// use servicebay::fixably::Page;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
/// # let server = MockServer::builder().in_memory();
/// # let client = server.client_builder(TokenKind::AdminAll).build()?;
/// let request = client.request(Method::GET, "orders").query("expand", "items").query("limit", 10);
/// let mut orders = request.list::<Page<Value>>()?.keyed_by(|order| order["id"].as_u64()).items().prefetch(2);
/// let mut ids = Vec::new();
/// while let Some(order) = orders.try_next().await? {
///     ids.extend(order["id"].as_u64());
/// }
/// # assert!(ids.len() > 10);
/// # Ok(()) }
/// ```
pub struct RawList<P: RawPage> {
    request: Request,
    position: Position,
    key: KeyOf<P::Item>,
}

/// What identifies an item.
type KeyOf<T> = Arc<dyn Fn(&T) -> Option<u64> + Send + Sync>;

impl<P: RawPage> RawList<P> {
    pub(crate) fn new(mut request: Request) -> Result<Self, Error> {
        let query = request.query_pairs();
        if let Some(name) = P::PARAMETERS.iter().find(|known| query.iter().any(|(name, _)| name == **known)) {
            request.refuse(*name, "is set by the list: use `starting_at`");
        }
        request.check()?;
        Ok(Self { request, position: Position::Start, key: Arc::new(|_| None) })
    }

    /// Starts at this position. Default: the vendor's first page, of the vendor's size.
    #[must_use]
    pub fn starting_at(mut self, position: Position) -> Self {
        self.position = position;
        self
    }

    /// Says what identifies an item, such as its id; `None` for an item without one. Without it, an item that a change of the list moves to a later page is yielded
    /// twice, and nothing notices items that are skipped.
    #[must_use]
    pub fn keyed_by<K: fmt::Display>(mut self, id: impl Fn(&P::Item) -> Option<K> + Send + Sync + 'static) -> Self {
        self.key = Arc::new(move |item| id(item).map(key));
        self
    }

    /// Every page of the list, as a stream that fetches pages as it needs them.
    pub fn pages(self) -> Pages<Self> {
        Pages::new(self)
    }

    /// Every item of the list, as a stream that fetches pages as it needs them.
    pub fn items(self) -> Items<Self> {
        Items::new(self)
    }

    /// The request of one page.
    fn page(&self) -> Request {
        let mut request = self.request.again();
        let mut query = request.query_pairs();
        match P::select(&mut query, self.position) {
            Ok(()) => request.set_query_pairs(&query),
            Err(reason) => request.refuse("position", reason),
        }
        request
    }
}

impl<P: RawPage> Clone for RawList<P> {
    fn clone(&self) -> Self {
        Self { request: self.request.again(), position: self.position, key: Arc::clone(&self.key) }
    }
}

impl<P: RawPage> fmt::Debug for RawList<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawList")
            .field("request", &self.request)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl<P: RawPage> Sealed for RawList<P> {}

impl<P: RawPage> List for RawList<P> {
    type Page = P;
    type Item = P::Item;

    fn operation(&self) -> &'static Operation {
        self.request.operation()
    }

    fn fingerprint(&self) -> u64 {
        self.request.fingerprint()
    }

    fn position(&self) -> Position {
        self.position
    }

    fn at(self, position: Position) -> Self {
        self.starting_at(position)
    }

    fn fetch(self) -> impl Future<Output = Result<Response<P>, Error>> + Send {
        let mut request = self.page();
        request.client.bypass_cache();
        request.send(decode::content)
    }

    fn unexpected_page(self, response: &Response<P>, problem: &UnexpectedPage) -> Error {
        self.page().unexpected_response(response.metadata(), problem.to_string())
    }

    fn key(&self, item: &P::Item) -> Option<u64> {
        (self.key)(item)
    }

    fn rate_limit_headroom(&self) -> Option<u64> {
        self.request.client.room()
    }

    fn report_changes(&self, changes: ListChanges) {
        self.request.client.pipeline.telemetry.list_changed(self.operation(), changes);
    }
}
