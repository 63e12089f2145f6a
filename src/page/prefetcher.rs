//! Fetches pages concurrently and returns them in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::list::List;
use super::position::Position;
use crate::error::Error;
use crate::response::Response;

type PageResult<L> = Result<Response<<L as List>::Page>, Error>;
type NumberedFetch<L> = Pin<Box<dyn Future<Output = (u64, PageResult<L>)> + Send>>;

/// Pages in flight or fetched, the next one first. Requests make progress only while they are polled, and are canceled
/// when they are dropped: there is no task behind them.
pub(super) struct Prefetcher<L: List> {
    in_flight: FuturesUnordered<NumberedFetch<L>>,
    pages: VecDeque<FetchedPage<L>>,
    /// The number of the first of `pages`; the others count up from there.
    first_number: u64,
}

/// A page that is in flight or has been fetched.
pub(super) struct FetchedPage<L: List> {
    position: Position,
    /// Whether it was requested before it was next.
    pub(super) is_prefetched: bool,
    result: Option<PageResult<L>>,
}

impl<L: List> Prefetcher<L> {
    pub(super) fn new() -> Self {
        Self { in_flight: FuturesUnordered::new(), pages: VecDeque::new(), first_number: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    pub(super) fn first_position(&self) -> Option<Position> {
        self.pages.front().map(|page| page.position)
    }

    /// Whether a request has failed, so that no page behind it is wanted.
    pub(super) fn has_failed(&self) -> bool {
        self.pages.iter().any(|page| matches!(page.result, Some(Err(_))))
    }

    /// Starts one more request, behind the others.
    pub(super) fn push(&mut self, list: L, is_prefetched: bool, cx: &mut Context<'_>) {
        let number = self.first_number + self.pages.len() as u64;
        self.pages.push_back(FetchedPage { position: list.position(), is_prefetched, result: None });
        let mut fetch: NumberedFetch<L> = Box::pin(async move { (number, list.fetch().await) });
        // Polled here, so that it is sent before responses are decoded: `FuturesUnordered` would poll it last.
        match fetch.as_mut().poll(cx) {
            Poll::Ready((number, result)) => self.store(number, result),
            Poll::Pending => self.in_flight.push(fetch),
        }
    }

    /// Drops all pages, in flight or fetched.
    pub(super) fn clear(&mut self) {
        self.first_number += self.pages.len() as u64;
        self.pages.clear();
        self.in_flight = FuturesUnordered::new();
    }

    /// Polls every request, without waiting for any.
    pub(super) fn poll_all(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((number, result))) = Pin::new(&mut self.in_flight).poll_next(cx) {
            self.store(number, result);
        }
    }

    /// Waits for the first page and takes it. There must be one.
    ///
    /// It does not wait for the pages behind it: the sooner this one is taken, the sooner the next request is sent.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<(FetchedPage<L>, PageResult<L>)> {
        loop {
            if let Some(result) = self.pages.front_mut().and_then(|page| page.result.take()) {
                self.first_number += 1;
                return self.pages.pop_front().map_or(Poll::Pending, |page| Poll::Ready((page, result)));
            }
            match ready!(Pin::new(&mut self.in_flight).poll_next(cx)) {
                Some((number, result)) => self.store(number, result),
                None => return Poll::Pending,
            }
        }
    }

    fn store(&mut self, number: u64, result: PageResult<L>) {
        let index = number.checked_sub(self.first_number).and_then(|index| usize::try_from(index).ok());
        if let Some(page) = index.and_then(|index| self.pages.get_mut(index)) {
            page.result = Some(result);
        }
    }
}
