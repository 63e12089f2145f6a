//! Issues, refreshes and revokes the tokens of a mock server.
//!
//! All tokens of one login form a family, and the login and each refresh issue a generation of it. If refresh tokens
//! rotate, a refresh token that comes back after its replacement counts as stolen and ends its family, as the OAuth
//! security best practice (RFC 9700) advises.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clock::shifted;

/// The family and the generation of a token, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenOrigin {
    pub(crate) family: u32,
    pub(crate) generation: u32,
}

/// The tokens that a login or a refresh issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IssuedTokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) origin: TokenOrigin,
    pub(crate) scopes: BTreeSet<String>,
}

/// Why a refresh token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefreshError {
    Expired,
    /// It was replaced before; its family has ended.
    Reused,
    Unknown,
}

/// How long access tokens and refresh tokens are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenLifetimes {
    pub(crate) access: SignedDuration,
    pub(crate) refresh: SignedDuration,
}

impl TokenLifetimes {
    pub(crate) fn new(access: Duration, refresh: Duration) -> Self {
        let span = |span| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        Self { access: span(access), refresh: span(refresh) }
    }
}

/// The tokens that a mock server has issued, as far as they can still be recognized.
#[derive(Debug)]
pub(crate) struct TokenIssuer {
    lifetimes: TokenLifetimes,
    /// Whether a refresh replaces the refresh token.
    rotates: bool,
    families: Vec<Family>,
    logins: u32,
}

#[derive(Debug)]
struct Family {
    number: u32,
    owner: String,
    scopes: BTreeSet<String>,
    generation: u32,
    access: Vec<Issued>,
    /// The last one is valid. The ones before it were replaced, and are kept so that their reuse is detected.
    refresh: Vec<Issued>,
}

#[derive(Debug)]
struct Issued {
    value: String,
    generation: u32,
    expires_at: Timestamp,
}

impl TokenIssuer {
    pub(crate) fn new(lifetimes: TokenLifetimes, rotates: bool) -> Self {
        Self { lifetimes, rotates, families: Vec::new(), logins: 0 }
    }

    pub(crate) fn lifetimes(&self) -> TokenLifetimes {
        self.lifetimes
    }

    /// Issues the first tokens of a new family to `owner`.
    pub(crate) fn log_in(&mut self, owner: &str, scopes: BTreeSet<String>, now: Timestamp) -> IssuedTokens {
        self.log_in_for(self.lifetimes, owner, scopes, now)
    }

    /// The same with other lifetimes for the tokens that the login itself issues.
    pub(crate) fn log_in_for(
        &mut self,
        lifetimes: TokenLifetimes,
        owner: &str,
        scopes: BTreeSet<String>,
        now: Timestamp,
    ) -> IssuedTokens {
        self.logins += 1;
        let (number, owner) = (self.logins, owner.to_owned());
        let mut family = Family { number, owner, scopes, generation: 0, access: Vec::new(), refresh: Vec::new() };
        family.issue_refresh(1, lifetimes, now);
        let pair = family.issue_access(lifetimes, now);
        self.families.push(family);
        pair
    }

    /// Issues the next generation for a refresh token. Also returns the origin of that token if it is known, even if
    /// the refresh is refused.
    pub(crate) fn refresh(
        &mut self,
        owner: &str,
        value: &str,
        now: Timestamp,
    ) -> (Option<TokenOrigin>, Result<IssuedTokens, RefreshError>) {
        let found = self.families.iter().enumerate().find_map(|(index, family)| {
            let issued = family.refresh.iter().find(|issued| issued.value == value && family.owner == owner)?;
            Some((index, issued.generation, issued.expires_at))
        });
        let Some((index, generation, expires_at)) = found else {
            return (None, Err(RefreshError::Unknown));
        };
        let family = &mut self.families[index];
        // Without rotation the refresh token belongs to the current generation.
        let presented = if self.rotates { generation } else { family.generation };
        let origin = TokenOrigin { family: family.number, generation: presented };
        let replaced = family.refresh.last().is_some_and(|last| last.generation != generation);
        let outcome = if replaced {
            self.families.remove(index);
            Err(RefreshError::Reused)
        } else if expires_at <= now {
            Err(RefreshError::Expired)
        } else {
            if self.rotates {
                family.issue_refresh(family.generation + 1, self.lifetimes, now);
            }
            Ok(family.issue_access(self.lifetimes, now))
        };
        (Some(origin), outcome)
    }

    /// The origin and the scopes of a valid access token.
    pub(crate) fn validate(&self, access: &str, now: Timestamp) -> Option<(TokenOrigin, &BTreeSet<String>)> {
        self.families.iter().find_map(|family| {
            let issued = family.access.iter().rev().find(|issued| issued.value == access && now < issued.expires_at)?;
            Some((TokenOrigin { family: family.number, generation: issued.generation }, &family.scopes))
        })
    }

