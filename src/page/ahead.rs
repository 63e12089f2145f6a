//! Pages on their way: fetched side by side, taken in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::{List, Position};
use crate::error::Error;
use crate::response::Response;

type PageResult<L> = Result<Response<<L as List>::Page>, Error>;
type Fetch<L> = Pin<Box<dyn Future<Output = (u64, PageResult<L>)> + Send>>;

/// Fetches under way, first the one that is due next. They move only when they are polled, and end when they are
/// dropped: there is no task behind them.
pub(super) struct Ahead<L: List> {
    running: FuturesUnordered<Fetch<L>>,
    pages: VecDeque<Fetched<L>>,
    /// The number of the first of `pages`; those behind it count on from there.
    first: u64,
}

/// A page that is under way or has come.
pub(super) struct Fetched<L: List> {
    pub(super) position: Position,
    /// Whether it was fetched before its turn.
    pub(super) early: bool,
    answer: Option<PageResult<L>>,
}

impl<L: List> Ahead<L> {
    pub(super) fn new() -> Self {
        Self { running: FuturesUnordered::new(), pages: VecDeque::new(), first: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Where the page begins that is due next.
    pub(super) fn position(&self) -> Option<Position> {
        self.pages.front().map(|page| page.position)
    }

    /// Whether a fetch has failed, so that nothing behind it is wanted.
    pub(super) fn has_failed(&self) -> bool {
        self.pages.iter().any(|page| matches!(page.answer, Some(Err(_))))
    }

    /// Sends one more fetch, behind those that are there.
    pub(super) fn push(&mut self, list: L, early: bool, cx: &mut Context<'_>) {
        let number = self.first + self.pages.len() as u64;
        self.pages.push_back(Fetched { position: list.position(), early, answer: None });
        let mut fetch: Fetch<L> = Box::pin(async move { (number, list.fetch().await) });
        // It leaves before pages are read that have come: among the others it would be the last to move.
        match fetch.as_mut().poll(cx) {
            Poll::Ready((number, answer)) => self.arrive(number, answer),
            Poll::Pending => self.running.push(fetch),
        }
    }

    /// Drops all that is under way or has come.
    pub(super) fn clear(&mut self) {
        self.first += self.pages.len() as u64;
        self.pages.clear();
        self.running = FuturesUnordered::new();
    }

    /// Moves every fetch on, without waiting for any.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((number, answer))) = Pin::new(&mut self.running).poll_next(cx) {
            self.arrive(number, answer);
        }
    }

    /// The page that is due next, once it has come. Must not be asked while nothing is under way.
    ///
    /// Pages behind it that have come too are left for later: the sooner this one is taken, the sooner the next is sent for.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<(Fetched<L>, PageResult<L>)> {
        loop {
            if let Some(answer) = self.pages.front_mut().and_then(|page| page.answer.take()) {
                self.first += 1;
                return self.pages.pop_front().map_or(Poll::Pending, |page| Poll::Ready((page, answer)));
            }
            match ready!(Pin::new(&mut self.running).poll_next(cx)) {
                Some((number, answer)) => self.arrive(number, answer),
                None => return Poll::Pending,
            }
        }
    }

    fn arrive(&mut self, number: u64, answer: PageResult<L>) {
        let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        if let Some(page) = place.and_then(|place| self.pages.get_mut(place)) {
            page.answer = Some(answer);
        }
    }
}
