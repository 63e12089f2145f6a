//! Which of two token sets a client uses: pure.
//!
//! A *lineage* is a login and all refreshes that follow from it. Within a lineage, a refresh token that was replaced is worth
//! nothing, so the later generation counts. Between lineages nothing is certain, so the later login counts and the other one
//! is kept as a fallback.

use super::token_set::TokenSet;

/// The token set to use, of the client's own and the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Preferred {
    /// Both hold the same tokens.
    Same,
    Own,
    Stored,
}

/// Decides which of two token sets to use.
pub(super) fn preferred(own: &TokenSet, stored: &TokenSet) -> Preferred {
    if !own.differs(stored) {
        return Preferred::Same;
    }
    let is_newer = match is_same_lineage(own, stored) {
        true => (own.generation(), own.obtained_at()) > (stored.generation(), stored.obtained_at()),
        // An unknown time is earlier than any other.
        false => own.obtained_at() > stored.obtained_at(),
    };
    if is_newer { Preferred::Own } else { Preferred::Stored }
}

/// Whether both come from the same login, so that one of them has replaced the other.
pub(super) fn is_same_lineage(one: &TokenSet, other: &TokenSet) -> bool {
    one.lineage().is_some() && one.lineage() == other.lineage()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn login(name: &str) -> TokenSet {
        TokenSet::new(format!("{name}-access-1")).with_refresh_token(format!("{name}-refresh-1")).with_own_lineage()
    }

    fn refreshed(login: &TokenSet, name: &str, generation: u64) -> TokenSet {
        TokenSet::new(format!("{name}-access-{generation}")).with_lineage_of(login).with_generation(generation)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_000_000 + second).unwrap()
    }

    #[test]
    fn of_one_login_the_later_refresh_is_used_whatever_the_clocks_say() {
        let first = login("a").with_generation(1).with_obtained_at(at(1000));
        let second = refreshed(&first, "a", 2).with_obtained_at(at(0));
        assert_eq!(preferred(&first, &second), Preferred::Stored);
        assert_eq!(preferred(&second, &first), Preferred::Own);
    }

    #[test]
    fn of_two_logins_the_later_one_is_used_whatever_was_refreshed_since() {
        let old = refreshed(&login("a"), "a", 40).with_obtained_at(at(0));
        let new = login("b").with_generation(1).with_obtained_at(at(1));
        assert_eq!(preferred(&old, &new), Preferred::Stored);
        assert_eq!(preferred(&new, &old), Preferred::Own);
    }

    #[test]
    fn tokens_of_an_unknown_time_give_way_to_stored_ones() {
        let handed_in = login("a");
        for stored in [login("b"), login("b").with_obtained_at(at(0))] {
            assert_eq!(preferred(&handed_in, &stored), Preferred::Stored);
        }
        assert_eq!(preferred(&login("a").with_obtained_at(at(0)), &login("b")), Preferred::Own);
    }

    #[test]
    fn tokens_without_a_lineage_belong_to_no_common_login() {
        let (old, new) = (TokenSet::new("old").with_generation(9), TokenSet::new("new").with_generation(1));
        let (old, new) = (old.with_obtained_at(at(0)), new.with_obtained_at(at(1)));
        assert!(!is_same_lineage(&old, &new));
        assert_eq!((preferred(&old, &new), preferred(&new, &old)), (Preferred::Stored, Preferred::Own));
    }

    fn any_tokens() -> impl Strategy<Value = TokenSet> {
        (0..3_u8, 1..4_u64, proptest::option::of(0..3_i64), 0..3_u8, any::<bool>()).prop_map(
            |(lineage, generation, second, tokens, is_known)| {
                let mut set = TokenSet::new(format!("access-{tokens}")).with_generation(generation);
                if is_known {
                    set = set.with_lineage_of(&login(&lineage.to_string()));
                }
                match second {
                    Some(second) => set.with_obtained_at(at(second)),
                    None => set,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn two_clients_that_hold_each_others_tokens_agree_unless_nothing_tells_them_apart(
            one in any_tokens(),
            other in any_tokens(),
        ) {
            let order = |a: &TokenSet, b: &TokenSet| match is_same_lineage(a, b) {
                true => (a.generation(), a.obtained_at()) == (b.generation(), b.obtained_at()),
                false => a.obtained_at() == b.obtained_at(),
            };
            match (preferred(&one, &other), preferred(&other, &one)) {
                (Preferred::Same, second) => prop_assert_eq!(second, Preferred::Same),
                (Preferred::Own, second) => prop_assert_eq!(second, Preferred::Stored),
                (Preferred::Stored, Preferred::Own) => {}
                // Both take what is stored, which is one token set.
                (Preferred::Stored, second) => {
                    prop_assert_eq!(second, Preferred::Stored);
                    prop_assert!(order(&one, &other));
                }
            }
        }

        #[test]
        fn a_refresh_never_gives_way_to_what_it_replaced(generation in 1..100_u64, later in 1..100_u64, old in any::<i32>(), new in any::<i32>()) {
            let first = login("a").with_generation(generation).with_obtained_at(at(old.into()));
            let next = refreshed(&first, "a", generation + later).with_obtained_at(at(new.into()));
            prop_assert_eq!(preferred(&next, &first), Preferred::Own);
            prop_assert_eq!(preferred(&first, &next), Preferred::Stored);
        }
    }
}
