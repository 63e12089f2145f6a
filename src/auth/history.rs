//! The token sets that a client knows: the newest, the one before it, and fallbacks of other logins.

use tokio::time::Instant;

use super::expiry;
use super::lineage::{Preferred, is_same_lineage, preferred};
use super::token_set::TokenSet;

/// How many other logins a client remembers.
const FALLBACKS: usize = 4;

/// The token sets that a client knows.
#[derive(Debug, Default)]
pub(super) struct TokenHistory {
    /// The newest tokens, valid or not: the next refresh begins with them.
    newest: Option<TokenSet>,
    /// The tokens before them. Responses to calls that were sent with them still arrive and may quote them.
    previous: Option<TokenSet>,
    /// Tokens of other logins, one for each, which are tried if the newest are refused. The last is tried first.
    fallbacks: Vec<TokenSet>,
    /// The tokens whose access token the vendor rejected before it expired.
    rejected: Option<TokenSet>,
    rejections: Rejections,
}

/// How many access tokens in a row the vendor rejected, and when it last did.
#[derive(Debug, Default)]
struct Rejections {
    in_a_row: u32,
    last: Option<Instant>,
}

impl TokenHistory {
    /// The history of a client that was given these tokens.
    pub(super) fn new(tokens: Option<TokenSet>) -> Self {
        let first = |tokens: TokenSet| {
            let generation = tokens.generation().max(1);
            tokens.with_own_lineage().with_generation(generation)
        };
        Self { newest: tokens.map(first), ..Self::default() }
    }

    pub(super) fn newest(&self) -> Option<&TokenSet> {
        self.newest.as_ref()
    }

    /// The generation of the newest tokens; 0 without tokens.
    pub(super) fn generation(&self) -> u64 {
        self.newest.as_ref().map_or(0, TokenSet::generation)
    }

    /// Every token set that a response may quote.
    pub(super) fn all(&self) -> impl Iterator<Item = &TokenSet> {
        self.newest.iter().chain(&self.previous).chain(&self.fallbacks)
    }

    /// Puts tokens in place of the newest, which they replace.
    pub(super) fn replace(&mut self, newest: TokenSet) {
        let old = self.newest.replace(newest);
        self.previous = old.or_else(|| self.previous.take());
    }

    /// Takes over what is recorded about tokens, if they are the newest.
    pub(super) fn record(&mut self, tokens: TokenSet) {
        self.update_newest(|newest| if newest.differs(&tokens) { newest } else { tokens });
    }

    /// Changes what is recorded about the newest tokens.
    pub(super) fn update_newest(&mut self, change: impl FnOnce(TokenSet) -> TokenSet) {
        self.newest = self.newest.take().map(change);
    }

    /// Forgets the newest tokens and the fallbacks. The newest can still be quoted.
    pub(super) fn clear(&mut self) {
        self.previous = self.newest.take().or_else(|| self.previous.take());
        self.fallbacks.clear();
    }

    /// Takes over stored tokens, if they are to be preferred; returns whether they are. Tokens of another login that are not
    /// used become the fallback. What the vendor has refused gives way to another login, whatever the clocks say.
    pub(super) fn merge(&mut self, stored: &TokenSet, is_refused: impl Fn(&TokenSet) -> bool) -> bool {
        let Some(own) = &self.newest else {
            self.newest = Some(stored.clone());
            return true;
        };
        let other_login = !is_same_lineage(own, stored);
        let own_is_refused = is_refused(own) || self.is_rejected(own);
        let gives_way = other_login && own_is_refused && !is_refused(stored);
        match preferred(own, stored) {
            Preferred::Same => {
                // The record knows more: its lineage, and whether the refresh token is being presented.
                self.newest = Some(stored.clone());
                false
            }
            Preferred::Own if !gives_way => {
                if other_login {
                    // Above the record that they will replace, so that no reader takes them for older.
                    let generation = own.generation().max(stored.generation() + 1);
                    self.add_fallback(stored.clone());
                    self.update_newest(|newest| newest.with_generation(generation));
                }
                false
            }
            Preferred::Own | Preferred::Stored => {
                self.switch_to(stored.clone());
                true
            }
        }
    }

