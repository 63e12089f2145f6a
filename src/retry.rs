//! The retry policy: pure functions that decide whether to repeat an attempt and how long to wait before, and the budget
//! that keeps retries rare.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http::StatusCode;

/// The longest delay that is computed with. A policy may hold `Duration::MAX`, which cannot be multiplied.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Which failed attempts of a call are repeated, and after which delay.
///
/// An attempt is repeated if
///
/// * the request was not sent, whatever its method,
/// * the vendor's rate limit rejected it (429), whatever its method, as soon as the limit allows. This costs waiting
///   time, and does not count as an attempt,
/// * the call is idempotent or has an [idempotency key](crate::IdempotencyKey), and the attempt ended with 408, 500, 502, 503,
///   504, a failure that a content delivery network reports in its own codes (520 to 524, 527, 530), a timeout or a broken
///   connection.
///
/// A request was not sent if it got no connection, or if the server refused its HTTP/2 stream.
///
/// A POST or PATCH that may have reached the vendor is never repeated, unless the vendor's API makes repeating it harmless.
///
/// The delay before retry *n*, counted from 0, is drawn evenly between zero and `min_delay` × 2ⁿ, but at most `max_delay`. If
/// the vendor asks for a longer delay, the client waits that long.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::RetryPolicy;
///
/// let patient = RetryPolicy::new().with_max_attempts(5).with_max_delay(Duration::from_secs(60));
/// let never = RetryPolicy::never();
/// # assert_ne!(patient, never);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a policy has no effect until it is set with `with_retry`"]
#[non_exhaustive]
pub struct RetryPolicy {
    max_attempts: u32,
    min_delay: Duration,
    max_delay: Duration,
}

impl RetryPolicy {
    /// The default policy: three attempts, with delays that start at 0.5 s and double up to 20 s.
    pub fn new() -> Self {
        Self { max_attempts: 3, min_delay: Duration::from_millis(500), max_delay: Duration::from_secs(20) }
    }

