//! The queue of waiters, and which of them is next.
//!
//! There is a lane for each priority. The next waiter is granted a slot and must claim it within one second, because a waiter
//! that is not polled must not block the others. Until then the slot is reserved in the window.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::AcquireRequest;
use crate::priority::Priority;

/// How long one that was called may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);
/// Every so many calls the lane is next that was served longest ago.
const TURNS: u64 = 8;
const EIGHTH: u64 = TURNS - 1;
const LANES: usize = Priority::ALL.len();

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: [BTreeMap<u64, Waiter>; LANES],
    called: BTreeMap<u64, Called>,
    /// How many were called and are expected.
    expected: u64,
    /// When the first of them is no longer expected.
    expires: Option<Instant>,
    /// Whether the last that was called did not come.
    dozing: bool,
    next_ticket: u64,
    /// How many were called in their turn.
    turns: u64,
    /// At which turn each lane was last served.
    served: [u64; LANES],
}

#[derive(Debug)]
struct Waiter {
    ask: AcquireRequest,
    latest: Instant,
    /// The moment at which there is room, where that is too late.
    too_late: Option<Instant>,
    wake: Arc<Notify>,
}

#[derive(Debug)]
struct Called {
    waiter: Waiter,
    /// From when on it may go.
    at: Instant,
    /// Whether it was called out of turn, because it was there.
    instead: bool,
    /// Whether it did not come in time.
    overslept: bool,
}

/// A place in a lane.
#[derive(Debug)]
pub(in crate::limit) struct QueuePosition {
    pub(in crate::limit) ticket: u64,
    pub(in crate::limit) wake: Arc<Notify>,
}

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// It was called, and may go from this moment on. It waits at most until `latest`.
    Called { ask: AcquireRequest, at: Instant, latest: Instant },
    /// It was called and did not come in time.
    Overslept(AcquireRequest),
    /// It waits, at most until then.
    Waiting { latest: Instant },
    /// It cannot wait until there is room, which is then.
    TooLate(Instant),
}

impl Queue {
    pub(super) fn push(&mut self, ask: AcquireRequest, latest: Instant) -> QueuePosition {
        let place = QueuePosition { ticket: self.next_ticket, wake: Arc::new(Notify::new()) };
        self.next_ticket += 1;
        let waiter = Waiter { ask, latest, too_late: None, wake: Arc::clone(&place.wake) };
        self.waiting[ask.lane()].insert(place.ticket, waiter);
        place
    }

    /// How many are in a lane, those that were called included.
    pub(super) fn len(&self, lane: usize) -> usize {
        let called = self.called.values().filter(|called| called.waiter.ask.lane() == lane);
        self.waiting[lane].len() + called.count()
    }

