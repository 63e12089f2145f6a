//! The spend ledger: which refresh tokens may be presented to the vendor.
//!
//! A refresh token that the vendor replaces works once, and presenting it again can end the whole login. So each one is noted
//! before it is presented, and the outcome decides what may happen to it afterwards:
//!
//! ```text
//!              present             granted: forgotten, the next tokens take over
//!  unpresented ───────▶ presented ─┤ no effect: back to unpresented
//!                                  │ refused: never presented again
//!                                  └ unknown: presented again only if no other way is left
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::token_error::TokenErrorKind;
use super::token_set::TokenSet;

/// How many refresh tokens are remembered: more than a client meets between two logins.
const REMEMBERED: usize = 16;
/// How long after it was presented a refresh token may be presented again: as long as a token request can take, so that a late
/// response or another process can still bring the new tokens.
pub(super) const UNKNOWN_WAIT: Duration = Duration::from_secs(30);

/// The refresh tokens that were presented without being replaced.
#[derive(Debug, Default)]
pub(super) struct SpendLedger(VecDeque<Spend>);

#[derive(Clone, Copy, Debug)]
struct Spend {
    /// The fingerprint of the refresh token.
    token: u64,
    state: SpendState,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum SpendState {
    /// Presented, with an outcome that is not known, or not yet.
    Unknown(Presentation),
    Refused,
}

/// A refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Presentation {
    since: Instant,
    /// The note in the record; `None` if it could not be written.
    noted_at: Option<Timestamp>,
    /// The fingerprint of the access token beside it. A vendor may leave the refresh token as it is; then another access token
    /// shows that a refresh has succeeded since.
    access: u64,
    /// Whether another client presented it.
    is_foreign: bool,
}

/// What became of a refresh token that was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpendOutcome {
    /// The vendor replaced it, or accepted it again.
    Granted,
    /// It was not sent, or the vendor was too busy to look at it.
    NoEffect,
    /// The vendor refused it for good.
    Refused,
    /// Anything else: the vendor may have replaced it.
    Unknown,
}

/// Whether a refresh token may be presented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MayPresent {
    Yes,
    /// There is nothing to present, or it must not be presented again.
    No,
    /// It was presented with an unknown outcome, and there is another way: a valid access token.
    NotYet,
    /// It was presented with an unknown outcome. No other way is left, but a late response may still come.
    After(Instant),
}

/// The ways to get a token without a refresh.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alternatives {
    pub(super) access_is_valid: bool,
    pub(super) can_log_in: bool,
}

impl SpendLedger {
    /// Decides whether the refresh token may be presented now.
    pub(super) fn may_present(&self, tokens: &TokenSet, alternatives: Alternatives, now: Instant) -> MayPresent {
        let Some(token) = tokens.refresh_fingerprint() else { return MayPresent::No };
        match self.state(token) {
            None => MayPresent::Yes,
            Some(SpendState::Refused) => MayPresent::No,
            Some(SpendState::Unknown(_)) if alternatives.access_is_valid => MayPresent::NotYet,
            Some(SpendState::Unknown(_)) if alternatives.can_log_in => MayPresent::No,
            Some(SpendState::Unknown(presentation)) => match presentation.since + UNKNOWN_WAIT {
                late if now < late => MayPresent::After(late),
                _ => MayPresent::Yes,
            },
        }
    }

    /// Notes that a refresh token is about to be presented. `tokens` are those that were stored with the note.
    pub(super) fn present(&mut self, tokens: &TokenSet, now: Instant) {
        self.set(tokens, Some(SpendState::Unknown(Presentation::of(tokens, now, false))));
    }

    /// Learns from the record of the newest tokens what other clients have done. If it notes a presentation, that was at
    /// `since`.
    pub(super) fn learn(&mut self, tokens: &TokenSet, since: Instant) {
        let noted = tokens.presented_at().map(|_| SpendState::Unknown(Presentation::of(tokens, since, true)));
        let known = tokens.refresh_fingerprint().and_then(|token| self.state(token));
        let is_news = match known {
            None => noted.is_some(),
            Some(SpendState::Refused) => false,
            // Refreshed since, or presented once more, or taken back.
            Some(SpendState::Unknown(known)) => {
                known.access != tokens.access_fingerprint()
                    || (noted.is_some() && known.noted_at != tokens.presented_at())
                    || (noted.is_none() && known.is_foreign)
            }
        };
        if is_news {
            self.set(tokens, noted);
        }
    }

