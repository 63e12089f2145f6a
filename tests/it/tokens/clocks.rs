//! Row A12: a clock that is wrong, or jumps, does no harm.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use servicebay::MemoryStore;
use servicebay::testing::{Transport, TransportError, WallClock};
use tokio::time::sleep;

use super::*;

/// A tenant whose client was started on a machine with another wall time.
#[derive(Clone, Debug)]
struct Displaced<T>(T, SignedDuration);

impl<T: Transport> Transport for Displaced<T> {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, TransportError>> {
        self.0.send(request)
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn wall(&self) -> Timestamp {
        self.0.wall().checked_add(self.1).unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_whose_clock_is_wrong_by_days_is_served_as_well() {
    for hours in [-48, -1, 1, 48] {
        let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
        tenant.skew(SignedDuration::from_hours(hours));
        for _ in 0..20 {
            profile(&client).await.unwrap();
            sleep(HOUR / 4).await;
        }
        let counters = tenant.counters();
        assert_eq!((counters.unauthorized(), counters.logins(), counters.refused_refreshes()), (0, 1, 0), "{hours} h");
        assert!((4..=7).contains(&counters.refreshes()), "{hours} h: {}", counters.refreshes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_clock_is_wrong_by_days_is_served_as_well() {
    for hours in [-48, -1, 1, 48] {
        let tenant = fisikal_testing::MockServer::builder().with_refresh_tokens().in_memory();
        let wire = Displaced(tenant.clone(), SignedDuration::from_hours(hours));
        let client = tenant.client_builder(manager(&tenant)).with_transport(wire).build().unwrap();
        for _ in 0..20 {
            profile(&client).await.unwrap();
            sleep(HOUR / 4).await;
        }
        let counters = tenant.counters();
        assert_eq!((counters.unauthorized(), counters.logins()), (0, 1), "{hours} h");
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_from_a_store_serve_a_process_whose_clock_has_jumped() {
    for hours in [-24 * 40, -2, 2, 24 * 40] {
        let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
        let tokens = consent(&tenant);
        let builder = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone());
        task(&builder().build().unwrap()).await.unwrap();
        sleep(HOUR / 2).await;

        let wire = Displaced(tenant.clone(), SignedDuration::from_hours(hours));
        let client = builder().with_transport(wire).build().unwrap();
        for _ in 0..12 {
            task(&client).await.unwrap_or_else(|error| panic!("{hours} h: {error}"));
            sleep(HOUR / 4).await;
        }
        let counters = tenant.counters();
        assert_eq!(counters.refused_refreshes(), 0, "{hours} h");
        assert!(counters.unauthorized() <= 1, "{hours} h: a clock set back may cost one 401");
        assert!((3..=6).contains(&counters.refreshes()), "{hours} h: {}", counters.refreshes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_repairy_process_whose_clock_has_jumped_logs_in_anew_at_worst() {
    for hours in [-24 * 40, -2, 2, 24 * 40] {
        let (tenant, store) = (repairy_testing::MockServer::builder().in_memory(), MemoryStore::new());
        let builder = || tenant.client_builder(repairy_testing::Partner::Main).with_token_store(store.clone());
        booking(&builder().build().unwrap()).await.unwrap();
        sleep(HOUR).await;

        let wire = Displaced(tenant.clone(), SignedDuration::from_hours(hours));
        let client = builder().with_transport(wire).build().unwrap();
        for _ in 0..100 {
            booking(&client).await.unwrap_or_else(|error| panic!("{hours} h: {error}"));
            sleep(HOUR).await;
        }
        let counters = tenant.counters();
        assert!(counters.logins() <= 2 && counters.unauthorized() <= 1, "{hours} h: {counters:?}");
        assert_eq!(counters.refused_refreshes(), 0, "{hours} h");
    }
}

/// A tenant, and the clock of the machine that its client runs on.
#[derive(Clone, Debug)]
struct On<T>(T, WallClock);

impl<T: Transport> Transport for On<T> {
    fn send(&self, request: http::Request<Bytes>) -> BoxFuture<'static, Result<http::Response<Bytes>, TransportError>> {
        self.0.send(request)
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.1)
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_handed_in_at_every_start_do_not_come_back_when_the_clock_was_set_back() {
    for days in [-40, -1, 0, 40] {
        let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
        let wire = On(tenant.clone(), WallClock::starting_at(tenant.now()));
        let known = tenant.application();
        let application = fentu::Application::builder(known.client_id(), known.client_secret());
        let application = application.with_base_url(tenant.base_url()).with_transport(wire.clone()).build().unwrap();
        let login = application.authorize("http://127.0.0.1:4000/callback", ["admin"]).unwrap();
        let tokens = application.exchange(&login, tenant.visit(login.url().as_str()).unwrap().as_str()).await.unwrap();
        let start = || {
            let credentials = application.credentials(tokens.clone());
            let builder = fentu::Client::builder(credentials).with_base_url(tenant.base_url()).with_tenant("acme");
            builder.with_transport(wire.clone()).with_token_store(store.clone()).build().unwrap()
        };
        task(&start()).await.unwrap();
        sleep(HOUR / 4).await;
        wire.1.jump(SignedDuration::from_hours(24 * days));
        // Each time by another process, with a pair that seems to be older than what it is handed in.
        for _ in 0..4 {
            sleep(HOUR).await;
            task(&start()).await.unwrap();
        }
        let counters = tenant.counters();
        assert_eq!((counters.refused_refreshes(), counters.repeated_refreshes()), (0, 0), "{days} d");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_while_the_client_is_idle_neither_delays_nor_hurries_what_keeps_it_alive() {
    for days in [-60, -1, 1, 60] {
        for refresh_tokens in [RefreshTokens::Rotated, RefreshTokens::Repeated] {
            let tenant = fentu_tenant(refresh_tokens);
            let clock = WallClock::starting_at(tenant.now());
            let builder = fentu_builder(&tenant, consent(&tenant)).with_transport(On(tenant.clone(), clock));
            let client = builder.build().unwrap();
            task(&client).await.unwrap();
            let keeping = tokio::spawn(client.keep_alive());
            sleep(DAY).await;
            clock.jump(SignedDuration::from_hours(24 * days));
            // One that stays ends after 30 days, whatever anybody does.
            sleep(if refresh_tokens == RefreshTokens::Rotated { 60 * DAY } else { 28 * DAY }).await;
            assert!(!keeping.is_finished(), "{days} d, {refresh_tokens:?}");
            task(&client).await.unwrap();
            let counters = tenant.counters();
            assert_eq!((counters.refused_refreshes(), counters.unauthorized()), (0, 0), "{days} d, {refresh_tokens:?}");
            assert!(counters.refreshes() < 12, "{days} d, {refresh_tokens:?}: {}", counters.refreshes());
        }
    }
}