    /// Whether anybody waits who was not called.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.iter().any(|lane| !lane.is_empty())
    }

    /// How many were called and are expected.
    pub(super) fn expected(&self) -> u64 {
        self.expected
    }

    /// When one that was called is no longer expected.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// How many will go before one that comes now, at least.
    pub(super) fn ahead(&self, lane: usize) -> u64 {
        let above = self.waiting[..lane].iter().map(BTreeMap::len).sum::<usize>() as u64;
        ahead_of(above, self.waiting[lane].len() as u64)
    }

    /// Tells all that wait how many go before them, and takes the moment at which there is room for them, where that
    /// is known. Who cannot wait for it is woken to hear so.
    pub(super) fn judge(&mut self, room: impl Fn(AcquireRequest, u64) -> Option<Instant>) {
        let mut above = 0;
        for lane in 0..LANES {
            for (waiter, own) in self.waiting[lane].values_mut().zip(0..) {
                waiter.too_late = room(waiter.ask, ahead_of(above, own)).filter(|at| *at > waiter.latest);
                if waiter.too_late.is_some() {
                    waiter.wake.notify_one();
                }
            }
            above += self.waiting[lane].len() as u64;
        }
    }

    /// How many could be called: one fits if `fits` says so with the number of those that were called before it.
    pub(super) fn fitting(&self, fits: impl Fn(AcquireRequest, u64) -> bool) -> u32 {
        let fitting = self.waiting.iter().flat_map(BTreeMap::values).zip(self.expected..);
        let fitting = fitting.filter(|(waiter, before)| fits(waiter.ask, *before)).count();
        u32::try_from(fitting).unwrap_or(u32::MAX)
    }

    /// Calls the next of those that `fits` lets go: from `at` on it may.
    pub(super) fn call(&mut self, at: Instant, fits: impl Fn(AcquireRequest) -> bool) -> bool {
        let fitting = |lane: &usize| self.waiting[*lane].values().next().is_some_and(|waiter| fits(waiter.ask));
        let mut lanes = (0..LANES).filter(fitting);
        let lane = match self.turns % TURNS {
            // Of those that were never served, the lowest.
            EIGHTH => lanes.rev().min_by_key(|lane| self.served[*lane]),
            _ => lanes.next(),
        };
        let Some((ticket, waiter)) = lane.and_then(|lane| take_first(&mut self.waiting[lane])) else {
            return false;
        };
        self.turns += 1;
        self.served[waiter.ask.lane()] = self.turns;
        self.expect(ticket, waiter, at, false);
        true
    }

    /// Calls this one, out of turn, if it waits and `fits` lets it go: those whose turn it is may be asleep, and it is here.
    pub(super) fn call_instead(&mut self, ticket: u64, at: Instant, fits: impl Fn(AcquireRequest) -> bool) {
        let found = |lane: &&mut BTreeMap<u64, Waiter>| lane.get(&ticket).is_some_and(|waiter| fits(waiter.ask));
        if !self.dozing {
            return;
        }
        if let Some(waiter) = self.waiting.iter_mut().find(found).and_then(|lane| take(lane, ticket)) {
            self.expect(ticket, waiter, at, true);
        }
    }

    /// Whether those whose turn it is seem to be asleep.
    pub(super) fn are_dozing(&self) -> bool {
        self.dozing
    }

    fn expect(&mut self, ticket: u64, waiter: Waiter, at: Instant, instead: bool) {
        waiter.wake.notify_one();
        self.called.insert(ticket, Called { waiter, at, instead, overslept: false });
        self.expected += 1;
        let expires = at + PATIENCE;
        self.expires = Some(self.expires.map_or(expires, |first| first.min(expires)));
    }

    /// One that may go goes.
    pub(super) fn go(&mut self, ticket: u64) {
        // One that was there anyway says nothing of those whose turn it was.
        if let Some(called) = self.take_called(ticket).filter(|called| !called.instead) {
            self.dozing &= called.overslept;
        }
    }

    /// Gives up those that were called and did not come.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.expires.is_none_or(|expires| now < expires) {
            return;
        }
        let mut next: Option<Instant> = None;
        for called in self.called.values_mut().filter(|called| !called.overslept) {
            let expires = called.at + PATIENCE;
            if expires <= now {
                called.overslept = true;
                self.expected -= 1;
                self.dozing = true;
            } else {
                next = Some(next.map_or(expires, |first| first.min(expires)));
            }
        }
        self.expires = next;
    }

    pub(super) fn standing(&self, ticket: u64) -> Option<Standing> {
        if let Some(called) = self.called.get(&ticket) {
            return Some(match called.overslept {
                true => Standing::Overslept(called.waiter.ask),
                false => Standing::Called { ask: called.waiter.ask, at: called.at, latest: called.waiter.latest },
            });
        }
        let waiter = self.waiting.iter().find_map(|lane| lane.get(&ticket))?;
        Some(match waiter.too_late {
            Some(moment) => Standing::TooLate(moment),
            None => Standing::Waiting { latest: waiter.latest },
        })
    }

    /// Puts one that was called back to where it was.
    pub(super) fn requeue(&mut self, ticket: u64) {
        if let Some(called) = self.take_called(ticket) {
            self.waiting[called.waiter.ask.lane()].insert(ticket, called.waiter);
        }
    }

    /// Puts all that were called back to where they were.
    pub(super) fn call_off(&mut self) {
        for (ticket, called) in std::mem::take(&mut self.called) {
            self.waiting[called.waiter.ask.lane()].insert(ticket, called.waiter);
        }
        self.expected = 0;
        self.expires = None;
    }

    /// Takes one out, whether it goes or leaves; harmless when it is not there.
    pub(super) fn remove(&mut self, ticket: u64) {
        if self.take_called(ticket).is_none() {
            for lane in &mut self.waiting {
                take(lane, ticket);
            }
        }
    }

    fn take_called(&mut self, ticket: u64) -> Option<Called> {
        let called = take(&mut self.called, ticket)?;
        if !called.overslept {
            self.expected -= 1;
        }
        if self.called.is_empty() {
            self.expires = None;
        }
        Some(called)
    }

    /// Lets all that wait look again: what they wait for has changed.
    pub(super) fn wake_all(&self) {
        for waiter in self.waiting.iter().flat_map(BTreeMap::values) {
            waiter.wake.notify_one();
        }
    }
}

/// Takes one out. A map that is empty then takes no memory any more: most tenants are idle most of the time.
fn take<T>(map: &mut BTreeMap<u64, T>, ticket: u64) -> Option<T> {
    let taken = map.remove(&ticket);
    if map.is_empty() {
        *map = BTreeMap::new();
    }
    taken
}