    /// Notes what became of a refresh token that was presented.
    pub(super) fn conclude(&mut self, tokens: &TokenSet, outcome: SpendOutcome) {
        match outcome {
            SpendOutcome::Granted | SpendOutcome::NoEffect => self.set(tokens, None),
            SpendOutcome::Refused => self.set(tokens, Some(SpendState::Refused)),
            SpendOutcome::Unknown => {}
        }
    }

    /// Whether the vendor refused a refresh token.
    pub(super) fn is_refused(&self, tokens: &TokenSet) -> bool {
        tokens.refresh_fingerprint().is_some_and(|token| self.state(token) == Some(SpendState::Refused))
    }

    fn state(&self, token: u64) -> Option<SpendState> {
        self.0.iter().find(|spend| spend.token == token).map(|spend| spend.state)
    }

    fn set(&mut self, tokens: &TokenSet, state: Option<SpendState>) {
        let Some(token) = tokens.refresh_fingerprint() else { return };
        self.0.retain(|spend| spend.token != token);
        if let Some(state) = state {
            if self.0.len() == REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back(Spend { token, state });
        }
    }
}

impl Presentation {
    fn of(tokens: &TokenSet, since: Instant, is_foreign: bool) -> Self {
        Self { since, noted_at: tokens.presented_at(), access: tokens.access_fingerprint(), is_foreign }
    }
}

