//! Walks a list page by page, or item by item.

mod ahead;
mod changes;
mod cursor;
mod fingerprint;
mod items;
mod ledger;
mod position;
mod walk;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

pub use self::changes::ListChanges;
pub use self::cursor::Cursor;
pub(crate) use self::fingerprint::{Fingerprint, key};
pub use self::items::Items;
pub(crate) use self::position::By;
pub use self::position::Position;
pub(crate) use self::sealed::Sealed;
use self::walk::{Turn, Walk};
use crate::error::Error;
use crate::operation::Operation;
use crate::response::Response;

mod sealed {
    /// Keeps a trait to this crate, so that it may grow.
    #[expect(unnameable_types, reason = "that is what seals")]
    pub trait Sealed {}
}

/// An operation that lists: what [`Pages`] and [`Items`] need to walk it. Implemented by the builders of list operations.
pub trait List: Sealed + Clone + Send + 'static {
    /// One page as the vendor answers it.
    type Page: Send + 'static;
    /// What the pages hold.
    type Item: Send + 'static;

    /// The operation.
    fn operation(&self) -> &'static Operation;

    /// A number for all that is asked for, and of whom, save the position: the same after a restart.
    fn query(&self) -> u64;

    /// Where the page is that is asked for.
    fn position(&self) -> Position;

    /// The same list at another position.
    fn at(self, position: Position) -> Self;

    /// Fetches the page that is asked for.
    fn fetch(self) -> impl Future<Output = Result<Response<Self::Page>, Error>> + Send;

    /// Where the page after `page` is, which is the one that was asked for; nothing after the last.
    ///
    /// # Errors
    ///
    /// Where the vendor answered with another page than was asked for: going on would lose items, or never end.
    fn after(&self, page: &Self::Page) -> Result<Option<Position>, Error>;

    /// Where the `nth` page after `page` will be, as far as this one tells: nothing beyond the end, or where the vendor
    /// does not say how many items there are.
    fn ahead(&self, page: &Self::Page, nth: u32) -> Option<Position>;

    /// How many items there are in all, where the vendor says.
    fn total(page: &Self::Page) -> Option<u64>;

    /// A number for the id of each item, the same after a restart; nothing for an item without an id.
    fn keys(page: &Self::Page) -> Vec<Option<u64>>;

    /// Keeps the items for which `keep` says so, called once for each in turn.
    fn retain(page: &mut Self::Page, keep: impl FnMut() -> bool);

    /// The items of a page.
    fn into_items(page: Self::Page) -> Vec<Self::Item>;

    /// How many calls the tenant's limit lets through at once, as far as it is known.
    fn room(&self) -> Option<u64>;
}

/// A stream of pages, each with its headers and raw body.
///
/// Fetches a page when it is asked for one, or [ahead](Self::prefetch), and ends after the last page or the first error.
///
/// When the list changes during the walk, items that come again are left out of `items`; the raw body keeps them. See
/// [`ListChanges`].
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<L: List> {
    walk: Walk<L>,
}

impl<L: List> Pages<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { walk: Walk::new(list) }
    }

    /// Fetches up to `depth` pages at once, once the first tells how many there are. They are handed out in order.
    ///
    /// Default 1, which 0 means too: each page is fetched when it is asked for. At most 64. Pages are fetched ahead as long
    /// as the tenant's limit has room, as far as it is known, and take half of that at most; where it is nearly spent the walk
    /// goes on page by page. Where the vendor does not say how many items there are, nothing is fetched ahead.
    ///
    /// It makes a walk faster and changes nothing else about it: a page that begins elsewhere than the one before it ends is
    /// fetched again from the right place, and an error ends the stream after the pages before it, as it would without.
    /// Dropping the stream cancels what is under way. No task is spawned: pages on their way move on while the stream is
    /// polled, so a program that takes long over each gains less.
    pub fn prefetch(mut self, depth: usize) -> Self {
        self.walk.set_depth(depth);
        self
    }

    /// Goes on where a walk over the same list was when this cursor was taken.
    ///
    /// A cursor of another operation, of other parameters or of another tenant is refused: the stream gives
    /// [`Error::InvalidRequest`] and ends. So is one that comes after the first page was asked for.
    pub fn resume(mut self, cursor: Cursor) -> Self {
        self.walk.resume(&cursor);
        self
    }

    /// Where the walk is: behind the last page that was handed out.
    pub fn cursor(&self) -> Cursor {
        self.walk.cursor()
    }

    /// What the walk noticed of changes to the list.
    pub fn changes(&self) -> ListChanges {
        self.walk.changes()
    }

    /// How many items were handed out, from the first walk on that a cursor was taken of.
    pub fn yielded(&self) -> u64 {
        self.walk.yielded()
    }

    /// How many items there are in all, as the last page told, where the vendor says.
    pub fn total(&self) -> Option<u64> {
        self.walk.total()
    }
}

// Futures are boxed, and nothing else is pinned.
impl<L: List> Unpin for Pages<L> {}

impl<L: List> Stream for Pages<L> {
    type Item = Result<Response<L::Page>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let walk = &mut self.get_mut().walk;
        loop {
            let Turn { mut page, keys, left_out } = match ready!(walk.poll_page(cx)) {
                Some(Ok(turn)) => turn,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            let mut left_out = left_out.into_iter();
            let mut kept = Vec::with_capacity(keys.len());
            for key in keys {
                let left_out = left_out.next().unwrap_or(false);
                walk.pass(key, left_out);
                kept.push(!left_out);
            }
            if kept.contains(&false) {
                let some = kept.contains(&true);
                let mut kept = kept.into_iter();
                L::retain(page.value_mut(), || kept.next().unwrap_or(true));
                if !some {
                    continue;
                }
            }
            return Poll::Ready(Some(Ok(page)));
        }
    }
}

impl<L: List> fmt::Debug for Pages<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("ended", &self.walk.is_over()).finish_non_exhaustive()
    }
}
