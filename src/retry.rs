//! What may be retried and how long to wait before: pure functions, and the budget that keeps retries rare.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use http::StatusCode;

/// The longest wait that is computed with: a policy may name `Duration::MAX`, which cannot be multiplied.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// When a call is repeated.
///
/// Repeated are: a call that never left, whatever its method; a call that the vendor refused with 429, whatever its
/// method, once the limit allows (this costs waiting time, not attempts); and, where repeating is harmless, a call that
/// ended in 408, 500, 502, 503, 504, a timeout or a broken connection. A POST or PATCH that may have arrived is never
/// repeated.
///
/// The wait before retry *n* is drawn between nothing and `min_delay` × 2ⁿ, at most `max_delay`; a wait that the vendor
/// asks for is a floor under it.
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
#[must_use = "a policy counts where it is set"]
#[non_exhaustive]
pub struct RetryPolicy {
    max_attempts: u32,
    min_delay: Duration,
    max_delay: Duration,
}

impl RetryPolicy {
    /// Three attempts, 0.5 s doubling to at most 20 s.
    pub fn new() -> Self {
        Self { max_attempts: 3, min_delay: Duration::from_millis(500), max_delay: Duration::from_secs(20) }
    }

    /// One attempt. A 429 is still waited out; `with_max_wait(Duration::ZERO)` turns that off too.
    pub fn never() -> Self {
        Self { max_attempts: 1, ..Self::new() }
    }

    /// How often a call is sent at most, the first time included. Default 3; 0 counts as 1.
    pub fn with_max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: attempts.max(1), ..self }
    }

    /// The upper bound of the wait before the first retry. Default 0.5 s; raise it for a vendor that recovers slowly.
    pub fn with_min_delay(self, delay: Duration) -> Self {
        Self { min_delay: delay, ..self }
    }

    /// The upper bound of every wait between attempts. Default 20 s.
    pub fn with_max_delay(self, delay: Duration) -> Self {
        Self { max_delay: delay, ..self }
    }

    /// The ceiling of the wait before retry `retry`, counted from 0.
    pub(crate) fn ceiling(&self, retry: u32) -> Duration {
        let max_delay = self.max_delay.min(LONGEST);
        let steps = ExponentialBuilder::new()
            .with_min_delay(self.min_delay.min(max_delay))
            .with_factor(2.0)
            .with_max_delay(max_delay)
            .without_max_times()
            .build();
        // 64 doublings pass every ceiling that a Duration can hold.
        steps.take(64).nth(retry.min(63) as usize).unwrap_or(max_delay)
    }

    /// The wait before retry `retry`, with full jitter: `jitter` is drawn evenly from 0 to 1.
    pub(crate) fn delay(&self, retry: u32, jitter: f64) -> Duration {
        self.ceiling(retry).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// How an attempt ended, as far as a retry is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AttemptOutcome {
    /// The vendor answered.
    Answered(StatusCode),
    /// The request never left.
    NotSent,
    /// The request may have arrived; the connection broke.
    Broken,
    /// The request may have arrived; no answer came in time.
    TimedOut,
    /// An answer came that is larger than the limit: it would be again.
    TooLarge,
}

/// What is known of an attempt when it has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// Counted from 1, without those that the vendor refused for its limit or for a stale token.
    pub(crate) number: u32,
    /// Whether repeating the call is harmless.
    pub(crate) idempotent: bool,
    /// Whether the call has already been repeated with a newer token.
    pub(crate) reauthorised: bool,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum RetryDecision {
    /// The answer stands, good or bad.
    Done,
    /// The vendor refused for its limit: wait for that.
    AwaitLimit,
    /// The vendor does not know the token: repeat once with a newer one, where there is one to be had.
    Reauthorise,
    /// Repeat after a backoff, if the retry budget can pay this.
    Retry { cost: u32 },
    /// The attempt failed and is not repeated.
    Fail,
}

/// Decides what to do after an attempt.
pub(crate) fn decide(policy: &RetryPolicy, attempt: Attempt, ending: AttemptOutcome) -> RetryDecision {
    let Attempt { number, idempotent, reauthorised } = attempt;
    let again = |allowed: bool, cost: u32| {
        if allowed && number < policy.max_attempts { RetryDecision::Retry { cost } } else { RetryDecision::Fail }
    };
    match ending {
        AttemptOutcome::Answered(StatusCode::TOO_MANY_REQUESTS) => RetryDecision::AwaitLimit,
        AttemptOutcome::Answered(status) => match status.as_u16() {
            401 if !reauthorised => RetryDecision::Reauthorise,
            408 => again(idempotent, RetryBudget::TIMEOUT),
            500 | 502 | 503 | 504 => again(idempotent, RetryBudget::FAILURE),
            _ => RetryDecision::Done,
        },
        AttemptOutcome::NotSent => again(true, RetryBudget::FAILURE),
        AttemptOutcome::Broken => again(idempotent, RetryBudget::FAILURE),
        AttemptOutcome::TimedOut => again(idempotent, RetryBudget::TIMEOUT),
        AttemptOutcome::TooLarge => RetryDecision::Fail,
    }
}