    /// Puts tokens in place of the newest, which become a fallback if they are of another login.
    pub(super) fn switch_to(&mut self, tokens: TokenSet) {
        if let Some(old) = self.newest.clone().filter(|old| !is_same_lineage(old, &tokens)) {
            self.add_fallback(old);
        }
        self.replace(tokens);
    }

    /// Keeps tokens of another login, in place of older ones of the same.
    fn add_fallback(&mut self, tokens: TokenSet) {
        self.fallbacks.retain(|fallback| !is_same_lineage(fallback, &tokens) && fallback.differs(&tokens));
        if self.fallbacks.len() == FALLBACKS {
            self.fallbacks.remove(0);
        }
        self.fallbacks.push(tokens);
    }

    /// Takes the latest usable fallback in place of the newest tokens; returns whether there was one.
    pub(super) fn fall_back(&mut self, is_usable: impl Fn(&TokenSet) -> bool) -> bool {
        self.fallbacks.retain(is_usable);
        let Some(fallback) = self.fallbacks.pop() else { return false };
        let generation = self.generation().max(fallback.generation()) + 1;
        self.replace(fallback.with_generation(generation));
        true
    }

    pub(super) fn fallbacks(&self) -> &[TokenSet] {
        &self.fallbacks
    }

    /// Notes that the vendor rejected the access token of these tokens before it expired.
    pub(super) fn reject(&mut self, tokens: &TokenSet) {
        self.rejected = Some(tokens.clone());
    }

    /// Whether the vendor rejected the access token of these tokens.
    pub(super) fn is_rejected(&self, tokens: &TokenSet) -> bool {
        self.rejected.as_ref().is_some_and(|rejected| !rejected.differs(tokens))
    }

