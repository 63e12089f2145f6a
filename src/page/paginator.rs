//! Decides which page of a list is next, which pages are fetched before their turn, and which items are duplicates.
//!
//! The page before decides where a page must start. Prefetched pages are guesses: one that turns out to start elsewhere is
//! dropped, and so is everything behind it.

use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use super::cursor::{Cursor, MAX_KEYS};
use super::deduplicator::{Deduplicator, PageDecision};
use super::list::{List, ListPage};
use super::position::Position;
use super::prefetcher::Prefetcher;
use super::unexpected_page::UnexpectedPage;
use crate::error::Error;
use crate::list_changes::ListChanges;
use crate::response::Response;

/// The most pages in flight, whatever the caller asks for: a typo must not flood the vendor.
const MAX_DEPTH: usize = 64;
/// The most empty pages in a row behind which the list goes on, if the vendor's own count says that it does. The count may be
/// wrong for good, and each page costs a request.
const MAX_EMPTY_PAGES: u32 = 10;

pub(super) struct Paginator<L: List> {
    list: L,
    /// The position of the next page; `None` at the end of the list.
    next: Option<Position>,
    /// The expected positions of the next pages, starting with `next`.
    expected: Vec<Position>,
    prefetcher: Prefetcher<L>,
    /// How many pages the caller wants in flight.
    depth: usize,
    /// How many of the `expected` positions to rely on: one after they were wrong, then twice as many with every page that
    /// starts where it should.
    reliable: usize,
    deduplicator: Deduplicator,
    /// How many empty pages came in a row.
    empty_pages: u32,
    /// The page that is being yielded.
    current: Option<PageProgress>,
    has_started: bool,
    has_ended: bool,
    /// Why the stream cannot start.
    problem: Option<Error>,
    /// `list.fingerprint()`, computed when it is first needed.
    fingerprint: OnceLock<u64>,
}

#[derive(Clone, Copy, Debug)]
struct PageProgress {
    position: Position,
    item_count: u64,
    /// How many of its items were yielded or skipped.
    taken: u64,
    /// How many of the others are duplicates.
    duplicates_left: u64,
}

/// A page that is next, with its duplicates marked.
pub(super) struct CheckedPage<L: List> {
    pub(super) page: Response<L::Page>,
    /// One for each item of the page.
    pub(super) items: Vec<CheckedItem>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedItem {
    key: Option<u64>,
    pub(super) is_duplicate: bool,
}

impl<L: List> Paginator<L> {
    pub(super) fn new(list: L) -> Self {
        let position = list.position();
        Self {
            next: Some(position),
            list,
            expected: Vec::new(),
            prefetcher: Prefetcher::new(),
            depth: 1,
            reliable: usize::MAX,
            deduplicator: Deduplicator::starting_at(position),
            empty_pages: 0,
            current: None,
            has_started: false,
            has_ended: false,
            problem: None,
            fingerprint: OnceLock::new(),
        }
    }

    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth.clamp(1, MAX_DEPTH);
    }

    pub(super) fn resume(&mut self, cursor: &Cursor) {
        let list = &self.list;
        let fits = cursor.position.is_none_or(|position| list.clone().at(position).position() == position);
        let reason = if self.has_started {
            Some("the stream has already started; call .resume(..) before the first item is read".to_owned())
        } else if cursor.operation != list.operation().id() {
            Some(format!("belongs to {}; resume it with that operation", cursor.operation))
        } else if cursor.fingerprint != self.fingerprint() || !fits {
            let reason =
                "was taken with other parameters or for another tenant; list with the same ones, or from the start";
            Some(reason.to_owned())
        } else {
            None
        };
        self.problem = reason.map(|reason| Error::invalid_request(list.operation().id(), "cursor", reason));
        if self.problem.is_none() {
            self.next = cursor.position;
            self.deduplicator = Deduplicator::resumed(cursor);
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        let (received, changes) = (self.deduplicator.received(), self.deduplicator.changes());
        let (position, taken, received, changes) = match self.current {
            Some(page) if page.taken < page.item_count => {
                let left = page.item_count - page.taken;
                let received = received.map(|received| received.saturating_sub(left));
                (Some(page.position), page.taken, received, self.deduplicator.changes_before(page.duplicates_left))
            }
            _ => (self.next, self.deduplicator.overlap(), received, changes),
        };
        Cursor {
            operation: self.list.operation().id().to_owned(),
            fingerprint: self.fingerprint(),
            position,
            taken,
            yielded: self.deduplicator.yielded(),
            total: self.deduplicator.total(),
            received,
            changes,
            keys: self.deduplicator.latest_keys(MAX_KEYS),
        }
    }

    pub(super) fn changes(&self) -> ListChanges {
        self.deduplicator.changes()
    }

    pub(super) fn yielded(&self) -> u64 {
        self.deduplicator.yielded()
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.deduplicator.total()
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| self.list.fingerprint())
    }

    /// Moves the cursor past the next item of the current page, which was yielded unless it is a duplicate.
    pub(super) fn advance_past(&mut self, item: CheckedItem) {
        if let Some(page) = &mut self.current {
            page.taken += 1;
            page.duplicates_left -= u64::from(item.is_duplicate);
        }
        if !item.is_duplicate {
            self.deduplicator.record_yielded(item.key);
        }
    }

