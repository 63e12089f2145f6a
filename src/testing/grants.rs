//! Tokens that a tenant gives out, renews and takes back.
//!
//! Everything that comes of one login is a family. Each login and each refresh makes a new generation of its tokens. Where
//! refresh tokens rotate, one that comes a second time was stolen or lost: it ends its family, as OAuth's best practice
//! has it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clock::shifted;

/// Which tokens a request is about: the family, from 1, and the generation in it, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Origin {
    pub(crate) family: u32,
    pub(crate) generation: u32,
}

/// What a login or a refresh gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) origin: Origin,
    pub(crate) scopes: BTreeSet<String>,
}

/// Why a refresh is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    /// Its 14 or 30 days are over.
    Expired,
    /// It was used before and replaced; its family has ended for that.
    Reused,
    /// Nobody knows it any more, or ever did.
    Unknown,
}

/// How long tokens live.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) access: SignedDuration,
    pub(crate) refresh: SignedDuration,
}

impl Lifetimes {
    pub(crate) fn new(access: Duration, refresh: Duration) -> Self {
        let span = |span| SignedDuration::try_from(span).unwrap_or(SignedDuration::MAX);
        Self { access: span(access), refresh: span(refresh) }
    }
}

/// All tokens that were given out and may still matter.
#[derive(Debug)]
pub(crate) struct Grants {
    lifetimes: Lifetimes,
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
    /// The last one is in force. Those before it were replaced and are kept to be recognised.
    refresh: Vec<Issued>,
}

#[derive(Debug)]
struct Issued {
    value: String,
    generation: u32,
    expires_at: Timestamp,
}

impl Grants {
    pub(crate) fn new(lifetimes: Lifetimes, rotates: bool) -> Self {
        Self { lifetimes, rotates, families: Vec::new(), logins: 0 }
    }

    pub(crate) fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// Gives `owner` the first tokens of a new family.
    pub(crate) fn log_in(&mut self, owner: &str, scopes: BTreeSet<String>, now: Timestamp) -> Pair {
        self.log_in_for(self.lifetimes, owner, scopes, now)
    }

    /// The same with lifetimes of its own for what the login itself gives.
    pub(crate) fn log_in_for(
        &mut self,
        lifetimes: Lifetimes,
        owner: &str,
        scopes: BTreeSet<String>,
        now: Timestamp,
    ) -> Pair {
        self.logins += 1;
        let (number, owner) = (self.logins, owner.to_owned());
        let mut family = Family { number, owner, scopes, generation: 0, access: Vec::new(), refresh: Vec::new() };
        family.issue_refresh(1, lifetimes, now);
        let pair = family.issue_access(lifetimes, now);
        self.families.push(family);
        pair
    }

    /// Renews a family by its refresh token. Tells which tokens the request was about, whatever becomes of it.
    pub(crate) fn refresh(
        &mut self,
        owner: &str,
        value: &str,
        now: Timestamp,
    ) -> (Option<Origin>, Result<Pair, Stale>) {
        let found = self.families.iter().enumerate().find_map(|(index, family)| {
            let issued = family.refresh.iter().find(|issued| issued.value == value && family.owner == owner)?;
            Some((index, issued.generation, issued.expires_at))
        });
        let Some((index, generation, expires_at)) = found else {
            return (None, Err(Stale::Unknown));
        };
        let family = &mut self.families[index];
        // A refresh token that stays belongs to whatever generation there is.
        let presented = if self.rotates { generation } else { family.generation };
        let origin = Origin { family: family.number, generation: presented };
        let replaced = family.refresh.last().is_some_and(|last| last.generation != generation);
        let outcome = if replaced {
            self.families.remove(index);
            Err(Stale::Reused)
        } else if expires_at <= now {
            Err(Stale::Expired)
        } else {
            if self.rotates {
                family.issue_refresh(family.generation + 1, self.lifetimes, now);
            }
            Ok(family.issue_access(self.lifetimes, now))
        };
        (Some(origin), outcome)
    }

    /// What a living access token belongs to, and what it may do.
    pub(crate) fn admit(&self, access: &str, now: Timestamp) -> Option<(Origin, &BTreeSet<String>)> {
        self.families.iter().find_map(|family| {
            let issued = family.access.iter().rev().find(|issued| issued.value == access && now < issued.expires_at)?;
            Some((Origin { family: family.number, generation: issued.generation }, &family.scopes))
        })
    }

