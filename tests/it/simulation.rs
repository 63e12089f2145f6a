//! Thirty days in the life of a client's tokens, on virtual time, for every vendor that grants them.
//!
//! A seed decides everything: when callers come and when they give up, when the identity server fails and how, when the
//! machine's clock is set, when the vendor takes tokens back, and when a process is killed. A [`ledger`] holds what must
//! be true against every request, every answer and everything that is stored, at the moment that it happens.
//!
//! `SERVICEBAY_SEEDS=10000` runs that many seeds in place of a hundred, and `SERVICEBAY_SEED=17` that one again.

mod ledger;
mod line;
mod month;
mod shelf;
mod site;
mod vendor;

use std::env;

use self::ledger::CountingObserver;
use self::month::live_through;
use self::vendor::Vendor;

/// How many seeds are run where nobody says, all vendors together.
const SEEDS: u64 = 100;

/// Lives through a month with each of the seeds that are this vendor's.
fn live_with(vendor: Vendor) {
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds, or a seed"));
    let seeds = match number("SERVICEBAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SERVICEBAY_SEEDS").unwrap_or(SEEDS),
    };
    let are_many = seeds.end - seeds.start >= SEEDS;
    let mut tally = CountingObserver::default();
    for seed in seeds.filter(|seed| Vendor::of(*seed) == vendor) {
        tally.add(live_through(vendor, seed));
    }
    assert!(!are_many || tally.is_eventful(), "{tally:?}");
}

#[test]
fn a_month_with_fentu_whose_refresh_tokens_rotate() {
    live_with(Vendor::FentuRotated);
}

#[test]
fn a_month_with_fentu_whose_refresh_tokens_are_repeated() {
    live_with(Vendor::FentuRepeated);
}

#[test]
fn a_month_with_fentu_whose_refresh_tokens_are_left_out() {
    live_with(Vendor::FentuLeftOut);
}

#[test]
fn a_month_with_fisikal_and_logins_alone() {
    live_with(Vendor::FisikalLogins);
}

#[test]
fn a_month_with_fisikal_and_refresh_tokens() {
    live_with(Vendor::FisikalRotated);
}

#[test]
fn a_month_with_fisikal_where_a_refresh_ends_the_old_access_token() {
    live_with(Vendor::FisikalStrict);
}

#[test]
fn a_month_with_repairy_whose_refresh_tokens_are_kept() {
    live_with(Vendor::RepairyKept);
}

#[test]
fn a_month_with_repairy_whose_refresh_tokens_rotate() {
    live_with(Vendor::RepairyRotated);
}