    /// Polls the requests in flight.
    pub(super) fn poll_prefetches(&mut self, cx: &mut Context<'_>) {
        if !self.prefetcher.is_empty() {
            self.prefetcher.poll_all(cx);
        }
    }

    pub(super) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<CheckedPage<L>, Error>>> {
        self.has_started = true;
        while !self.has_ended {
            if let Some(problem) = self.problem.take() {
                return self.fail(problem);
            }
            let Some(next) = self.next else {
                self.end();
                break;
            };
            if self.prefetcher.first_position() != Some(next) {
                self.drop_wrong_guesses();
                // Before the rate limit is asked for its headroom, so that this request counts.
                self.prefetcher.push(self.list.clone().at(next), false, cx);
            }
            self.prefetch(cx);
            let (fetched, result) = ready!(self.prefetcher.poll_first(cx));
            let page = match result {
                Ok(page) => page,
                // A prefetch makes progress only while the stream is polled, so it may have run out of time while the
                // caller was busy. What counts is how the request goes now that the caller waits for it.
                Err(Error::Connect(_) | Error::RateLimited(_) | Error::Timeout(_)) if fetched.is_prefetched => {
                    self.prefetcher.clear();
                    continue;
                }
                Err(error) => return self.fail(error),
            };
            match self.check(next, page) {
                Ok(None) => {}
                Ok(Some(page)) => {
                    // Before the caller is busy with this page.
                    self.prefetch(cx);
                    return Poll::Ready(Some(Ok(page)));
                }
                Err(error) => return self.fail(error),
            }
        }
        Poll::Ready(None)
    }

    /// Marks the duplicates of the page at `position`; `None` if an earlier page must be fetched first.
    fn check(&mut self, position: Position, page: Response<L::Page>) -> Result<Option<CheckedPage<L>>, Error> {
        let unexpected = |problem| self.list.clone().at(position).unexpected_page(&page, &problem);
        let next = page.after(position).map_err(unexpected)?;
        let keys: Vec<_> = page.items().iter().map(|item| self.list.key(item)).collect();
        let duplicates = match self.deduplicator.check_page(position, &keys, page.total()) {
            PageDecision::Accept(duplicates) => duplicates,
            PageDecision::GoBack(earlier) => {
                self.next = Some(earlier);
                self.expected.clear();
                return Ok(None);
            }
            PageDecision::SamePageAgain => {
                let problem = "the vendor sent the previous page again instead of the next one";
                return Err(unexpected(UnexpectedPage::skips_items(problem)));
            }
            PageDecision::NoNewItems => {
                let problem = "the vendor keeps sending items that it has already sent, instead of new ones";
                return Err(unexpected(UnexpectedPage::never_ends(problem)));
            }
        };
        self.empty_pages = if keys.is_empty() { self.empty_pages + 1 } else { 0 };
        self.next = match next {
            None if keys.is_empty() && self.empty_pages <= MAX_EMPTY_PAGES => {
                page.after_empty(position, self.deduplicator.received(), self.deduplicator.largest_page())
            }
            next => next,
        };
        if self.next.is_none() {
            self.deduplicator.end();
        }
        let changes = self.deduplicator.latest_changes();
        if !changes.is_none() {
            self.list.report_changes(changes);
        }
        self.expected.clear();
        if let Some(next) = self.next
            && self.depth > 1
        {
            self.expected.push(next);
            let depth = u32::try_from(self.depth).unwrap_or(u32::MAX);
            self.expected.extend((2..=depth).map_while(|nth| page.ahead(position, nth)));
        }
        self.reliable = self.reliable.saturating_mul(2);
        let duplicates_left = duplicates.iter().filter(|is_duplicate| **is_duplicate).count() as u64;
        self.current = Some(PageProgress { position, item_count: keys.len() as u64, taken: 0, duplicates_left });
        let items = keys.into_iter().zip(duplicates).map(|(key, is_duplicate)| CheckedItem { key, is_duplicate });
        Ok(Some(CheckedPage { page, items: items.collect() }))
    }

    /// Starts as many requests as the expected positions, the caller and the tenant's rate limit allow.
    fn prefetch(&mut self, cx: &mut Context<'_>) {
        let depth = self.depth.min(self.reliable).min(self.expected.len());
        if self.prefetcher.len() >= depth || depth < 2 || self.prefetcher.has_failed() {
            return;
        }
        // The other half is for the caller, who may make a call for each item.
        let mut headroom = self.list.rate_limit_headroom().map_or(u64::MAX, |headroom| headroom / 2);
        while let Some(position) = self.expected[..depth].get(self.prefetcher.len())
            && headroom > 0
        {
            self.prefetcher.push(self.list.clone().at(*position), true, cx);
            headroom -= 1;
        }
    }

    /// Drops pages that were prefetched from positions at which no page starts.
    fn drop_wrong_guesses(&mut self) {
        if !self.prefetcher.is_empty() {
            self.prefetcher.clear();
            self.reliable = 1;
        }
    }

    fn fail<T>(&mut self, error: Error) -> Poll<Option<Result<T, Error>>> {
        self.end();
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) {
        self.has_ended = true;
        self.prefetcher.clear();
    }
}