/// Keeps a client from multiplying the load of a vendor that is down: retries are paid from it, successes refill it.
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

    /// Takes `cost`, or nothing and answers false.
    pub(crate) fn withdraw(&self, cost: u32) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(cost)).is_ok()
    }

    /// Gives back what a success earns.
    pub(crate) fn deposit(&self) {
        // A full budget, which is the common case, is not written to.
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

    fn answered(status: u16) -> AttemptOutcome {
        AttemptOutcome::Answered(StatusCode::from_u16(status).unwrap())
    }

    fn attempt(number: u32, idempotent: bool) -> Attempt {
        Attempt { number, idempotent, reauthorised: false }
    }

    fn first(idempotent: bool, ending: AttemptOutcome) -> RetryDecision {
        decide(&RetryPolicy::new(), attempt(1, idempotent), ending)
    }

    #[test]
    fn a_401_asks_for_a_newer_token_once_whatever_the_method() {
        for idempotent in [true, false] {
            assert_eq!(first(idempotent, answered(401)), RetryDecision::Reauthorise);
            let again = Attempt { reauthorised: true, ..attempt(1, idempotent) };
            assert_eq!(decide(&RetryPolicy::new(), again, answered(401)), DONE);
        }
    }

    #[test]
    fn what_never_left_is_retried_whatever_the_method() {
        for idempotent in [true, false] {
            assert_eq!(first(idempotent, AttemptOutcome::NotSent), RetryDecision::Retry { cost: 5 });
        }
    }

    #[test]
    fn a_429_waits_for_the_limit_whatever_the_method_and_however_often() {
        for idempotent in [true, false] {
            for attempt in [1, 3, 50] {
                assert_eq!(
                    decide(&RetryPolicy::new(), self::attempt(attempt, idempotent), answered(429)),
                    RetryDecision::AwaitLimit
                );
            }
        }
    }

    #[test]
    fn transient_statuses_are_retried_only_where_harmless() {
        for status in [500, 502, 503, 504] {
            assert_eq!(first(true, answered(status)), RetryDecision::Retry { cost: 5 }, "{status}");
            assert_eq!(first(false, answered(status)), FAIL, "{status}");
        }
        assert_eq!(first(true, answered(408)), RetryDecision::Retry { cost: 10 });
        assert_eq!(first(false, answered(408)), FAIL);
    }

    #[test]
    fn a_lost_answer_is_retried_only_where_harmless() {
        assert_eq!(first(true, AttemptOutcome::Broken), RetryDecision::Retry { cost: 5 });
        assert_eq!(first(true, AttemptOutcome::TimedOut), RetryDecision::Retry { cost: 10 });
        assert_eq!(first(false, AttemptOutcome::Broken), FAIL);
        assert_eq!(first(false, AttemptOutcome::TimedOut), FAIL);
    }

    #[test]
    fn success_other_refusals_and_other_server_errors_stand() {
        for status in [200, 201, 204, 302, 400, 403, 404, 409, 422, 501, 505] {
            assert_eq!(first(true, answered(status)), DONE, "{status}");
        }
    }

    #[test]
    fn an_oversized_answer_is_not_asked_for_again() {
        assert_eq!(first(true, AttemptOutcome::TooLarge), FAIL);
    }

    #[test]
    fn the_third_attempt_is_the_last() {
        let policy = RetryPolicy::new();
        assert_ne!(decide(&policy, attempt(2, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(decide(&policy, attempt(3, true), AttemptOutcome::Broken), FAIL);
        assert_eq!(decide(&RetryPolicy::never(), attempt(1, true), AttemptOutcome::NotSent), FAIL);
    }

    #[test]
    fn ceilings_double_from_half_a_second_to_twenty() {
        let policy = RetryPolicy::new();
        let seconds: Vec<f64> = (0..8).map(|retry| policy.ceiling(retry).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]);
        assert_eq!(policy.ceiling(u32::MAX), Duration::from_secs(20));
    }

    #[test]
    fn delays_without_end_are_taken_as_such() {
        let policy = RetryPolicy::new().with_min_delay(Duration::MAX).with_max_delay(Duration::MAX);
        assert_eq!(policy.delay(70, 1.0), LONGEST);
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
    fn successes_never_fill_the_budget_beyond_its_size() {
        let budget = RetryBudget::new();
        budget.deposit();
        assert_eq!(std::iter::from_fn(|| budget.withdraw(10).then_some(())).count(), 50);
    }

    proptest! {
        #[test]
        fn a_delay_lies_between_nothing_and_its_ceiling(retry in 0_u32..100, jitter in 0.0_f64..=1.0, min in 0_u64..100_000, max in 0_u64..100_000) {
            let policy = RetryPolicy::new()
                .with_min_delay(Duration::from_millis(min))
                .with_max_delay(Duration::from_millis(max));
            let delay = policy.delay(retry, jitter);
            prop_assert!(delay <= policy.ceiling(retry));
            prop_assert!(policy.ceiling(retry) <= Duration::from_millis(max));
        }
    }
}
