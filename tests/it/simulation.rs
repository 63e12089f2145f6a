//! A simulation of a client's tokens over thirty days, on virtual time, for every vendor that grants tokens.
//!
//! A seed determines everything: when callers come and give up, when and how the token endpoint fails, when the machine's
//! clock is set, when the vendor revokes tokens, and when a process is killed. The [`invariants`] are checked for every
//! request, every response and all stored tokens, when they happen.
//!
//! Half of the seeds are mild. In the others, stores fail, hang, conflict and lose writes, processes and runtimes end with a
//! refresh under way, the machine sleeps, the vendor carries a request out and fails, and users log in beside processes that
//! run: one of these at a time, or several. In [`directed`] each of them happens alone.
//!
//! `SERVICEBAY_SEEDS=10000` runs that many seeds instead of a hundred, and `SERVICEBAY_SEED=17` runs that one again.

mod conditions;
mod directed;
mod flaky_transport;
mod host;
mod invariants;
mod laws;
mod run;
mod test_store;
mod vendor;

use std::env;

use self::invariants::EventCounts;
use self::run::simulate;
use self::vendor::Vendor;

/// The default number of seeds, for all vendors together.
const SEEDS: u64 = 100;

/// Simulates a month for each of the seeds that belong to this vendor.
fn simulate_months(vendor: Vendor) {
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds, or a seed"));
    let seeds = match number("SERVICEBAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SERVICEBAY_SEEDS").unwrap_or(SEEDS),
    };
    let are_many = seeds.end - seeds.start >= SEEDS;
    let mut counts = EventCounts::default();
    for seed in seeds.filter(|seed| Vendor::of(*seed) == vendor) {
        counts.add(simulate(vendor, seed));
    }
    assert!(!are_many || counts.are_sufficient(), "{counts:?}");
}

#[test]
fn a_month_at_fentu_with_rotated_refresh_tokens() {
    simulate_months(Vendor::FentuRotated);
}

#[test]
fn a_month_at_fentu_with_repeated_refresh_tokens() {
    simulate_months(Vendor::FentuRepeated);
}

#[test]
fn a_month_at_fentu_with_responses_without_a_refresh_token() {
    simulate_months(Vendor::FentuLeftOut);
}

#[test]
fn a_month_at_fisikal_without_refresh_tokens() {
    simulate_months(Vendor::FisikalLogins);
}

#[test]
fn a_month_at_fisikal_with_refresh_tokens() {
    simulate_months(Vendor::FisikalRotated);
}

#[test]
fn a_month_at_fisikal_where_a_refresh_revokes_the_old_access_token() {
    simulate_months(Vendor::FisikalStrict);
}

#[test]
fn a_month_at_repairy_with_refresh_tokens_that_stay() {
    simulate_months(Vendor::RepairyKept);
}

#[test]
fn a_month_at_repairy_with_rotated_refresh_tokens() {
    simulate_months(Vendor::RepairyRotated);
}
