//! The stream of pages.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::list::{List, ListPage};
use super::paginator::{CheckedPage, Paginator};
use super::stream::list_stream;
use crate::error::Error;
use crate::response::Response;

/// A stream of the pages of a list, each with its headers and raw body.
///
/// It fetches a page when it is polled for one, or [earlier](Self::prefetch), and ends after the last page or the first
/// error.
///
/// If the list changes meanwhile, items that the stream has already yielded are removed from `items`; the raw body still has
/// them. See [`ListChanges`](crate::ListChanges).
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<L: List> {
    paginator: Paginator<L>,
}

impl<L: List> Pages<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { paginator: Paginator::new(list) }
    }
}

list_stream!(Pages, "page");

impl<L: List> Stream for Pages<L> {
    type Item = Result<Response<L::Page>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let paginator = &mut self.get_mut().paginator;
        loop {
            let CheckedPage { mut page, items } = match ready!(paginator.poll_page(cx)) {
                Some(Ok(page)) => page,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            items.iter().for_each(|item| paginator.advance_past(*item));
            if items.iter().any(|item| item.is_duplicate) {
                let mut duplicates = items.iter().map(|item| item.is_duplicate);
                page.value_mut().items_mut().retain(|_| duplicates.next() == Some(false));
                if page.items().is_empty() {
                    continue;
                }
            }
            return Poll::Ready(Some(Ok(page)));
        }
    }
}