    /// Notes another rejection if it may cost a token request now; returns whether it may. A vendor that rejects every token
    /// must not cause one request for each call: the first rejection counts at once, the next ones as far apart as failed
    /// refreshes.
    pub(super) fn count_rejection(&mut self, now: Instant) -> bool {
        let Rejections { in_a_row, last } = self.rejections;
        let since = last.map(|last| now.saturating_duration_since(last));
        let counted = match since {
            None => Some(1),
            Some(since) if since >= expiry::REJECTION_MEMORY => Some(1),
            Some(since) => (since >= expiry::pause(in_a_row)).then_some(in_a_row + 1),
        };
        if let Some(in_a_row) = counted {
            self.rejections = Rejections { in_a_row, last: Some(now) };
        }
        counted.is_some()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn login(name: &str, second: i64) -> TokenSet {
        TokenSet::new(name)
            .with_own_lineage()
            .with_generation(1)
            .with_obtained_at(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn a_later_login_in_the_store_is_taken_over_and_the_own_one_becomes_the_fallback() {
        let mut history = TokenHistory::new(Some(login("own", 0)));
        assert!(history.merge(&login("stored", 1), |_| false));
        assert!(!history.newest().unwrap().differs(&login("stored", 1)));
        assert!(!history.fallbacks()[0].differs(&login("own", 0)));
        assert!(history.fall_back(|_| true) && history.fallbacks().is_empty());
        assert_eq!((history.newest().unwrap().differs(&login("own", 0)), history.generation()), (false, 2));
    }

    #[test]
    fn an_earlier_login_in_the_store_becomes_the_fallback() {
        let mut history = TokenHistory::new(Some(login("own", 1)));
        assert!(!history.merge(&login("stored", 0), |_| false));
        assert!(!history.newest().unwrap().differs(&login("own", 1)));
        assert!(!history.fallbacks()[0].differs(&login("stored", 0)));
    }

    #[test]
    fn refused_tokens_give_way_to_an_earlier_login_and_not_to_a_refused_one() {
        let is_own = |tokens: &TokenSet| !tokens.differs(&login("own", 1));
        let mut history = TokenHistory::new(Some(login("own", 1)));
        assert!(!history.merge(&login("stored", 0), |_| true));
        assert!(history.merge(&login("stored", 0), is_own));
        assert!(!history.newest().unwrap().differs(&login("stored", 0)));

        let mut history = TokenHistory::new(Some(login("own", 1)));
        history.reject(&login("own", 1));
        assert!(history.merge(&login("stored", 0), |_| false), "its access token was rejected");
    }

    #[test]
    fn each_other_login_is_a_fallback_and_the_latest_is_tried_first() {
        let mut history = TokenHistory::new(Some(login("1", 1)));
        for second in 2..=8 {
            history.merge(&login(&second.to_string(), second), |_| false);
        }
        assert_eq!(history.fallbacks().len(), FALLBACKS);
        let is_usable = |tokens: &TokenSet| tokens.differs(&login("6", 6));
        for second in [7, 5, 4] {
            assert!(history.fall_back(is_usable));
            assert!(!history.newest().unwrap().differs(&login(&second.to_string(), second)), "{second}");
        }
        assert!(!history.fall_back(is_usable));
    }

    #[test]
    fn what_was_replaced_is_no_fallback() {
        let first = login("first", 0);
        let second = TokenSet::new("second").with_lineage_of(&first).with_generation(2);
        let mut history = TokenHistory::new(Some(first.clone()));
        assert!(history.merge(&second, |_| false) && !history.merge(&first, |_| false));
        assert!(history.fallbacks().is_empty() && !history.newest().unwrap().differs(&second));
    }

    #[test]
    fn the_record_of_the_same_tokens_brings_what_is_noted_about_them() {
        let own = login("own", 0);
        let noted = own.clone().with_presented_at(Some(Timestamp::UNIX_EPOCH)).with_new_revision();
        let mut history = TokenHistory::new(Some(own));
        assert!(!history.merge(&noted, |_| false));
        assert_eq!(history.newest().unwrap().presented_at(), Some(Timestamp::UNIX_EPOCH));
    }

    fn refreshed(login: &TokenSet, name: &str, generation: u64) -> TokenSet {
        let obtained_at = login.obtained_at().unwrap();
        TokenSet::new(name).with_lineage_of(login).with_generation(generation).with_obtained_at(obtained_at)
    }

    #[test]
    fn refused_tokens_do_not_give_way_to_those_that_they_replaced() {
        let first = login("first", 0);
        let second = refreshed(&first, "second", 2);
        let mut history = TokenHistory::new(Some(second.clone()));
        assert!(!history.merge(&first, |tokens| !tokens.differs(&second)));
        assert!(!history.newest().unwrap().differs(&second) && history.fallbacks().is_empty());
    }

    #[test]
    fn of_one_other_login_the_latest_tokens_are_the_only_fallback() {
        let other = login("other", 0);
        let mut history = TokenHistory::new(Some(login("own", 1)));
        history.merge(&other, |_| false);
        history.merge(&refreshed(&other, "other-2", 2), |_| false);
        assert_eq!(history.fallbacks().len(), 1);
        assert!(!history.fallbacks()[0].differs(&TokenSet::new("other-2")));
        assert!(history.generation() > 2, "above the record that they will replace");
    }

    #[test]
    fn forgotten_tokens_can_still_be_quoted_and_have_no_fallback() {
        let mut history = TokenHistory::new(Some(login("own", 1)));
        history.merge(&login("other", 0), |_| false);
        history.clear();
        assert!(history.newest().is_none() && history.fallbacks().is_empty());
        assert_eq!(history.all().map(|tokens| !tokens.differs(&login("own", 1))).collect::<Vec<_>>(), [true]);
        history.clear();
        assert_eq!(history.all().count(), 1, "a second time too");
    }

    #[test]
    fn the_tokens_before_the_newest_can_be_quoted() {
        let mut history = TokenHistory::new(Some(login("a", 0)));
        history.replace(login("b", 1));
        let quoted = |history: &TokenHistory, name| history.all().any(|tokens| !tokens.differs(&TokenSet::new(name)));
        assert!(quoted(&history, "a") && quoted(&history, "b"));
    }

    #[test]
    fn rejections_count_ever_more_rarely_until_ten_quiet_minutes_have_passed() {
        let (mut history, now) = (TokenHistory::default(), Instant::now());
        let counted: Vec<u64> =
            (0..600).filter(|second| history.count_rejection(now + std::time::Duration::from_secs(*second))).collect();
        assert_eq!(counted, [0, 30, 90, 210, 450]);
        let later = now + std::time::Duration::from_secs(450) + expiry::REJECTION_MEMORY;
        assert!(history.count_rejection(later), "forgotten");
        assert!(history.count_rejection(later + std::time::Duration::from_secs(30)), "the count began anew");
    }
}