    /// Whom a family belongs to.
    pub(crate) fn owner(&self, family: u32) -> Option<&str> {
        self.families.iter().find(|known| known.number == family).map(|known| known.owner.as_str())
    }

    /// What a refresh token belongs to, in force or replaced.
    pub(crate) fn origin_of(&self, refresh: &str) -> Option<Origin> {
        self.families.iter().find_map(|family| {
            let issued = family.refresh.iter().find(|issued| issued.value == refresh)?;
            // One that stays belongs to whatever generation there is.
            let generation = if self.rotates { issued.generation } else { family.generation };
            Some(Origin { family: family.number, generation })
        })
    }

    /// The families that have not ended.
    pub(crate) fn families(&self) -> impl Iterator<Item = u32> {
        self.families.iter().map(|family| family.number)
    }

    /// Takes back a token: an access token alone, a refresh token with its family. Tells what it belonged to.
    pub(crate) fn revoke(&mut self, value: &str) -> Option<Origin> {
        let index = self.families.iter().position(|family| family.knows(value))?;
        let family = &mut self.families[index];
        let origin = Origin { family: family.number, generation: family.generation };
        match family.access.iter().position(|issued| issued.value == value) {
            Some(issued) => drop(family.access.remove(issued)),
            None => drop(self.families.remove(index)),
        }
        Some(origin)
    }

    /// Takes back all that came of one login.
    pub(crate) fn end(&mut self, family: u32) {
        self.families.retain(|known| known.number != family);
    }

    /// Takes back the access tokens of a family that are older than this generation.
    pub(crate) fn end_before(&mut self, latest: Origin) {
        for family in self.families.iter_mut().filter(|known| known.number == latest.family) {
            family.access.retain(|issued| issued.generation >= latest.generation);
        }
    }

    /// Takes back all access tokens and leaves the refresh tokens in force.
    pub(crate) fn end_access(&mut self) {
        self.families.iter_mut().for_each(|family| family.access.clear());
    }

    /// Takes back everything.
    pub(crate) fn end_all(&mut self) {
        self.families.clear();
    }
}

impl Family {
    fn knows(&self, value: &str) -> bool {
        self.access.iter().chain(&self.refresh).any(|issued| issued.value == value)
    }

    fn issue_refresh(&mut self, generation: u32, lifetimes: Lifetimes, now: Timestamp) {
        let value = format!("test-refresh-{}-{generation}", self.number);
        self.refresh.push(Issued { value, generation, expires_at: shifted(now, lifetimes.refresh) });
    }

    /// The next generation's access token, with the refresh token that is in force.
    fn issue_access(&mut self, lifetimes: Lifetimes, now: Timestamp) -> Pair {
        // Months of a simulation leave nothing behind but what can still be recognised.
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
        Pair { access, refresh, origin: Origin { family: number, generation }, scopes: self.scopes.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_772_438_400 + seconds).expect("in range")
    }

    fn grants(rotates: bool) -> (Grants, Pair) {
        let lifetimes =
            Lifetimes { access: SignedDuration::from_secs(3600), refresh: SignedDuration::from_hours(24 * 30) };
        let mut grants = Grants::new(lifetimes, rotates);
        let pair = grants.log_in("me", ["admin".to_owned()].into(), at(0));
        (grants, pair)
    }

    fn refreshed(grants: &mut Grants, value: &str, now: Timestamp) -> Result<Pair, Stale> {
        grants.refresh("me", value, now).1
    }

    #[test]
    fn an_access_token_lives_to_the_second() {
        let (grants, pair) = grants(false);
        assert!(grants.admit(&pair.access, at(3599)).is_some());
        assert!(grants.admit(&pair.access, at(3600)).is_none());
        assert!(grants.admit(&pair.refresh, at(0)).is_none(), "a refresh token opens nothing");
    }

    #[test]
    fn a_refresh_token_that_stays_can_be_used_until_it_expires() {
        let (mut grants, first) = grants(false);
        for generation in 2..5 {
            let (origin, pair) = grants.refresh("me", &first.refresh, at(10));
            assert_eq!(origin, Some(Origin { family: 1, generation: generation - 1 }));
            let pair = pair.expect("renewed");
            assert_eq!((pair.origin.generation, &pair.refresh), (generation, &first.refresh));
        }
        let month = 30 * 24 * 3600;
        assert!(refreshed(&mut grants, &first.refresh, at(month - 1)).is_ok());
        assert_eq!(refreshed(&mut grants, &first.refresh, at(month)), Err(Stale::Expired));
    }