    /// The owner of a family.
    pub(crate) fn owner(&self, family: u32) -> Option<&str> {
        self.families.iter().find(|known| known.number == family).map(|known| known.owner.as_str())
    }

    /// The origin of a refresh token, valid or replaced.
    pub(crate) fn origin_of(&self, refresh: &str) -> Option<TokenOrigin> {
        self.families.iter().find_map(|family| {
            let issued = family.refresh.iter().find(|issued| issued.value == refresh)?;
            // Without rotation the refresh token belongs to the current generation.
            let generation = if self.rotates { issued.generation } else { family.generation };
            Some(TokenOrigin { family: family.number, generation })
        })
    }

    /// The families that have not ended.
    pub(crate) fn families(&self) -> impl Iterator<Item = u32> {
        self.families.iter().map(|family| family.number)
    }

    /// Revokes a token and returns its origin. An access token ends alone, a refresh token with its family.
    pub(crate) fn revoke(&mut self, value: &str) -> Option<TokenOrigin> {
        let index = self.families.iter().position(|family| family.contains(value))?;
        let family = &mut self.families[index];
        let origin = TokenOrigin { family: family.number, generation: family.generation };
        match family.access.iter().position(|issued| issued.value == value) {
            Some(issued) => drop(family.access.remove(issued)),
            None => drop(self.families.remove(index)),
        }
        Some(origin)
    }

    /// Revokes all tokens of one login.
    pub(crate) fn revoke_family(&mut self, family: u32) {
        self.families.retain(|known| known.number != family);
    }

    /// Revokes the access tokens of a family that are older than this generation.
    pub(crate) fn revoke_older(&mut self, latest: TokenOrigin) {
        for family in self.families.iter_mut().filter(|known| known.number == latest.family) {
            family.access.retain(|issued| issued.generation >= latest.generation);
        }
    }

    /// Revokes all access tokens. Refresh tokens stay valid.
    pub(crate) fn revoke_access_tokens(&mut self) {
        self.families.iter_mut().for_each(|family| family.access.clear());
    }

    /// Revokes all tokens.
    pub(crate) fn revoke_all(&mut self) {
        self.families.clear();
    }
}

impl Family {
    fn contains(&self, value: &str) -> bool {
        self.access.iter().chain(&self.refresh).any(|issued| issued.value == value)
    }

    fn issue_refresh(&mut self, generation: u32, lifetimes: TokenLifetimes, now: Timestamp) {
        let value = format!("test-refresh-{}-{generation}", self.number);
        self.refresh.push(Issued { value, generation, expires_at: shifted(now, lifetimes.refresh) });
    }

    /// Issues the access token of the next generation, with the valid refresh token.
    fn issue_access(&mut self, lifetimes: TokenLifetimes, now: Timestamp) -> IssuedTokens {
        // Drops expired tokens, so that months of a simulation do not fill the memory.
        self.access.retain(|issued| now < issued.expires_at);
        let last = self.refresh.len().saturating_sub(1);
        let mut index = 0;
        self.refresh.retain(|issued| {
            index += 1;
            index > last || now < issued.expires_at
        });
        self.generation += 1;
        let (number, generation) = (self.number, self.generation);
        let access = format!("test-access-{number}-{generation}");
        let expires_at = shifted(now, lifetimes.access);
        self.access.push(Issued { value: access.clone(), generation, expires_at });
        let refresh = self.refresh.last().map(|issued| issued.value.clone()).unwrap_or_default();
        IssuedTokens {
            access,
            refresh,
            origin: TokenOrigin { family: number, generation },
            scopes: self.scopes.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_772_438_400 + seconds).expect("in range")
    }

    fn issuer(rotates: bool) -> (TokenIssuer, IssuedTokens) {
        let lifetimes =
            TokenLifetimes { access: SignedDuration::from_secs(3600), refresh: SignedDuration::from_hours(24 * 30) };
        let mut issuer = TokenIssuer::new(lifetimes, rotates);
        let pair = issuer.log_in("me", ["admin".to_owned()].into(), at(0));
        (issuer, pair)
    }

    fn refreshed(issuer: &mut TokenIssuer, value: &str, now: Timestamp) -> Result<IssuedTokens, RefreshError> {
        issuer.refresh("me", value, now).1
    }

    #[test]
    fn an_access_token_is_valid_until_the_second_it_expires() {
        let (issuer, pair) = issuer(false);
        assert!(issuer.validate(&pair.access, at(3599)).is_some());
        assert!(issuer.validate(&pair.access, at(3600)).is_none());
        assert!(issuer.validate(&pair.refresh, at(0)).is_none(), "a refresh token is not an access token");
    }

