//! What an operation and its response contribute to pagination.

use std::future::Future;

pub(crate) use self::sealed::Sealed;
use super::position::Position;
use super::unexpected_page::UnexpectedPage;
use crate::error::Error;
use crate::list_changes::ListChanges;
use crate::operation::Operation;
use crate::response::Response;

mod sealed {
    /// Keeps a trait from being implemented outside this crate, so that methods can be added to it.
    #[expect(unnameable_types, reason = "being unnameable is what seals a trait")]
    pub trait Sealed {}
}

/// A list operation, which [`Pages`](crate::Pages) and [`Items`](crate::Items) paginate. The builder of each list operation
/// implements it; the trait is sealed.
pub trait List: Sealed + Clone + Send + 'static {
    /// One page, as the vendor sends it.
    type Page: ListPage<Item = Self::Item>;
    /// What the pages hold.
    type Item: Send + 'static;

    /// The operation that lists.
    fn operation(&self) -> &'static Operation;

    /// A number that identifies the list: vendor, tenant and every parameter except the position. Stable across processes.
    fn fingerprint(&self) -> u64;

    /// The position of the page that this builder requests.
    fn position(&self) -> Position;

    /// The same list, at another position.
    fn at(self, position: Position) -> Self;

    /// Fetches the page at [`position`](Self::position).
    fn fetch(self) -> impl Future<Output = Result<Response<Self::Page>, Error>> + Send;

    /// The error of a response to [`fetch`](Self::fetch) whose page is not the one at [`position`](Self::position).
    fn unexpected_page(self, response: &Response<Self::Page>, problem: &UnexpectedPage) -> Error;

    /// A number that identifies an item, made from its id and stable across processes; `None` if the item has no id.
    fn key(&self, item: &Self::Item) -> Option<u64>;

    /// How many calls the tenant's rate limit allows right now; `None` if that is unknown.
    fn rate_limit_headroom(&self) -> Option<u64>;

    /// Reports what one page showed of changes to the list, as an event and to the client's observer.
    fn report_changes(&self, changes: ListChanges);
}

/// One page of a [`List`]: its items, and what it says about the other pages. The page type of each vendor implements it;
/// the trait is sealed.
pub trait ListPage: Sealed + Send + 'static {
    /// What the page holds.
    type Item;

    /// The position of the next page, given the position at which this one was requested; `None` after the last page, and after
    /// an empty one.
    ///
    /// # Errors
    ///
    /// [`UnexpectedPage`] if the vendor sent another page than was requested.
    fn after(&self, requested: Position) -> Result<Option<Position>, UnexpectedPage>;

    /// The position after the `requested` one, if this page is empty although the vendor's own count says that items follow.
    ///
    /// `received` is the number of items up to here, if it is known, and `page_size` that of the largest page so far.
    fn after_empty(&self, requested: Position, received: Option<u64>, page_size: u64) -> Option<Position>;

    /// The expected position of the `nth` page after this one, if all pages are like this one. `None` beyond the end of
    /// the list, or if the vendor does not send a total.
    fn ahead(&self, requested: Position, nth: u32) -> Option<Position>;

    /// The number of items in the whole list, if the vendor sends it.
    fn total(&self) -> Option<u64>;

    /// The items.
    fn items(&self) -> &[Self::Item];

    /// The items, to be changed in place.
    fn items_mut(&mut self) -> &mut Vec<Self::Item>;

    /// The items, without the page around them.
    fn into_items(mut self) -> Vec<Self::Item>
    where
        Self: Sized,
    {
        std::mem::take(self.items_mut())
    }
}
