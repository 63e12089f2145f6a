//! The waiters of a tenant, and which of them is next.
//!
//! There is a lane for each priority, in the order of arrival. The next waiter is offered a slot and is expected to claim it
//! within a second. If it does not, because its future is not polled, all waiters are offered the slot, and whoever does not
//! come is passed over until it does. So futures that are not polled cost the others one second once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::acquire_request::AcquireRequest;
use crate::priority::Priority;

/// How long an offer is good for.
pub(super) const OFFER: Duration = Duration::from_secs(1);
/// One in so many offers goes to the lane that was served longest ago.
const FAIR_SHARE: u64 = 8;
const LANES: usize = Priority::ALL.len();

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// By ticket: the order of arrival.
    lanes: [BTreeMap<u64, Waiter>; LANES],
    /// The tickets of those that wait without an offer, in each lane.
    waiting: [BTreeSet<u64>; LANES],
    /// How many offers are expected to be claimed, and how many are open to whoever comes.
    offers: u64,
    open_offers: u64,
    next_ticket: u64,
    /// No offer expires before this moment.
    next_expiry: Option<Instant>,
    /// How many offers were made in turn.
    turns: u64,
    /// At which turn each lane was last served.
    served: [u64; LANES],
}

#[derive(Debug)]
struct Waiter {
    request: AcquireRequest,
    state: WaiterState,
    wake: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum WaiterState {
    Waiting,
    /// It may claim a slot.
    Offered {
        since: Instant,
        is_expected: bool,
    },
    /// It did not claim what it was offered. It may claim what it finds when it comes.
    Unresponsive,
    /// There will be room only then, which is too late for it.
    TooLate(Instant),
}

/// Where a ticket stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    Waiting,
    /// It may claim a slot. `is_expected`: one is reserved for it.
    Offered {
        is_expected: bool,
    },
    /// There will be room only then, which is too late for it.
    TooLate(Instant),
}

impl Queue {
    /// Adds a waiter, at the place that it had before if it has waited before.
    pub(super) fn push(&mut self, request: AcquireRequest, place: Option<u64>) -> (u64, Arc<Notify>) {
        let ticket = place.unwrap_or(self.next_ticket);
        self.next_ticket = self.next_ticket.max(ticket + 1);
        let wake = Arc::new(Notify::new());
        let waiter = Waiter { request, state: WaiterState::Waiting, wake: Arc::clone(&wake) };
        self.lanes[request.lane()].insert(ticket, waiter);
        self.count(request.lane(), ticket, WaiterState::Waiting, true);
        (ticket, wake)
    }

    /// A place at the end, for a call that does not have to wait.
    pub(super) fn next_place(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket - 1
    }

    pub(super) fn len(&self, lane: usize) -> usize {
        self.lanes[lane].len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(BTreeMap::is_empty)
    }

    /// Whether a newcomer has to queue: another waiter is due first, and is not known to be unresponsive.
    pub(super) fn is_waiting(&self) -> bool {
        self.offers > 0 || self.has_waiting()
    }

