//! What is done to the processes that share a login, and what must hold then, for any store.
//!
//! The moments are random and seeded. Which process is where at that moment is up to the machine; what must hold is not.

use std::thread;
use std::time::{Duration, Instant};

use servicebay::testing::Fault;
use servicebay::testing::fentu::RefreshTokens;
use servicebay::{TokenKey, TokenStore as _};

use super::shared_login::{
    CALL_TIMEOUT, CLOSE, ExpiringLeases, MAX_WAIT, RETURN, SHORT_LEASE, STORE_TIME, SharedLogin, SharedStore,
    TOKEN_LATENCY,
};
use crate::folder::Folder;

/// How long the processes of a scenario go on, and with which random numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) processes: usize,
    pub(crate) rounds: usize,
    pub(crate) seed: u64,
}

/// Kills a process during each refresh.
///
/// The server does not rotate refresh tokens. With rotation, a process that is killed between the vendor's response and writing
/// to disk loses the only refresh token, which no client can prevent; the next scenario covers what a client can.
pub(crate) async fn kill_during_a_refresh<S: SharedStore>(scenario: Scenario) {
    let mut shared = SharedLogin::<S>::new(RefreshTokens::Repeated, scenario.processes).await;
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    let mut killed_early = 0;
    for round in 0..scenario.rounds {
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        // Half of them before the response, and half while it is read and stored.
        let delay = if round % 2 == 0 {
            TOKEN_LATENCY.mul_f64(random.f64())
        } else {
            TOKEN_LATENCY + STORE_TIME.mul_f64(random.f64())
        };
        thread::sleep((request.at + delay).saturating_duration_since(Instant::now()));
        shared.kill(&request.process);
        killed_early += usize::from(shared.died_at(&request.process) < request.at + TOKEN_LATENCY);
        // The record is complete, whenever the process was killed.
        assert!(shared.tokens().refresh_token().is_some());
        shared.start_missing();
    }
    assert!(killed_early >= scenario.rounds / 10, "only {killed_early} were killed before they had a response");
    assert!(shared.tokens().generation() > 1, "none was killed after its tokens were stored");
    shared.assert_one_at_a_time();
    shared.finish().await;
}

/// Kills processes only before their request is handled or after their tokens are stored, so that no tokens may be lost and none
/// used twice. The server rotates refresh tokens, and revokes the login if one is used twice.
pub(crate) async fn kill_before_a_refresh_is_handled_or_after_it_is_stored<S: SharedStore>(scenario: Scenario) {
    let delay = TOKEN_LATENCY * 2;
    let mut shared = SharedLogin::<S>::new(RefreshTokens::Rotated, scenario.processes).await;
    shared.server.clear_faults();
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    for round in 0..scenario.rounds {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        let is_before_handling = round % 2 == 0;
        if is_before_handling {
            shared.server.fault(Fault::status(503).delayed(delay).on("POST", "/oauth/token").always());
        }
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        let victim = if is_before_handling {
            thread::sleep(delay.mul_f64(random.f64()));
            shared.kill(&request.process);
            shared.server.clear_faults();
            shared.start_missing();
            // A process that had a token refused backs off. Kill it next, so that another one refreshes.
            shared.oldest_process()
        } else {
            request.process
        };
        shared.wait_until_stored_after(before);
        thread::sleep(STORE_TIME.mul_f64(random.f64()));
        shared.kill(&victim);
        shared.start_missing();
    }
    let counters = shared.server.counters();
    assert_eq!((counters.repeated_refreshes(), counters.refused_refreshes()), (0, 0), "{counters:?}");
    shared.assert_presented_once();
    shared.finish().await;
}