    #[test]
    fn without_rotation_a_refresh_token_is_used_until_it_expires() {
        let (mut issuer, first) = issuer(false);
        for generation in 2..5 {
            let (origin, pair) = issuer.refresh("me", &first.refresh, at(10));
            assert_eq!(origin, Some(TokenOrigin { family: 1, generation: generation - 1 }));
            let pair = pair.expect("refreshed");
            assert_eq!((pair.origin.generation, &pair.refresh), (generation, &first.refresh));
        }
        let month = 30 * 24 * 3600;
        assert!(refreshed(&mut issuer, &first.refresh, at(month - 1)).is_ok());
        assert_eq!(refreshed(&mut issuer, &first.refresh, at(month)), Err(RefreshError::Expired));
    }

    #[test]
    fn a_rotated_refresh_token_has_a_full_lifetime() {
        let (mut issuer, first) = issuer(true);
        let month = 30 * 24 * 3600;
        let second = refreshed(&mut issuer, &first.refresh, at(month - 1)).expect("refreshed");
        assert_ne!(second.refresh, first.refresh);
        assert!(refreshed(&mut issuer, &second.refresh, at(month + 1)).is_ok());
    }

    #[test]
    fn a_refresh_token_used_twice_ends_its_family() {
        let (mut issuer, first) = issuer(true);
        let second = refreshed(&mut issuer, &first.refresh, at(1)).expect("refreshed");
        let (origin, again) = issuer.refresh("me", &first.refresh, at(2));
        assert_eq!((origin, again), (Some(first.origin), Err(RefreshError::Reused)));
        assert_eq!(refreshed(&mut issuer, &second.refresh, at(3)), Err(RefreshError::Unknown));
        assert!(issuer.validate(&second.access, at(3)).is_none());
    }

    #[test]
    fn revoking_one_family_leaves_the_others_valid() {
        let (mut issuer, first) = issuer(true);
        let other = issuer.log_in("me", BTreeSet::new(), at(0));
        issuer.revoke_family(first.origin.family);
        assert!(issuer.validate(&first.access, at(1)).is_none());
        assert!(issuer.validate(&other.access, at(1)).is_some());
    }

    #[test]
    fn older_access_tokens_can_be_revoked() {
        let (mut issuer, first) = issuer(true);
        let other = issuer.log_in("me", BTreeSet::new(), at(0));
        let second = refreshed(&mut issuer, &first.refresh, at(1)).expect("refreshed");
        issuer.revoke_older(second.origin);
        let valid = [&first, &second, &other].map(|pair| issuer.validate(&pair.access, at(2)).is_some());
        assert_eq!(valid, [false, true, true]);
    }

    #[test]
    fn a_login_can_have_its_own_lifetimes() {
        let (mut issuer, _) = issuer(false);
        let lifetimes = TokenLifetimes { access: SignedDuration::from_secs(10), refresh: SignedDuration::MAX };
        let short = issuer.log_in_for(lifetimes, "me", BTreeSet::new(), at(0));
        assert!(issuer.validate(&short.access, at(9)).is_some() && issuer.validate(&short.access, at(10)).is_none());
    }

    #[test]
    fn each_token_belongs_to_its_login() {
        let (mut issuer, first) = issuer(true);
        let other = issuer.log_in("them", BTreeSet::new(), at(0));
        let second = refreshed(&mut issuer, &first.refresh, at(1)).expect("refreshed");
        for pair in [&first, &second, &other] {
            assert_eq!(issuer.origin_of(&pair.refresh), Some(pair.origin));
        }
        assert_eq!((issuer.owner(1), issuer.owner(2), issuer.owner(3)), (Some("me"), Some("them"), None));
    }

    #[test]
    fn a_refresh_token_of_another_owner_is_unknown() {
        let (mut issuer, pair) = issuer(true);
        assert_eq!(issuer.refresh("them", &pair.refresh, at(1)), (None, Err(RefreshError::Unknown)));
        assert!(refreshed(&mut issuer, &pair.refresh, at(2)).is_ok());
    }

    #[test]
    fn revoking_an_access_token_leaves_the_refresh_token_and_the_reverse_does_not() {
        let (mut issuer, pair) = issuer(true);
        assert_eq!(issuer.revoke(&pair.access), Some(pair.origin));
        assert!(issuer.validate(&pair.access, at(1)).is_none());
        let second = refreshed(&mut issuer, &pair.refresh, at(1)).expect("refreshed");
        assert!(issuer.revoke(&second.refresh).is_some());
        assert!(issuer.validate(&second.access, at(1)).is_none());
        assert_eq!(issuer.revoke("unknown"), None);
    }

    #[test]
    fn years_of_refreshing_keep_few_tokens() {
        let (mut issuer, mut pair) = issuer(true);
        for hour in 1..20_000 {
            pair = refreshed(&mut issuer, &pair.refresh, at(hour * 3600)).expect("refreshed");
        }
        let family = &issuer.families[0];
        assert!(family.access.len() <= 2 && family.refresh.len() <= 24 * 30 + 1, "{}", family.refresh.len());
    }
}
