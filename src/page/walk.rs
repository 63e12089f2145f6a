//! The walk that is behind both streams: which page is due, which are fetched ahead of it, and what is left out.

use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use super::ahead::Ahead;
use super::changes::ListChanges;
use super::cursor::{Cursor, KEYS};
use super::ledger::{Ledger, Verdict};
use super::{List, Position};
use crate::error::Error;
use crate::response::Response;

/// Pages under way at the most, whatever the caller wants: a vendor is not to be stormed by a slip of the keyboard.
const DEEPEST: usize = 64;

pub(super) struct Walk<L: List> {
    list: L,
    /// Where the page is that is due next; nothing at the end.
    next: Option<Position>,
    /// Where pages are expected from there on, `next` first.
    plan: Vec<Position>,
    ahead: Ahead<L>,
    /// How many pages the caller wants under way.
    depth: usize,
    /// How many the plan is good for: one after it was wrong, and twice as many with each page that is where it has to be.
    trusted: usize,
    ledger: Ledger,
    /// The page that is being handed out.
    current: Option<Current>,
    begun: bool,
    over: bool,
    /// TokenErrorKind the walk cannot begin.
    problem: Option<Error>,
    /// `list.query()`, once it was asked for.
    query: OnceLock<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    position: Position,
    /// How many items it has, and how many of them are handed out or left out.
    items: u64,
    taken: u64,
}

/// A page whose turn has come.
pub(super) struct Turn<L: List> {
    pub(super) page: Response<L::Page>,
    /// The key of each item.
    pub(super) keys: Vec<Option<u64>>,
    /// Which items to leave out; empty where there are none.
    pub(super) left_out: Vec<bool>,
}

impl<L: List> Walk<L> {
    pub(super) fn new(list: L) -> Self {
        Self {
            next: Some(list.position()),
            list,
            plan: Vec::new(),
            ahead: Ahead::new(),
            depth: 1,
            trusted: usize::MAX,
            ledger: Ledger::default(),
            current: None,
            begun: false,
            over: false,
            problem: None,
            query: OnceLock::new(),
        }
    }

    pub(super) fn set_depth(&mut self, depth: usize) {
        self.depth = depth.clamp(1, DEEPEST);
    }

    /// Goes to where the cursor was taken.
    pub(super) fn resume(&mut self, cursor: &Cursor) {
        let list = &self.list;
        let fits = cursor.position.is_none_or(|position| list.clone().at(position).position() == position);
        let reason = if self.begun {
            Some("was given to a walk that has begun".to_owned())
        } else if cursor.operation != list.operation().id() {
            Some(format!("is one of {}", cursor.operation))
        } else if cursor.query != self.query() || !fits {
            Some("was taken with other parameters, or of another tenant".to_owned())
        } else {
            None
        };
        self.problem = reason.map(|reason| Error::invalid_request(list.operation().id(), "cursor", reason));
        if self.problem.is_none() {
            self.next = cursor.position;
            self.ledger = Ledger::resumed(cursor.yielded, cursor.taken, cursor.total, &cursor.keys);
        }
    }

    pub(super) fn cursor(&self) -> Cursor {
        let (position, taken) = match self.current {
            Some(page) if page.taken < page.items => (Some(page.position), page.taken),
            _ => (self.next, self.ledger.overlap()),
        };
        Cursor {
            operation: self.list.operation().id().to_owned(),
            query: self.query(),
            position,
            taken,
            yielded: self.ledger.yielded(),
            total: self.ledger.total(),
            keys: self.ledger.latest(KEYS),
        }
    }

    pub(super) fn changes(&self) -> ListChanges {
        self.ledger.changes()
    }