    #[test]
    fn a_rotated_refresh_token_begins_its_days_anew() {
        let (mut grants, first) = grants(true);
        let month = 30 * 24 * 3600;
        let second = refreshed(&mut grants, &first.refresh, at(month - 1)).expect("renewed");
        assert_ne!(second.refresh, first.refresh);
        assert!(refreshed(&mut grants, &second.refresh, at(month + 1)).is_ok());
    }

    #[test]
    fn a_refresh_token_used_twice_ends_its_family() {
        let (mut grants, first) = grants(true);
        let second = refreshed(&mut grants, &first.refresh, at(1)).expect("renewed");
        let (origin, again) = grants.refresh("me", &first.refresh, at(2));
        assert_eq!((origin, again), (Some(first.origin), Err(Stale::Reused)));
        assert_eq!(refreshed(&mut grants, &second.refresh, at(3)), Err(Stale::Unknown));
        assert!(grants.admit(&second.access, at(3)).is_none());
    }

    #[test]
    fn one_family_does_not_suffer_for_another() {
        let (mut grants, first) = grants(true);
        let other = grants.log_in("me", BTreeSet::new(), at(0));
        grants.end(first.origin.family);
        assert!(grants.admit(&first.access, at(1)).is_none());
        assert!(grants.admit(&other.access, at(1)).is_some());
    }

    #[test]
    fn older_access_tokens_can_be_taken_back() {
        let (mut grants, first) = grants(true);
        let other = grants.log_in("me", BTreeSet::new(), at(0));
        let second = refreshed(&mut grants, &first.refresh, at(1)).expect("renewed");
        grants.end_before(second.origin);
        let alive = [&first, &second, &other].map(|pair| grants.admit(&pair.access, at(2)).is_some());
        assert_eq!(alive, [false, true, true]);
    }

    #[test]
    fn a_login_can_have_lifetimes_of_its_own() {
        let (mut grants, _) = grants(false);
        let lifetimes = Lifetimes { access: SignedDuration::from_secs(10), refresh: SignedDuration::MAX };
        let short = grants.log_in_for(lifetimes, "me", BTreeSet::new(), at(0));
        assert!(grants.admit(&short.access, at(9)).is_some() && grants.admit(&short.access, at(10)).is_none());
    }

    #[test]
    fn tokens_of_two_logins_do_not_belong_together() {
        let (mut grants, first) = grants(true);
        let other = grants.log_in("them", BTreeSet::new(), at(0));
        let second = refreshed(&mut grants, &first.refresh, at(1)).expect("renewed");
        for pair in [&first, &second, &other] {
            assert_eq!(grants.origin_of(&pair.refresh), Some(pair.origin));
        }
        assert_eq!((grants.owner(1), grants.owner(2), grants.owner(3)), (Some("me"), Some("them"), None));
    }

    #[test]
    fn somebody_elses_refresh_token_is_unknown() {
        let (mut grants, pair) = grants(true);
        assert_eq!(grants.refresh("them", &pair.refresh, at(1)), (None, Err(Stale::Unknown)));
        assert!(refreshed(&mut grants, &pair.refresh, at(2)).is_ok());
    }

    #[test]
    fn revoking_an_access_token_leaves_the_refresh_token_and_the_reverse_does_not() {
        let (mut grants, pair) = grants(true);
        assert_eq!(grants.revoke(&pair.access), Some(pair.origin));
        assert!(grants.admit(&pair.access, at(1)).is_none());
        let second = refreshed(&mut grants, &pair.refresh, at(1)).expect("renewed");
        assert!(grants.revoke(&second.refresh).is_some());
        assert!(grants.admit(&second.access, at(1)).is_none());
        assert_eq!(grants.revoke("nobody's"), None);
    }

    #[test]
    fn years_of_refreshing_leave_little_behind() {
        let (mut grants, mut pair) = grants(true);
        for hour in 1..20_000 {
            pair = refreshed(&mut grants, &pair.refresh, at(hour * 3600)).expect("renewed");
        }
        let family = &grants.families[0];
        assert!(family.access.len() <= 2 && family.refresh.len() <= 24 * 30 + 1, "{}", family.refresh.len());
    }
}