    /// Whether a waiter has no offer.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_empty())
    }

    /// How many wait without an offer.
    pub(super) fn count_waiting(&self) -> u64 {
        self.waiting.iter().map(|waiting| waiting.len() as u64).sum()
    }

    /// How many offers are expected to be claimed.
    pub(super) fn offers(&self) -> u64 {
        self.offers
    }

    /// At least how many go before a waiter with this ticket.
    pub(super) fn ahead(&self, lane: usize, ticket: u64) -> u64 {
        let above = self.waiting[..lane].iter().map(|waiting| waiting.len() as u64).sum();
        let own = match self.waiting[lane].last() {
            Some(last) if ticket <= *last => self.waiting[lane].range(..ticket).count(),
            _ => self.waiting[lane].len(),
        } as u64;
        self.offers + ahead_of(above, own)
    }

    pub(super) fn end(&self) -> u64 {
        self.next_ticket
    }

    pub(super) fn standing(&self, lane: usize, ticket: u64) -> Option<Standing> {
        Some(match self.lanes[lane].get(&ticket)?.state {
            WaiterState::Waiting => Standing::Waiting,
            WaiterState::Offered { is_expected, .. } => Standing::Offered { is_expected },
            WaiterState::Unresponsive => Standing::Offered { is_expected: false },
            WaiterState::TooLate(moment) => Standing::TooLate(moment),
        })
    }

    /// Offers a slot to the next waiter that `fits`.
    pub(super) fn offer(&mut self, now: Instant, fits: impl Fn(AcquireRequest) -> bool) -> Option<AcquireRequest> {
        let next = |lane: usize| {
            let ticket = self.waiting[lane].first()?;
            let waiter = self.lanes[lane].get(ticket)?;
            fits(waiter.request).then_some((lane, *ticket))
        };
        let mut candidates = (0..LANES).filter_map(next);
        let (lane, ticket) = match self.turns % FAIR_SHARE {
            // Of those that were never served, the lowest.
            turn if turn == FAIR_SHARE - 1 => {
                candidates.collect::<Vec<_>>().into_iter().rev().min_by_key(|(lane, _)| self.served[*lane])
            }
            _ => candidates.next(),
        }?;
        self.turns += 1;
        self.served[lane] = self.turns;
        self.set(lane, ticket, WaiterState::Offered { since: now, is_expected: true });
        self.lanes[lane].get(&ticket).map(|waiter| waiter.request)
    }

    /// Passes over waiters that did not claim their offers in time; then whoever comes first may claim what they left.
    pub(super) fn expire_offers(&mut self, now: Instant) {
        if self.next_expiry.is_none_or(|next| now < next) {
            return;
        }
        let mut has_expired = false;
        for lane in 0..LANES {
            let expired = |waiter: &Waiter| match waiter.state {
                WaiterState::Offered { since, is_expected } if now >= since + OFFER => Some(is_expected),
                _ => None,
            };
            let tickets: Vec<_> = self.lanes[lane]
                .iter()
                .filter_map(|(ticket, waiter)| expired(waiter).map(|is_expected| (*ticket, is_expected)))
                .collect();
            for (ticket, was_expected) in tickets {
                has_expired |= was_expected;
                self.set(lane, ticket, WaiterState::Unresponsive);
            }
        }
        if has_expired {
            self.offer_to_all(now);
        }
        self.next_expiry = self.first_expiry();
    }

    fn offer_to_all(&mut self, now: Instant) {
        let offered = WaiterState::Offered { since: now, is_expected: false };
        self.change_all(|state| state == WaiterState::Waiting, offered);
    }

    /// When the next offer expires, at the earliest.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.next_expiry.filter(|_| self.offers + self.open_offers > 0)
    }

    fn first_expiry(&self) -> Option<Instant> {
        let offered = self.lanes.iter().flat_map(BTreeMap::values).filter_map(|waiter| match waiter.state {
            WaiterState::Offered { since, .. } => Some(since + OFFER),
            _ => None,
        });
        offered.min()
    }

    /// Takes back all offers.
    pub(super) fn revoke_offers(&mut self) {
        self.change_all(|state| matches!(state, WaiterState::Offered { .. }), WaiterState::Waiting);
    }

    fn change_all(&mut self, is_concerned: impl Fn(WaiterState) -> bool, state: WaiterState) {
        for lane in 0..LANES {
            let mut concerned: Vec<u64> = Vec::new();
            concerned.extend(
                self.lanes[lane].iter().filter(|(_, waiter)| is_concerned(waiter.state)).map(|(ticket, _)| *ticket),
            );
            for ticket in concerned {
                self.set(lane, ticket, state);
            }
        }
    }

    /// Puts a waiter that came, and found nothing, back to where it was.
    pub(super) fn wait_again(&mut self, lane: usize, ticket: u64) {
        self.set(lane, ticket, WaiterState::Waiting);
    }

    pub(super) fn wake_all(&self) {
        self.lanes.iter().flat_map(BTreeMap::values).for_each(|waiter| waiter.wake.notify_one());
    }

    pub(super) fn remove(&mut self, lane: usize, ticket: u64) {
        if let Some(waiter) = self.lanes[lane].remove(&ticket) {
            self.count(lane, ticket, waiter.state, false);
        }
    }

    /// Tells every waiter for which there will be room too late when that is.
    pub(super) fn refuse_late(&mut self, room_at: impl Fn(AcquireRequest, u64) -> Option<Instant>) {
        let mut above = 0;
        for lane in 0..LANES {
            let mut own = 0;
            let mut late = Vec::new();
            for (ticket, waiter) in self.lanes[lane].iter().filter(|(_, waiter)| waiter.state == WaiterState::Waiting) {
                let moment = room_at(waiter.request, self.offers + ahead_of(above, own));
                match moment.filter(|moment| waiter.request.is_too_late(*moment)) {
                    Some(moment) => late.push((*ticket, moment)),
                    None => own += 1,
                }
            }
            for (ticket, moment) in late {
                self.set(lane, ticket, WaiterState::TooLate(moment));
            }
            above += self.waiting[lane].len() as u64;
        }
    }

    fn set(&mut self, lane: usize, ticket: u64, state: WaiterState) {
        let Some(waiter) = self.lanes[lane].get_mut(&ticket) else { return };
        let old = std::mem::replace(&mut waiter.state, state);
        if matches!(state, WaiterState::Offered { .. } | WaiterState::TooLate(_)) {
            waiter.wake.notify_one();
        }
        if let WaiterState::Offered { since, .. } = state {
            let expiry = since + OFFER;
            self.next_expiry = Some(self.next_expiry.map_or(expiry, |next| next.min(expiry)));
        }
        self.count(lane, ticket, old, false);
        self.count(lane, ticket, state, true);
    }

    /// Counts a waiter that is in this state now, or was.
    fn count(&mut self, lane: usize, ticket: u64, state: WaiterState, is_now: bool) {
        let change = |counter: &mut u64| *counter = counter.saturating_add_signed(if is_now { 1 } else { -1 });
        match state {
            WaiterState::Waiting if is_now => {
                self.waiting[lane].insert(ticket);
            }
            WaiterState::Waiting => {
                self.waiting[lane].remove(&ticket);
            }
            WaiterState::Offered { is_expected: true, .. } => change(&mut self.offers),
            WaiterState::Offered { .. } => change(&mut self.open_offers),
            WaiterState::Unresponsive | WaiterState::TooLate(_) => {}
        }
    }
}

