//! Item by item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::walk::Walk;
use super::{Cursor, List, ListChanges};
use crate::error::Error;

/// A stream of items over all pages.
///
/// Fetches the next page when the last item of one has been taken, or [ahead](Self::prefetch), and ends after the last item or
/// the first error.
///
/// When the list changes during the walk, items that come again are left out, and what would have been skipped is gone
/// back for. See [`ListChanges`].
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
/// use futures_util::TryStreamExt;
///
/// let mut orders = client.list_orders().limit(20).items().prefetch(4);
/// while let Some(order) = orders.try_next().await? {
///     println!("{:?}, of {:?}", order.id(), orders.total());
/// }
/// assert!(orders.changes().is_none());
/// # Ok(()) }
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<L: List> {
    walk: Walk<L>,
    page: std::vec::IntoIter<L::Item>,
    keys: std::vec::IntoIter<Option<u64>>,
    left_out: std::vec::IntoIter<bool>,
}

impl<L: List> Items<L> {
    pub(crate) fn new(list: L) -> Self {
        Self {
            walk: Walk::new(list),
            page: Vec::new().into_iter(),
            keys: Vec::new().into_iter(),
            left_out: Vec::new().into_iter(),
        }
    }

    /// Fetches up to `depth` pages at once; see [`Pages::prefetch`](crate::Pages::prefetch).
    pub fn prefetch(mut self, depth: usize) -> Self {
        self.walk.set_depth(depth);
        self
    }

    /// Goes on where a walk over the same list was when this cursor was taken: with the item after the last that was
    /// handed out.
    ///
    /// A cursor of another operation, of other parameters or of another tenant is refused: the stream gives
    /// [`Error::InvalidRequest`] and ends. So is one that comes after the first item was asked for.
    pub fn resume(mut self, cursor: Cursor) -> Self {
        self.walk.resume(&cursor);
        self
    }

    /// Where the walk is: behind the last item that was handed out. After an error, too.
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

    /// The next item of the page at hand.
    fn at_hand(&mut self) -> Option<L::Item> {
        self.leave_out();
        let item = self.page.next()?;
        self.walk.pass(self.keys.next().flatten(), false);
        self.left_out.next();
        // At once, so that the cursor is not before items that nobody gets.
        self.leave_out();
        Some(item)
    }

    fn leave_out(&mut self) {
        while self.left_out.as_slice().first() == Some(&true) {
            self.left_out.next();
            self.page.next();
            self.walk.pass(self.keys.next().flatten(), true);
        }
    }
}

// Items are handed out by value and never pinned.
impl<L: List> Unpin for Items<L> {}

impl<L: List> Stream for Items<L> {
    type Item = Result<L::Item, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.at_hand() {
                this.walk.advance(cx);
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(this.walk.poll_page(cx)) {
                Some(Ok(turn)) => {
                    this.page = L::into_items(turn.page.into_inner()).into_iter();
                    this.keys = turn.keys.into_iter();
                    this.left_out = turn.left_out.into_iter();
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<L: List> fmt::Debug for Items<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("at_hand", &self.page.len())
            .field("ended", &self.walk.is_over())
            .finish_non_exhaustive()
    }
}