    pub(super) fn yielded(&self) -> u64 {
        self.ledger.yielded()
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.ledger.total()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    fn query(&self) -> u64 {
        *self.query.get_or_init(|| self.list.query())
    }

    /// Writes down that the next item of the page was handed out, or left out.
    pub(super) fn pass(&mut self, key: Option<u64>, left_out: bool) {
        if let Some(page) = &mut self.current {
            page.taken += 1;
        }
        if !left_out {
            self.ledger.hand_out(key);
        }
    }

    /// Moves on what is fetched ahead.
    pub(super) fn advance(&mut self, cx: &mut Context<'_>) {
        if !self.ahead.is_empty() {
            self.ahead.advance(cx);
        }
    }

    pub(super) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Turn<L>, Error>>> {
        self.begun = true;
        while !self.over {
            if let Some(problem) = self.problem.take() {
                return self.fail(problem);
            }
            let Some(next) = self.next else {
                self.end();
                break;
            };
            if self.ahead.position() != Some(next) {
                self.drop_ahead();
                // Before the limit is asked for its room: this one counts.
                self.ahead.push(self.list.clone().at(next), false, cx);
            }
            self.fetch_ahead(cx);
            let (fetched, answer) = ready!(self.ahead.poll_first(cx));
            let page = match answer {
                Ok(page) => page,
                // A fetch ahead of its turn moves only while somebody waits for the page before, so its time may have
                // run out while nobody did. What counts is how it goes now that it is waited for.
                Err(Error::Connect(_) | Error::RateLimited(_) | Error::Timeout(_)) if fetched.early => {
                    self.ahead.clear();
                    continue;
                }
                Err(error) => return self.fail(error),
            };
            match self.take(next, page) {
                Ok(None) => {}
                Ok(Some(turn)) => {
                    // On their way before the caller turns to this page.
                    self.fetch_ahead(cx);
                    return Poll::Ready(Some(Ok(turn)));
                }
                Err(error) => return self.fail(error),
            }
        }
        Poll::Ready(None)
    }

    /// Decides what becomes of the page that was due; nothing where another one is due first.
    fn take(&mut self, position: Position, page: Response<L::Page>) -> Result<Option<Turn<L>>, Error> {
        let list = self.list.clone().at(position);
        let after = list.after(&page)?;
        let keys = L::keys(&page);
        let left_out = match self.ledger.judge(position, &keys, L::total(&page)) {
            Verdict::Take(left_out) => left_out,
            Verdict::GoBack(back) => {
                self.next = Some(back);
                self.plan.clear();
                return Ok(None);
            }
            Verdict::Again => {
                let reason = "the vendor answered with the page before once more; going on would lose items";
                return Err(Error::invalid_request(list.operation().id(), "page", reason));
            }
            Verdict::Endless => {
                let reason = "the vendor goes on answering with items that came before; going on might never end";
                return Err(Error::invalid_request(list.operation().id(), "page", reason));
            }
        };
        self.ledger.news().tell(page.vendor(), list.operation());
        self.next = after;
        self.plan.clear();
        if let Some(after) = after
            && self.depth > 1
        {
            self.plan.push(after);
            let depth = u32::try_from(self.depth).unwrap_or(u32::MAX);
            self.plan.extend((2..=depth).map_while(|nth| list.ahead(&page, nth)));
        }
        self.trusted = self.trusted.saturating_mul(2);
        self.current = Some(Current { position, items: keys.len() as u64, taken: 0 });
        Ok(Some(Turn { page, keys, left_out }))
    }

    /// Begins as many fetches as the plan, the caller and the tenant's limit have room for.
    fn fetch_ahead(&mut self, cx: &mut Context<'_>) {
        let depth = self.depth.min(self.trusted).min(self.plan.len());
        if self.ahead.len() >= depth || depth < 2 || self.ahead.has_failed() {
            return;
        }
        // Half of it is left to the caller, who may want to call for what is on the pages.
        let mut room = self.list.room().map_or(u64::MAX, |room| room / 2);
        while let Some(position) = self.plan[..depth].get(self.ahead.len())
            && room > 0
        {
            self.ahead.push(self.list.clone().at(*position), true, cx);
            room -= 1;
        }
    }

    /// Drops what was fetched from places where no page begins.
    fn drop_ahead(&mut self) {
        if !self.ahead.is_empty() {
            self.ahead.clear();
            self.trusted = 1;
        }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Turn<L>, Error>>> {
        self.end();
        Poll::Ready(Some(Err(error)))
    }

    fn end(&mut self) {
        self.over = true;
        self.ahead.clear();
    }
}