fn take_first<T>(map: &mut BTreeMap<u64, T>) -> Option<(u64, T)> {
    let ticket = *map.keys().next()?;
    take(map, ticket).map(|first| (ticket, first))
}

/// How many go before one at the least, where so many wait in the lanes above it and so many before it in its own.
fn ahead_of(above: u64, own: u64) -> u64 {
    (above + own).min((own + 1) * TURNS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ask(priority: Priority) -> AcquireRequest {
        AcquireRequest { priority, reserve: 0 }
    }

    /// Queue in which so many wait, the highest first, and when they do.
    fn waiting(counts: [usize; LANES]) -> (Queue, Vec<QueuePosition>, Instant) {
        let now = Instant::now();
        let mut lanes = Queue::default();
        let asks = Priority::ALL.iter().zip(counts).flat_map(|(priority, count)| vec![ask(*priority); count]);
        let places = asks.map(|ask| lanes.push(ask, now + 60 * SECOND)).collect();
        (lanes, places, now)
    }

    /// Who is called, in order.
    fn order(lanes: &mut Queue, now: Instant) -> Vec<u64> {
        std::iter::from_fn(|| {
            let before: Vec<u64> = lanes.called.keys().copied().collect();
            lanes.call(now, |_| true).then(|| *lanes.called.keys().find(|ticket| !before.contains(ticket)).unwrap())
        })
        .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_higher_lane_goes_first_and_each_in_the_order_in_which_it_came() {
        let (mut lanes, _places, now) = waiting([2, 2, 2]);
        assert_eq!(order(&mut lanes, now), [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn every_eighth_is_of_the_lane_that_was_served_longest_ago() {
        let (mut lanes, _places, now) = waiting([40, 2, 2]);
        let order = order(&mut lanes, now);
        assert_eq!([order[7], order[15], order[23], order[31]], [42, 40, 43, 41], "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_without_room_does_not_hold_up_the_others() {
        let (mut lanes, _places, now) = waiting([1, 0, 1]);
        lanes.turns = TURNS - 1;
        assert!(lanes.call(now, |ask| ask.priority != Priority::Bulk));
        assert!(!lanes.call(now, |ask| ask.priority != Priority::Bulk));
        assert_eq!((lanes.len(0), lanes.len(2)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_called_is_expected_for_a_second_and_then_given_up() {
        let (mut lanes, places, now) = waiting([0, 2, 0]);
        assert!(lanes.call(now, |_| true));
        assert_eq!((lanes.expected(), lanes.expires()), (1, Some(now + PATIENCE)));
        lanes.expire(now + PATIENCE);
        assert_eq!((lanes.expected(), lanes.expires()), (0, None));
        assert!(matches!(lanes.standing(places[0].ticket), Some(Standing::Overslept(_))));

        lanes.requeue(places[0].ticket);
        assert_eq!(order(&mut lanes, now), [0, 1], "late as it is, it is the first again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_is_expected_no_more() {
        let (mut lanes, places, now) = waiting([0, 3, 0]);
        assert!(lanes.call(now, |_| true));
        lanes.remove(places[0].ticket);
        lanes.remove(places[2].ticket);
        lanes.remove(places[2].ticket);
        assert_eq!((lanes.expected(), lanes.len(1), lanes.is_waiting()), (0, 1, true));
        assert_eq!(lanes.standing(places[0].ticket), None);
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_were_called_can_be_called_off() {
        let (mut lanes, _places, now) = waiting([1, 2, 1]);
        assert_eq!(order(&mut lanes, now).len(), 4);
        lanes.call_off();
        assert_eq!((lanes.expected(), lanes.len(1)), (0, 2));
        assert_eq!(order(&mut lanes, now).len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_go_before_one_that_comes_now() {
        let (lanes, ..) = waiting([50, 2, 0]);
        assert_eq!([lanes.ahead(0), lanes.ahead(1), lanes.ahead(2)], [50, 23, 7], "every eighth may be theirs");
    }

    #[tokio::test(start_paused = true)]
    async fn those_for_whom_it_will_be_too_late_are_told() {
        let (mut lanes, places, now) = waiting([0, 3, 0]);
        let room = now + 61 * SECOND;
        lanes.judge(|_, ahead| (ahead >= 2).then_some(room));
        assert_eq!(lanes.standing(places[1].ticket), Some(Standing::Waiting { latest: now + 60 * SECOND }));
        assert_eq!(lanes.standing(places[2].ticket), Some(Standing::TooLate(room)));
        lanes.judge(|_, _| None);
        assert!(matches!(lanes.standing(places[2].ticket), Some(Standing::Waiting { .. })), "it may turn out well");
    }
}
