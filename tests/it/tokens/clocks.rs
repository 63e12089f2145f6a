//! Row A12: a clock that is wrong or jumps does no harm.

use jiff::{SignedDuration, Timestamp};
use servicebay::testing::{Environment, Fault, WallClock};
use servicebay::{Body, CallOptions, MemoryStore, Transport, TransportError};
use tokio::time::sleep;

use super::*;
use crate::hooked_store::{HookedStore, StoreOperation};

/// A transport on a machine whose wall clock is ahead by a fixed time.
#[derive(Clone, Debug)]
struct SkewedTransport<T>(T, SignedDuration);

impl<T: Transport + Environment> Transport for SkewedTransport<T> {
    fn send(&self, request: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        self.0.send(request)
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl<T: Transport + Environment> Environment for SkewedTransport<T> {
    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn wall(&self) -> Timestamp {
        self.0.wall().checked_add(self.1).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_whose_clock_is_wrong_by_days_makes_no_difference() {
    for hours in [-48, -1, 1, 48] {
        let (server, client) = fisikal(|server| server.with_refresh_tokens());
        server.skew(SignedDuration::from_hours(hours));
        for _ in 0..20 {
            profile(&client).await.unwrap();
            sleep(HOUR / 4).await;
        }
        let counters = server.counters();
        assert_eq!((counters.unauthorized(), counters.logins(), counters.refused_refreshes()), (0, 1, 0), "{hours} h");
        assert!((4..=7).contains(&counters.refreshes()), "{hours} h: {}", counters.refreshes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_clock_is_wrong_by_days_works_the_same() {
    for hours in [-48, -1, 1, 48] {
        let server = fisikal_testing::MockServer::builder().with_refresh_tokens().in_memory();
        let transport = SkewedTransport(server.clone(), SignedDuration::from_hours(hours));
        let client = server.client_builder(manager(&server)).with_transport(transport).build().unwrap();
        for _ in 0..20 {
            profile(&client).await.unwrap();
            sleep(HOUR / 4).await;
        }
        let counters = server.counters();
        assert_eq!((counters.unauthorized(), counters.logins()), (0, 1), "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_clock_jumped_can_use_stored_tokens() {
    for hours in [-24 * 40, -2, 2, 24 * 40] {
        let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
        let tokens = consent(&server);
        let builder = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone());
        task(&builder().build().unwrap()).await.unwrap();
        sleep(HOUR / 2).await;

        let transport = SkewedTransport(server.clone(), SignedDuration::from_hours(hours));
        let client = builder().with_transport(transport).build().unwrap();
        for _ in 0..12 {
            task(&client).await.unwrap_or_else(|error| panic!("{hours} h: {error}"));
            sleep(HOUR / 4).await;
        }
        let counters = server.counters();
        assert_eq!(counters.refused_refreshes(), 0, "{hours} h");
        assert!(counters.unauthorized() <= 1, "{hours} h: a clock set back may cost one 401");
        assert!((3..=6).contains(&counters.refreshes()), "{hours} h: {}", counters.refreshes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_repairy_process_whose_clock_jumped_logs_in_once_more_at_worst() {
    for hours in [-24 * 40, -2, 2, 24 * 40] {
        let (server, store) = (repairy_testing::MockServer::builder().in_memory(), MemoryStore::new());
        let builder = || server.client_builder(repairy_testing::Partner::Main).with_token_store(store.clone());
        booking(&builder().build().unwrap()).await.unwrap();
        sleep(HOUR).await;

        let transport = SkewedTransport(server.clone(), SignedDuration::from_hours(hours));
        let client = builder().with_transport(transport).build().unwrap();
        for _ in 0..100 {
            booking(&client).await.unwrap_or_else(|error| panic!("{hours} h: {error}"));
            sleep(HOUR).await;
        }
        let counters = server.counters();
        assert!(counters.logins() <= 2 && counters.unauthorized() <= 1, "{hours} h: {counters:?}");
        assert_eq!(counters.refused_refreshes(), 0, "{hours} h");
    }
}

/// A transport on a machine with this wall clock.
#[derive(Clone, Debug)]
struct ClockedTransport<T>(T, WallClock);

impl<T: Transport + Environment> Transport for ClockedTransport<T> {
    fn send(&self, request: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        self.0.send(request)
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl<T: Transport + Environment> Environment for ClockedTransport<T> {
    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.1)
    }
}

/// A client on a machine with a wall clock of its own, after its first call.
async fn clocked_client(refresh_tokens: RefreshTokens) -> (fentu_testing::MockServer, WallClock, fentu::Client) {
    let server = fentu_server(refresh_tokens);
    let clock = WallClock::starting_at(server.now());
    let builder = fentu_builder(&server, consent(&server)).with_transport(ClockedTransport(server.clone(), clock));
    let client = builder.build().unwrap();
    task(&client).await.unwrap();
    (server, clock, client)
}

#[tokio::test(start_paused = true)]
async fn old_tokens_passed_in_at_every_start_are_not_used_again_after_the_clock_was_set_back() {
    for days in [-40, -1, 0, 40] {
        let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
        let transport = ClockedTransport(server.clone(), WallClock::starting_at(server.now()));
        let known = server.application();
        let application = fentu::Application::builder(known.client_id(), known.client_secret());
        let application =
            application.with_base_url(server.base_url()).with_transport(transport.clone()).build().unwrap();
        let login = application.authorize("http://127.0.0.1:4000/callback", ["admin"]).unwrap();
        let tokens = application.exchange(&login, server.visit(login.url().as_str()).unwrap().as_str()).await.unwrap();
        let start = || {
            let credentials = application.credentials(tokens.clone());
            let builder = fentu::Client::builder(credentials).with_base_url(server.base_url()).with_tenant("acme");
            builder.with_transport(transport.clone()).with_token_store(store.clone()).build().unwrap()
        };
        task(&start()).await.unwrap();
        sleep(HOUR / 4).await;
        transport.1.jump(SignedDuration::from_hours(24 * days));
        // Each time another process, whose stored tokens seem to be older than those passed in.
        for _ in 0..4 {
            sleep(HOUR).await;
            task(&start()).await.unwrap();
        }
        let counters = server.counters();
        assert_eq!((counters.refused_refreshes(), counters.repeated_refreshes()), (0, 0), "{days} d");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_while_the_client_is_idle_does_not_change_when_keep_alive_refreshes() {
    for days in [-60, -1, 1, 60] {
        for refresh_tokens in [RefreshTokens::Rotated, RefreshTokens::Repeated] {
            let (server, clock, client) = clocked_client(refresh_tokens).await;
            let keeping = tokio::spawn(client.keep_alive());
            sleep(DAY).await;
            clock.jump(SignedDuration::from_hours(24 * days));
            // A refresh token that is not rotated expires after 30 days.
            sleep(if refresh_tokens == RefreshTokens::Rotated { 60 * DAY } else { 28 * DAY }).await;
            assert!(!keeping.is_finished(), "{days} d, {refresh_tokens:?}");
            task(&client).await.unwrap();
            let counters = server.counters();
            assert_eq!((counters.refused_refreshes(), counters.unauthorized()), (0, 0), "{days} d, {refresh_tokens:?}");
            assert!(counters.refreshes() < 12, "{days} d, {refresh_tokens:?}: {}", counters.refreshes());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_makes_no_expired_token_look_valid_while_an_outcome_is_unknown() {
    let (server, clock, client) = clocked_client(RefreshTokens::Rotated).await;
    sleep(HOUR - 300 * SECOND).await;
    // This call uses the old token and starts a refresh in the background.
    server.fault(Fault::status(503).on("POST", "/oauth/token"));
    task(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);
    clock.jump(SignedDuration::from_hours(-2));
    sleep(300 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!((server.counters().refreshes(), server.counters().unauthorized()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_while_granted_tokens_are_stored_does_not_change_how_long_they_live() {
    let server = fentu_server(RefreshTokens::Repeated);
    let clock = WallClock::starting_at(server.now());
    let builder = fentu_builder(&server, consent(&server)).with_transport(ClockedTransport(server.clone(), clock));
    let store = HookedStore::slow(5 * SECOND, &[StoreOperation::Write]);
    let client = builder.with_token_store(store).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR - 300 * SECOND).await;
    // Begins a refresh in the background: 5 s for the note, and 5 s for the new tokens.
    task(&client).await.unwrap();
    sleep(7 * SECOND).await;
    assert_eq!(server.counters().refreshes(), 1);
    clock.jump(SignedDuration::from_hours(1));
    sleep(600 * SECOND).await;
    let impatient = client.with_options(CallOptions::new().with_max_wait(Duration::ZERO));
    task(&impatient).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_for_weeks_refreshes_within_an_hour() {
    let (server, clock, client) = clocked_client(RefreshTokens::Rotated).await;
    let keeping = tokio::spawn(client.keep_alive());
    sleep(HOUR).await;
    // The monotonic clock stands while the machine sleeps.
    let slept = SignedDuration::from_hours(24 * 29);
    clock.jump(slept);
    server.skew(slept);
    sleep(HOUR + SECOND).await;
    assert!(!keeping.is_finished());
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_starts_with_its_clock_set_back_keeps_a_stored_refresh_token_alive() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let before = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&before).await.unwrap();
    sleep(HOUR).await;
    task(&before).await.unwrap();
    let clock = WallClock::starting_at(server.now());
    clock.jump(SignedDuration::from_hours(-24 * 60));
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let builder = server.client_builder_with(stored).with_tenant("acme").with_token_store(store);
    let client = builder.with_transport(ClockedTransport(server.clone(), clock)).build().unwrap();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(29 * DAY).await;
    assert!(!keeping.is_finished());
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn keep_alive_counts_from_when_the_tokens_came_although_the_clock_was_set_back_since() {
    let (server, clock, client) = clocked_client(RefreshTokens::Rotated).await;
    sleep(HOUR).await;
    task(&client).await.unwrap();
    sleep(20 * DAY).await;
    clock.jump(SignedDuration::from_hours(-24 * 60));
    let keeping = tokio::spawn(client.keep_alive());
    sleep(9 * DAY).await;
    assert!(!keeping.is_finished());
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (2, 0));
}