/// Lets processes close their clients and end, whenever that is.
pub(crate) async fn close_at_any_moment<S: SharedStore>(scenario: Scenario) {
    let mut shared = SharedLogin::<S>::new(RefreshTokens::Rotated, scenario.processes).await;
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    let mut ended_during_refresh = 0;
    for round in 0..scenario.rounds {
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        ended_during_refresh += usize::from(shared.tokens().generation() == before);
        match round % 3 {
            0 => shared.end(&request.process, CLOSE),
            1 => {
                let process = shared.random_process(&mut random);
                shared.end(&process, CLOSE);
            }
            // All at once; one of them has stored the new tokens before it ends.
            _ => shared.close_all(),
        }
        if round % 3 == 2 {
            assert_ne!(shared.tokens().generation(), before, "the last process has ended without storing its tokens");
        }
        shared.start_missing();
        shared.wait_until_stored_after(before);
    }
    assert!(ended_during_refresh >= scenario.rounds / 6, "only {ended_during_refresh} ended during a refresh");
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// Stops the process that refreshes, and with it holds the lease, for longer than the calls of the others wait. It goes on where
/// it was.
pub(crate) async fn stop_for_longer_than_others_wait<S: SharedStore>(scenario: Scenario) {
    let mut shared = SharedLogin::<S>::new(RefreshTokens::Rotated, scenario.processes).await;
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    let mut stopped_during_refresh = 0;
    for _ in 0..scenario.rounds {
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        shared.stop(&request.process);
        // Stopped in the middle of its write, it keeps a database locked.
        let is_during_refresh = shared.tokens_if_readable().is_some_and(|tokens| tokens.generation() == before);
        thread::sleep(CALL_TIMEOUT.mul_f64(1.2 + random.f64()));
        if is_during_refresh {
            stopped_during_refresh += 1;
            assert_eq!(shared.tokens().generation(), before, "another process refreshed without the lease");
        }
        shared.resume(&request.process);
        shared.wait_until_stored_after(before);
        shared.replace_all();
    }
    assert!(stopped_during_refresh > 0, "no process was stopped during its refresh");
    assert!(shared.timeouts > 0, "no call of another process timed out");
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// Stops processes for longer than their lease lasts, so that another process takes it. Whichever of them refreshes, no refresh
/// token is presented twice.
pub(crate) async fn stop_beyond_the_lease<S: SharedStore>(scenario: Scenario) {
    let mut shared = SharedLogin::<ExpiringLeases<S>>::new(RefreshTokens::Rotated, scenario.processes).await;
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    for round in 0..scenario.rounds {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let process = match round % 2 {
            // While it acquires the lease, notes that it presents the token, or presents it.
            0 => {
                thread::sleep(Duration::from_micros(random.u64(..30_000)));
                shared.random_process(&mut random)
            }
            // While it waits for the response, or stores the new tokens.
            _ => {
                let request = shared.next_token_request();
                thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
                request.process
            }
        };
        shared.stop_for(&process, SHORT_LEASE.mul_f64(1.0 + random.f64() / 2.0));
        shared.wait_until_stored_after(before);
        shared.replace_all();
    }
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// Does everything at once. A process that is killed between the vendor's response and the disk takes the only refresh token with
/// it; then a person logs in again, and the running processes go on with the new tokens.
pub(crate) async fn kill_stop_and_end<S: SharedStore>(scenario: Scenario) {
    let mut shared = SharedLogin::<S>::new(RefreshTokens::Rotated, scenario.processes).await;
    let mut random = fastrand::Rng::with_seed(scenario.seed);
    let mut logins = 0;
    for _ in 0..scenario.rounds {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        let process = if random.u8(..4) > 0 { request.process } else { shared.random_process(&mut random) };
        let refused = shared.server.counters().refused_refreshes();
        match random.u8(..5) {
            0 => shared.kill(&process),
            1 => shared.end(&process, RETURN),
            2 => shared.end(&process, CLOSE),
            3 => {
                shared.stop(&process);
                thread::sleep(Duration::from_millis(random.u64(50..200)));
                shared.kill(&process);
            }
            _ => shared.stop_for(&process, Duration::from_millis(random.u64(50..400))),
        }
        // Until new tokens are stored, or the login turns out to be lost with the process.
        let until = Instant::now() + MAX_WAIT;
        while !shared.is_stored_after(before, Duration::from_millis(20)) {
            if shared.is_dead(&process) && shared.server.counters().refused_refreshes() > refused {
                logins += 1;
                shared.log_in().await;
            }
            if Instant::now() > until {
                shared.fail("no process stores new tokens");
            }
        }
        shared.replace_all();
    }
    let repeated = shared.assert_presented_once();
    assert!(logins <= repeated, "{logins} logins were lost, but only {repeated} tokens were presented again");
    shared.close_all();
    shared.call_once().await;
}

/// Leases of [`ExpiringLeases`] expire, and end when they are dropped.
///
/// The contract allows leases that expire after the longest time for which a client holds one. These expire earlier, so only the
/// part of the contract that is used here is checked.
pub(crate) async fn leases_expire<S: SharedStore>() {
    let folder = Folder::new();
    let open = || ExpiringLeases::<S>::open(folder.path());
    let (one, other) = (open(), open());
    let key = TokenKey::new("acme");
    let lease = one.lease(&key).await.unwrap();
    assert!(lease.is_held());
    let started = Instant::now();
    let next = other.lease(&key).await.unwrap();
    assert!(started.elapsed() >= SHORT_LEASE / 2 && !lease.is_held() && next.is_held());
    drop(lease);
    let started = Instant::now();
    drop(next);
    drop(one.lease(&key).await.unwrap());
    assert!(started.elapsed() < SHORT_LEASE, "a lease that was dropped is free at once");
}
