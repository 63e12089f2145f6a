//! Walks a list page by page, or item by item.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::error::Error;
use crate::response::Response;

pub(crate) use self::sealed::Sealed;

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

    /// Fetches the page that this operation names.
    fn fetch(self) -> impl Future<Output = Result<Response<Self::Page>, Error>> + Send;

    /// The operation that names the page after `page`, or nothing after the last.
    ///
    /// # Errors
    ///
    /// Where the vendor answered with another page than was asked for: going on would lose items, or never end.
    fn after(self, page: &Self::Page) -> Result<Option<Self>, Error>;

    /// The items of a page.
    fn into_items(page: Self::Page) -> Vec<Self::Item>;
}

/// A stream of pages, each with its headers and raw body.
///
/// Fetches a page when it is asked for one, and ends after the last page or the first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct Pages<L: List> {
    state: State<L>,
}

enum State<L: List> {
    Ready(L),
    Fetching(Fetch<L>),
    Ended,
}

type Fetch<L> = Pin<Box<dyn Future<Output = Result<(Response<<L as List>::Page>, Option<L>), Error>> + Send>>;

impl<L: List> Pages<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { state: State::Ready(list) }
    }
}

async fn fetch<L: List>(list: L) -> Result<(Response<L::Page>, Option<L>), Error> {
    let page = list.clone().fetch().await?;
    let next = list.after(&page)?;
    Ok((page, next))
}

// The only thing pinned is the boxed future, which stays where it is.
impl<L: List> Unpin for Pages<L> {}

impl<L: List> Stream for Pages<L> {
    type Item = Result<Response<L::Page>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match std::mem::replace(&mut this.state, State::Ended) {
                State::Ready(list) => this.state = State::Fetching(Box::pin(fetch(list))),
                State::Fetching(mut fetching) => {
                    return Poll::Ready(Some(match fetching.as_mut().poll(cx) {
                        Poll::Ready(Ok((page, next))) => {
                            this.state = next.map_or(State::Ended, State::Ready);
                            Ok(page)
                        }
                        Poll::Ready(Err(error)) => Err(error),
                        Poll::Pending => {
                            this.state = State::Fetching(fetching);
                            return Poll::Pending;
                        }
                    }));
                }
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<L: List> fmt::Debug for Pages<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = matches!(self.state, State::Ended);
        f.debug_struct("Pages").field("ended", &ended).finish_non_exhaustive()
    }
}

/// A stream of items over all pages.
///
/// Fetches the next page when the last item of one has been taken, and ends after the last item or the first error.
#[must_use = "a stream does nothing until it is polled"]
pub struct Items<L: List> {
    pages: Pages<L>,
    page: std::vec::IntoIter<L::Item>,
}

impl<L: List> Items<L> {
    pub(crate) fn new(list: L) -> Self {
        Self { pages: Pages::new(list), page: Vec::new().into_iter() }
    }
}

// Items are handed out by value and never pinned.
impl<L: List> Unpin for Items<L> {}

impl<L: List> Stream for Items<L> {
    type Item = Result<L::Item, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.page.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(Pin::new(&mut this.pages).poll_next(cx)) {
                Some(Ok(page)) => this.page = L::into_items(page.into_inner()).into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<L: List> fmt::Debug for Items<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("at_hand", &self.page.len()).field("pages", &self.pages).finish()
    }
}