/// How many go before a waiter that has so many in higher lanes and in its own before it: of these, one in eight may be of a
/// lower lane than the others.
fn ahead_of(above: u64, own: u64) -> u64 {
    (above + own).min((own + 1) * FAIR_SHARE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A queue in which so many wait in each lane, the highest first.
    fn waiting(counts: [usize; LANES]) -> (Queue, Instant) {
        let mut queue = Queue::default();
        for (priority, count) in Priority::ALL.iter().zip(counts) {
            (0..count).for_each(|_| drop(queue.push(AcquireRequest::test(*priority), None)));
        }
        (queue, Instant::now())
    }

    /// The tickets that are offered slots, in order.
    fn order(queue: &mut Queue, now: Instant) -> Vec<u64> {
        let offered = |queue: &Queue| -> Vec<u64> {
            let is_offered = |waiter: &Waiter| matches!(waiter.state, WaiterState::Offered { .. });
            let waiters = queue.lanes.iter().flatten().filter(|(_, waiter)| is_offered(waiter));
            waiters.map(|(ticket, _)| *ticket).collect()
        };
        let mut order = Vec::new();
        while queue.offer(now, |_| true).is_some() {
            for ticket in offered(queue) {
                if !order.contains(&ticket) {
                    order.push(ticket);
                }
            }
        }
        order
    }

    #[tokio::test(start_paused = true)]
    async fn the_higher_lane_goes_first_and_each_in_the_order_of_arrival() {
        let (mut queue, now) = waiting([2, 2, 2]);
        assert_eq!(order(&mut queue, now), [0, 1, 2, 3, 4, 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn every_eighth_offer_goes_to_the_lane_that_was_served_longest_ago() {
        let (mut queue, now) = waiting([40, 2, 2]);
        let order = order(&mut queue, now);
        assert_eq!([order[7], order[15], order[23], order[31]], [42, 40, 43, 41], "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_lane_without_room_does_not_hold_up_the_others() {
        let (mut queue, now) = waiting([1, 0, 1]);
        queue.turns = FAIR_SHARE - 1;
        let fits = |request: AcquireRequest| request.priority != Priority::Bulk;
        assert!(queue.offer(now, fits).is_some());
        assert!(queue.offer(now, fits).is_none());
        assert_eq!((queue.len(0), queue.len(2)), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_that_is_not_claimed_within_a_second_goes_to_whoever_comes() {
        let (mut queue, now) = waiting([0, 3, 0]);
        assert!(queue.offer(now, |_| true).is_some());
        assert_eq!((queue.offers(), queue.next_expiry()), (1, Some(now + OFFER)));
        queue.expire_offers(now + OFFER);
        assert_eq!((queue.offers(), queue.is_waiting()), (0, false));
        assert!((0..3).all(|ticket| queue.standing(1, ticket) == Some(Standing::Offered { is_expected: false })));

        queue.wait_again(1, 2);
        queue.expire_offers(now + 2 * OFFER);
        assert_eq!(order(&mut queue, now), [2], "those that do not come are passed over");
        queue.wait_again(1, 0);
        assert_eq!(order(&mut queue, now)[0], 0, "and are first again when they come");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_leaves_is_expected_no_more() {
        let (mut queue, now) = waiting([0, 3, 0]);
        assert!(queue.offer(now, |_| true).is_some());
        for ticket in [0, 2, 2] {
            queue.remove(1, ticket);
        }
        assert_eq!((queue.offers(), queue.len(1), queue.is_waiting()), (0, 1, true));
        assert_eq!(queue.standing(1, 0), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_again_has_its_old_place() {
        let (mut queue, now) = waiting([0, 3, 0]);
        queue.remove(1, 0);
        queue.push(AcquireRequest::test(Priority::Normal), Some(0));
        assert_eq!(queue.ahead(1, 0), 0);
        assert_eq!(order(&mut queue, now), [0, 1, 2]);
        assert_eq!(queue.next_place(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn those_before_a_ticket_are_counted_without_itself() {
        let (mut queue, now) = waiting([0, 4, 0]);
        assert_eq!([0, 1, 2, 3, 4, 9].map(|ticket| queue.ahead(1, ticket)), [0, 1, 2, 3, 4, 4]);
        queue.remove(1, 1);
        assert_eq!([2, 3, 4].map(|ticket| queue.ahead(1, ticket)), [1, 2, 3]);
        assert!(queue.offer(now, |_| true).is_some());
        assert_eq!([2, 3, 4].map(|ticket| queue.ahead(1, ticket)), [1, 2, 3], "an offer comes first");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_of_all_offers_expires_first_and_none_does_once_they_are_claimed() {
        let (mut queue, now) = waiting([1, 1, 1]);
        assert_eq!(queue.next_expiry(), None);
        let third = OFFER / 3;
        for offer in 0..3 {
            assert!(queue.offer(now + third * offer, |_| true).is_some());
        }
        assert_eq!((queue.offers(), queue.next_expiry()), (3, Some(now + OFFER)));
        queue.expire_offers(now + OFFER - Duration::from_millis(1));
        assert_eq!(queue.offers(), 3);
        queue.expire_offers(now + OFFER);
        assert_eq!((queue.offers(), queue.next_expiry()), (2, Some(now + OFFER + third)));
        queue.remove(1, 1);
        queue.remove(2, 2);
        assert_eq!((queue.offers(), queue.next_expiry()), (0, None));

        // What is open to whoever comes expires too.
        let (mut queue, now) = waiting([0, 2, 0]);
        queue.offer(now, |_| true);
        queue.expire_offers(now + OFFER);
        assert_eq!((queue.offers(), queue.next_expiry()), (0, Some(now + 2 * OFFER)));
        queue.expire_offers(now + 2 * OFFER);
        assert_eq!((queue.is_waiting(), queue.is_empty(), queue.next_expiry()), (false, false, None));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_offered_a_slot_or_is_too_late_is_woken_and_all_can_be() {
        use futures_util::FutureExt as _;
        let mut queue = Queue::default();
        let now = Instant::now();
        let wakes = [(); 3].map(|()| queue.push(AcquireRequest::test(Priority::Normal), None).1);
        let woken = || wakes.each_ref().map(|wake| wake.notified().now_or_never().is_some());
        queue.offer(now, |_| true);
        assert_eq!(woken(), [true, false, false]);
        queue.refuse_late(|_, ahead| (ahead >= 2).then_some(now + 48 * 3600 * SECOND));
        assert_eq!(woken(), [false, false, true], "the offer and one waiter are before it");
        queue.wait_again(1, 2);
        assert_eq!(woken(), [false; 3]);
        queue.wake_all();
        assert_eq!(woken(), [true; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_that_was_open_to_all_is_not_made_again_when_it_expires() {
        let (mut queue, now) = waiting([0, 3, 0]);
        queue.offer(now, |_| true);
        queue.expire_offers(now + OFFER);
        queue.wait_again(1, 2);
        queue.expire_offers(now + 2 * OFFER);
        assert_eq!(queue.standing(1, 2), Some(Standing::Waiting));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_that_was_kept_is_never_given_to_another() {
        let mut queue = Queue::default();
        assert_eq!(queue.push(AcquireRequest::test(Priority::Bulk), Some(7)).0, 7);
        assert_eq!((queue.next_place(), queue.next_place(), queue.end()), (8, 9, 10));
        assert_eq!(queue.push(AcquireRequest::test(Priority::Bulk), Some(3)).0, 3);
        assert_eq!(queue.push(AcquireRequest::test(Priority::Normal), None).0, 10);
        assert_eq!((queue.len(1), queue.len(2), queue.count_waiting()), (1, 2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn those_that_are_too_late_leave_room_to_the_ones_behind_them() {
        let (mut queue, now) = waiting([2, 2, 0]);
        let late = now + 48 * 3600 * SECOND;
        let counted = std::cell::RefCell::new(Vec::new());
        queue.refuse_late(|request, ahead| {
            counted.borrow_mut().push(ahead);
            (request.priority == Priority::Interactive).then_some(late)
        });
        assert_eq!(*counted.borrow(), [0, 0, 0, 1], "none that is too late is before another");
        assert_eq!(queue.count_waiting(), 2);
        counted.borrow_mut().clear();
        let (mut queue, _) = waiting([2, 2, 1]);
        queue.refuse_late(|_, ahead| {
            counted.borrow_mut().push(ahead);
            None
        });
        assert_eq!(*counted.borrow(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn offers_can_be_revoked() {
        let (mut queue, now) = waiting([1, 2, 1]);
        assert_eq!(order(&mut queue, now).len(), 4);
        queue.revoke_offers();
        assert_eq!((queue.offers(), queue.count_waiting()), (0, 4));
        assert_eq!(order(&mut queue, now).len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lower_lane_counts_on_every_eighth_slot() {
        let (queue, _) = waiting([50, 2, 0]);
        let end = queue.end();
        assert_eq!([queue.ahead(0, end), queue.ahead(1, end), queue.ahead(2, end)], [50, 23, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_for_which_it_will_be_too_late_hear_of_it() {
        let (mut queue, now) = waiting([0, 3, 0]);
        let late = now + 48 * 3600 * SECOND;
        queue.refuse_late(|_, ahead| (ahead >= 2).then_some(late));
        assert_eq!(queue.standing(1, 1), Some(Standing::Waiting));
        assert_eq!(queue.standing(1, 2), Some(Standing::TooLate(late)));
    }
}