    /// A policy of one attempt. The client still waits after a 429; `with_max_wait(Duration::ZERO)` turns that off too.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::new() }
    }

    /// Sets how often a call is sent at most, including the first time. Default 3; 0 is treated as 1.
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: attempts.max(1), ..self }
    }

    pub(crate) fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Sets the upper bound of the delay before the first retry. Default 0.5 s; raise it for a vendor that recovers slowly.
    pub fn with_min_delay(self, delay: Duration) -> Self {
        Self { min_delay: delay, ..self }
    }

    /// Sets the upper bound of every delay. Default 20 s.
    pub fn with_max_delay(self, delay: Duration) -> Self {
        Self { max_delay: delay, ..self }
    }

    /// The upper bound of the delay before retry `retry`, counted from 0.
    pub(crate) fn ceiling(&self, retry: u32) -> Duration {
        let max_delay = self.max_delay.min(MAX_DELAY);
        let steps = ExponentialBuilder::new()
            .with_min_delay(self.min_delay.min(max_delay))
            .with_factor(2.0)
            .with_max_delay(max_delay)
            .without_max_times()
            .build();
        // 64 doublings exceed every ceiling that a Duration can hold.
        steps.take(64).nth(retry.min(63) as usize).unwrap_or(max_delay)
    }

    /// The delay before retry `retry`, with full jitter: `jitter` is drawn evenly from 0 to 1.
    pub(crate) fn delay(&self, retry: u32, jitter: f64) -> Duration {
        self.ceiling(retry).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The outcome of an attempt, as far as retries depend on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AttemptOutcome {
    /// The vendor responded with this status.
    Response(StatusCode),
    /// The vendor refused the call because of its rate limit.
    RateLimited,
    /// The request was not sent.
    NotSent,
    /// The connection broke; the request may have arrived.
    Broken,
    /// No response came in time; the request may have arrived.
    TimedOut,
    /// The response exceeds the size limit, and would again.
    TooLarge,
}

/// The state of a call when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryState {
    /// The number of attempts, without those that the vendor rejected because of its limit or an outdated token.
    pub(crate) attempts: u32,
    /// Whether repeating the call is harmless.
    pub(crate) idempotent: bool,
    /// Whether the call has already been repeated with a newer token.
    pub(crate) reauthorized: bool,
    /// Whether the call can be sent once more after a failure.
    pub(crate) can_be_sent: bool,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RetryDecision {
    /// Return the response, whether it is a success or an error.
    Done,
    /// Wait until the vendor's rate limit allows another attempt.
    AwaitLimit,
    /// The vendor rejected the token: repeat once with a newer one, if there is one.
    Reauthorize,
    /// Repeat after a delay, if the retry budget can pay this.
    Retry { cost: u32 },
    /// Fail with the error of this attempt.
    Fail,
}

/// Decides what to do after an attempt.
pub(crate) fn decide(policy: &RetryPolicy, state: RetryState, outcome: AttemptOutcome) -> RetryDecision {
    let RetryState { attempts, idempotent, reauthorized, can_be_sent } = state;
    let retry_if = |allowed: bool, cost: u32| {
        if allowed && can_be_sent && attempts < policy.max_attempts {
            RetryDecision::Retry { cost }
        } else {
            RetryDecision::Fail
        }
    };
    match outcome {
        AttemptOutcome::RateLimited => RetryDecision::AwaitLimit,
        AttemptOutcome::Response(status) => match status.as_u16() {
            401 if !reauthorized => RetryDecision::Reauthorize,
            408 => retry_if(idempotent, RetryBudget::TIMEOUT),
            500 | 502 | 503 | 504 | 520..=524 | 527 | 530 => retry_if(idempotent, RetryBudget::FAILURE),
            _ => RetryDecision::Done,
        },
        AttemptOutcome::NotSent => retry_if(true, RetryBudget::FAILURE),
        AttemptOutcome::Broken => retry_if(idempotent, RetryBudget::FAILURE),
        AttemptOutcome::TimedOut => retry_if(idempotent, RetryBudget::TIMEOUT),
        AttemptOutcome::TooLarge => RetryDecision::Fail,
    }
}

/// Limits the load that retries add to a vendor that is down: each retry withdraws from the budget, each success deposits.
#[derive(Debug)]
pub(crate) struct RetryBudget(AtomicU32);

impl RetryBudget {
    const FULL: u32 = 500;
    const FAILURE: u32 = 5;
    const TIMEOUT: u32 = 10;
    const SUCCESS: u32 = 1;

    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(Self::FULL))
    }

    /// Withdraws `cost`. Returns false, and withdraws nothing, if less than that is left.
    pub(crate) fn withdraw(&self, cost: u32) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost)).is_ok()
    }

    /// Withdraws what a retry after a failure costs.
    pub(crate) fn withdraw_failure(&self) -> bool {
        self.withdraw(Self::FAILURE)
    }

    /// Deposits what a success is worth.
    pub(crate) fn deposit(&self) {
        // A full budget, the common case, costs one load.
        if self.0.load(Ordering::Relaxed) < Self::FULL {
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                Some((left + Self::SUCCESS).min(Self::FULL))
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FAIL: RetryDecision = RetryDecision::Fail;
    const DONE: RetryDecision = RetryDecision::Done;

    fn response(status: u16) -> AttemptOutcome {
        AttemptOutcome::Response(StatusCode::from_u16(status).unwrap())
    }

    fn state(attempts: u32, idempotent: bool) -> RetryState {
        RetryState { attempts, idempotent, reauthorized: false, can_be_sent: true }
    }

    fn after_the_first(idempotent: bool, outcome: AttemptOutcome) -> RetryDecision {
        decide(&RetryPolicy::new(), state(1, idempotent), outcome)
    }

    #[test]
    fn a_401_asks_for_a_newer_token_once_whatever_the_method() {
        for idempotent in [true, false] {
            assert_eq!(after_the_first(idempotent, response(401)), RetryDecision::Reauthorize);
            let again = RetryState { reauthorized: true, ..state(1, idempotent) };
            assert_eq!(decide(&RetryPolicy::new(), again, response(401)), DONE);
        }
    }

    #[test]
    fn a_call_that_cannot_be_sent_again_is_not_repeated() {
        use AttemptOutcome::{Broken, NotSent, TimedOut};
        for outcome in [NotSent, Broken, TimedOut, response(408), response(503)] {
            let gone = RetryState { can_be_sent: false, ..state(1, true) };
            assert_eq!(decide(&RetryPolicy::new(), gone, outcome), FAIL, "{outcome:?}");
        }
    }

    #[test]
    fn a_request_that_was_not_sent_is_retried_whatever_its_method() {
        for idempotent in [true, false] {
            assert_eq!(after_the_first(idempotent, AttemptOutcome::NotSent), RetryDecision::Retry { cost: 5 });
        }
    }

    #[test]
    fn a_429_waits_for_the_limit_whatever_the_method_and_however_often() {
        for idempotent in [true, false] {
            for attempts in [1, 3, 50] {
                let decision = decide(&RetryPolicy::new(), state(attempts, idempotent), AttemptOutcome::RateLimited);
                assert_eq!(decision, RetryDecision::AwaitLimit);
            }
        }
    }

    #[test]
    fn transient_statuses_are_retried_only_if_the_call_is_idempotent() {
        for status in [500, 502, 503, 504, 520, 521, 522, 523, 524, 527, 530] {
            assert_eq!(after_the_first(true, response(status)), RetryDecision::Retry { cost: 5 }, "{status}");
            assert_eq!(after_the_first(false, response(status)), FAIL, "{status}");
        }
        assert_eq!(after_the_first(true, response(408)), RetryDecision::Retry { cost: 10 });
        assert_eq!(after_the_first(false, response(408)), FAIL);
    }

    #[test]
    fn a_lost_response_is_retried_only_if_the_call_is_idempotent() {
        assert_eq!(after_the_first(true, AttemptOutcome::Broken), RetryDecision::Retry { cost: 5 });
        assert_eq!(after_the_first(true, AttemptOutcome::TimedOut), RetryDecision::Retry { cost: 10 });
        assert_eq!(after_the_first(false, AttemptOutcome::Broken), FAIL);
        assert_eq!(after_the_first(false, AttemptOutcome::TimedOut), FAIL);
    }

    #[test]
    fn successes_and_all_other_errors_are_returned() {
        for status in [200, 201, 204, 302, 400, 403, 404, 409, 422, 501, 505, 519, 525, 526, 528, 529, 531] {
            assert_eq!(after_the_first(true, response(status)), DONE, "{status}");
        }
    }

    #[test]
    fn an_oversized_response_is_not_requested_again() {
        assert_eq!(after_the_first(true, AttemptOutcome::TooLarge), FAIL);
    }

    #[test]
    fn the_third_attempt_is_the_last() {
        let policy = RetryPolicy::new();
        assert_ne!(decide(&policy, state(2, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(decide(&policy, state(3, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(decide(&RetryPolicy::never(), state(1, true), AttemptOutcome::NotSent), FAIL);
    }

    #[test]
    fn ceilings_double_from_half_a_second_to_twenty() {
        let policy = RetryPolicy::new();
        let seconds: Vec<f64> = (0..8).map(|retry| policy.ceiling(retry).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        assert_eq!(policy.ceiling(u32::MAX), Duration::from_secs(20));
    }

    #[test]
    fn a_policy_takes_every_value_that_is_set_and_sends_at_least_once() {
        let policy = RetryPolicy::new().with_max_attempts(7);
        assert_ne!(decide(&policy, state(6, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(decide(&policy, state(7, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(RetryPolicy::new().with_max_attempts(0), RetryPolicy::never());
        assert_eq!(RetryPolicy::new().with_max_attempts(1), RetryPolicy::never());
        let slow = RetryPolicy::new().with_min_delay(Duration::from_secs(3)).with_max_delay(Duration::from_secs(7));
        assert_eq!([0, 1, 2].map(|retry| slow.ceiling(retry).as_secs()), [3, 6, 7]);
        assert_eq!(RetryPolicy::new().with_min_delay(Duration::ZERO).ceiling(u32::MAX), Duration::ZERO);
        assert_eq!(RetryPolicy::new().with_min_delay(Duration::from_secs(60)).ceiling(0), Duration::from_secs(20));
    }

    #[test]
    fn a_delay_is_drawn_evenly_between_zero_and_its_ceiling() {
        let policy = RetryPolicy::new();
        let milliseconds = [0.0, 0.25, 0.5, 1.0].map(|jitter| policy.delay(1, jitter).as_millis());
        assert_eq!(milliseconds, [0, 250, 500, 1000]);
    }

    #[test]
    fn an_infinite_delay_is_cut_to_the_longest_that_can_be_computed_with() {
        let policy = RetryPolicy::new().with_min_delay(Duration::MAX).with_max_delay(Duration::MAX);
        assert_eq!(policy.delay(70, 1.0), MAX_DELAY);
    }

    #[test]
    fn an_empty_retry_budget_pays_nothing_until_successes_refill_it() {
        let budget = RetryBudget::new();
        let paid = std::iter::from_fn(|| budget.withdraw(5).then_some(())).count();
        assert_eq!(paid, 100);
        for _ in 0..4 {
            budget.deposit();
        }
        assert!(!budget.withdraw(5));
        budget.deposit();
        assert!(budget.withdraw(5));
    }

    #[test]
    fn deposits_never_exceed_a_full_budget() {
        let budget = RetryBudget::new();
        budget.deposit();
        assert_eq!(std::iter::from_fn(|| budget.withdraw(10).then_some(())).count(), 50);
    }

    proptest! {
        #[test]
        fn a_delay_lies_between_zero_and_its_ceiling(retry in 0_u32..100, jitter in 0.0_f64..=1.0, min in 0_u64..100_000, max in 0_u64..100_000) {
            let policy = RetryPolicy::new()
                .with_min_delay(Duration::from_millis(min))
                .with_max_delay(Duration::from_millis(max));
            let delay = policy.delay(retry, jitter);
            prop_assert!(delay <= policy.ceiling(retry));
            prop_assert!(policy.ceiling(retry) <= Duration::from_millis(max));
        }
    }
}