impl SpendOutcome {
    /// The outcome of a token request that failed.
    pub(super) fn of_error(kind: TokenErrorKind) -> Self {
        match kind {
            TokenErrorKind::NotSent | TokenErrorKind::Throttled => Self::NoEffect,
            TokenErrorKind::Refused => Self::Refused,
            TokenErrorKind::Failed
            | TokenErrorKind::Unknown
            | TokenErrorKind::Unreadable
            | TokenErrorKind::Store
            | TokenErrorKind::Postponed => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Alternatives = Alternatives { access_is_valid: false, can_log_in: false };
    const VALID: Alternatives = Alternatives { access_is_valid: true, can_log_in: false };
    const LOGIN: Alternatives = Alternatives { access_is_valid: false, can_log_in: true };

    fn tokens(refresh: &str) -> TokenSet {
        TokenSet::new("access").with_refresh_token(refresh)
    }

    /// A ledger in which `r` was presented with this outcome.
    fn ledger(outcome: SpendOutcome, now: Instant) -> SpendLedger {
        let mut ledger = SpendLedger::default();
        ledger.present(&tokens("r"), now);
        ledger.conclude(&tokens("r"), outcome);
        ledger
    }

    #[test]
    fn a_token_that_was_not_presented_may_be() {
        let ledger = SpendLedger::default();
        for alternatives in [NONE, VALID, LOGIN] {
            assert_eq!(ledger.may_present(&tokens("r"), alternatives, Instant::now()), MayPresent::Yes);
        }
        assert_eq!(ledger.may_present(&TokenSet::new("access"), NONE, Instant::now()), MayPresent::No);
    }

    #[test]
    fn a_presentation_without_effect_is_undone() {
        let now = Instant::now();
        for outcome in [SpendOutcome::NoEffect, SpendOutcome::Granted] {
            assert_eq!(ledger(outcome, now).may_present(&tokens("r"), VALID, now), MayPresent::Yes);
        }
    }

    #[test]
    fn only_a_request_that_the_vendor_did_not_process_has_no_effect() {
        for (kind, outcome) in [
            (TokenErrorKind::NotSent, SpendOutcome::NoEffect),
            (TokenErrorKind::Throttled, SpendOutcome::NoEffect),
            (TokenErrorKind::Refused, SpendOutcome::Refused),
            (TokenErrorKind::Failed, SpendOutcome::Unknown),
            (TokenErrorKind::Unknown, SpendOutcome::Unknown),
            (TokenErrorKind::Unreadable, SpendOutcome::Unknown),
            (TokenErrorKind::Store, SpendOutcome::Unknown),
        ] {
            assert_eq!(SpendOutcome::of_error(kind), outcome, "{kind:?}");
        }
    }

    #[test]
    fn a_refused_token_is_never_presented_again() {
        let now = Instant::now();
        let mut ledger = ledger(SpendOutcome::Refused, now);
        ledger.learn(&tokens("r"), now);
        ledger.learn(&noted(&tokens("r"), 1), now);
        for alternatives in [NONE, VALID, LOGIN] {
            assert_eq!(ledger.may_present(&tokens("r"), alternatives, now + 100 * UNKNOWN_WAIT), MayPresent::No);
        }
        assert!(ledger.is_refused(&tokens("r")) && !ledger.is_refused(&tokens("s")));
    }

    #[test]
    fn an_unknown_outcome_is_presented_again_only_if_no_other_way_is_left_and_nothing_can_arrive() {
        let now = Instant::now();
        let ledger = ledger(SpendOutcome::Unknown, now);
        let late = now + UNKNOWN_WAIT;
        for moment in [now, late, now + 100 * UNKNOWN_WAIT] {
            assert_eq!(ledger.may_present(&tokens("r"), VALID, moment), MayPresent::NotYet);
            assert_eq!(ledger.may_present(&tokens("r"), LOGIN, moment), MayPresent::No);
        }
        assert_eq!(ledger.may_present(&tokens("r"), NONE, late - Duration::from_nanos(1)), MayPresent::After(late));
        assert_eq!(ledger.may_present(&tokens("r"), NONE, late), MayPresent::Yes);
    }

    fn noted(tokens: &TokenSet, second: i64) -> TokenSet {
        tokens.clone().with_presented_at(Some(Timestamp::from_second(second).unwrap()))
    }

    #[test]
    fn a_presentation_by_another_client_counts_from_its_note_on_until_the_note_is_gone() {
        let now = Instant::now();
        let mut ledger = SpendLedger::default();
        ledger.learn(&noted(&tokens("s"), 1), now);
        assert_eq!(ledger.may_present(&tokens("s"), VALID, now), MayPresent::NotYet);
        ledger.learn(&noted(&tokens("s"), 1), now + UNKNOWN_WAIT);
        assert_eq!(ledger.may_present(&tokens("s"), NONE, now + UNKNOWN_WAIT), MayPresent::Yes, "the same note");
        ledger.learn(&noted(&tokens("s"), 2), now + UNKNOWN_WAIT);
        let late = now + 2 * UNKNOWN_WAIT;
        assert_eq!(ledger.may_present(&tokens("s"), NONE, now + UNKNOWN_WAIT), MayPresent::After(late));
        ledger.learn(&tokens("s"), late);
        assert_eq!(ledger.may_present(&tokens("s"), VALID, late), MayPresent::Yes, "taken back");
    }

    #[test]
    fn an_own_presentation_counts_until_another_client_has_refreshed() {
        let now = Instant::now();
        let mut ledger = ledger(SpendOutcome::Unknown, now);
        ledger.learn(&tokens("r"), now);
        assert_eq!(ledger.may_present(&tokens("r"), VALID, now), MayPresent::NotYet, "its note could not be written");
        let refreshed = TokenSet::new("another access token").with_refresh_token("r");
        ledger.learn(&refreshed, now);
        assert_eq!(ledger.may_present(&refreshed, VALID, now), MayPresent::Yes);
    }

    #[test]
    fn the_latest_tokens_are_remembered() {
        let now = Instant::now();
        let mut ledger = ledger(SpendOutcome::Refused, now);
        for number in 1..REMEMBERED {
            ledger.present(&tokens(&number.to_string()), now);
        }
        assert!(ledger.is_refused(&tokens("r")));
        ledger.present(&tokens("one more"), now);
        assert!(!ledger.is_refused(&tokens("r")));
        assert_eq!(ledger.0.len(), REMEMBERED);
    }
}
