//! The stream of items.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures_core::Stream;

use super::list::{List, ListPage};
use super::paginator::{CheckedItem, CheckedPage, Paginator};
use super::stream::list_stream;
use crate::error::Error;

/// A stream of the items of a list, across all its pages.
///
/// It fetches the next page after the last item of the current one was yielded, or [earlier](Self::prefetch), and ends after
/// the last item or the first error.
///
/// If the list changes meanwhile, the stream skips items that it has already yielded, and goes back for items that it would
/// have missed. See [`ListChanges`](crate::ListChanges).
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let mut orders = client.list_orders().limit(20).items().prefetch(4);
/// while let Some(order) = orders.try_next().await? {
///     println!("{:?}, of {:?}", order.id(), orders.total());
/// }
/// assert!(orders.changes().is_none());
/// # Ok(()) }
/// ```
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<L: List> {
    paginator: Paginator<L>,
    /// What is left of the current page.
    items: vec::IntoIter<L::Item>,
    /// One for each of `items`.
    checked: vec::IntoIter<CheckedItem>,
}

impl<L: List> Items<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { paginator: Paginator::new(list), items: Vec::new().into_iter(), checked: Vec::new().into_iter() }
    }

    /// Takes the next item from the current page.
    fn take_buffered(&mut self) -> Option<L::Item> {
        self.skip_duplicates();
        let item = self.items.next()?;
        if let Some(checked) = self.checked.next() {
            self.paginator.advance_past(checked);
        }
        // At once, so that the cursor never points at items that will not be yielded.
        self.skip_duplicates();
        Some(item)
    }

    fn skip_duplicates(&mut self) {
        while let Some(checked) = self.checked.as_slice().first().copied().filter(|checked| checked.is_duplicate) {
            self.checked.next();
            self.items.next();
            self.paginator.advance_past(checked);
        }
    }
}

list_stream!(Items, "item");

impl<L: List> Stream for Items<L> {
    type Item = Result<L::Item, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.take_buffered() {
                this.paginator.poll_prefetches(cx);
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(this.paginator.poll_page(cx)) {
                Some(Ok(CheckedPage { page, items })) => {
                    this.items = page.into_inner().into_items().into_iter();
                    this.checked = items.into_iter();
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}
