//! Pages on their way: fetched side by side, taken in order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::{List, Position};
use crate::error::Error;
use crate::response::Response;

type Answer<L> = Result<Response<<L as List>::Page>, Error>;
type Fetch<L> = Pin<Box<dyn Future<Output = (u64, Answer<L>)> + Send>>;

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
    answer: Option<Answer<L>>,
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

    /// Begins one more fetch, behind those that are there; it is sent with the next poll.
    pub(super) fn push(&mut self, list: L, early: bool) {
        let number = self.first + self.pages.len() as u64;
        self.pages.push_back(Fetched { position: list.position(), early, answer: None });
        self.running.push(Box::pin(async move { (number, list.fetch().await) }));
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
            let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
            if let Some(page) = place.and_then(|place| self.pages.get_mut(place)) {
                page.answer = Some(answer);
            }
        }
    }

    /// The page that is due next, once it has come. Must not be asked while nothing is under way.
    pub(super) fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<(Fetched<L>, Answer<L>)> {
        self.advance(cx);
        let come = |page: &mut Fetched<L>| page.answer.take().map_or(Poll::Pending, Poll::Ready);
        let answer = ready!(self.pages.front_mut().map_or(Poll::Pending, come));
        self.first += 1;
        match self.pages.pop_front() {
            Some(page) => Poll::Ready((page, answer)),
            None => Poll::Pending,
        }
    }
}
