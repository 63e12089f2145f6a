//! One unkind fault at a time, at the moment that matters. A failure here is readable; the months of
//! [`simulation`](super) mix the same faults.

use std::time::Duration;

use fastrand::Rng;
use servicebay::CallOptions;
use servicebay::testing::Fault;
use servicebay::testing::repairy::MockServer;
use tokio::time::Instant;

use super::conditions::{Conditions, Unkind};
use super::host::{Outage, OutageKind, PassingRefusal};
use super::run::{Simulation, call, run_paused};
use super::test_store::{StoreFault, StoreOperation, StorePhase};
use super::vendor::Vendor;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Within this time a token is stale, and lives.
const STALE: Duration = Duration::from_secs(300);

/// A vendor at which refresh tokens rotate, and only a user can log in.
const USER_LOGINS: Vendor = Vendor::FentuRotated;
/// The vendors at which refresh tokens rotate.
const ROTATING: [Vendor; 3] = [Vendor::FentuRotated, Vendor::FisikalRotated, Vendor::RepairyRotated];

impl Simulation {
    /// Every process calls, and succeeds.
    async fn warm_up(&self) {
        for index in 0..self.processes.len() {
            assert!(self.call(index).await, "nothing has gone wrong yet");
        }
    }

    /// One call. Returns whether it succeeded.
    async fn call(&self, index: usize) -> bool {
        let process = &self.processes[index];
        let succeeded = call(&self.host, process.id, &process.client, 120 * SECOND, None).await;
        self.check();
        succeeded
    }

    async fn pass(&self, time: Duration) {
        self.sleep_until(Instant::now() + time).await;
        self.check();
    }

    /// Lets time pass until the newest token is stale.
    async fn become_stale(&self) {
        let expires_at = self.host.invariants().newest_expires_at().expect("a token");
        self.sleep_until(expires_at - STALE).await;
        self.check();
    }

    /// Lives on for two and a half lives of a token, with calls of every process, which may fail for a reason.
    async fn go_on(&self) {
        let often = [20 * SECOND; 6];
        let seldom = [self.host.rules.access / 12; 30];
        for pause in often.into_iter().chain(seldom) {
            for index in 0..self.processes.len() {
                self.call(index).await;
            }
            self.pass(pause).await;
        }
    }

    /// The token endpoint fails from now on.
    fn fail_token_requests(&self, kind: OutageKind, time: Duration) {
        let from = Instant::now();
        self.host.add_outage(Outage { from, until: from + time, kind });
    }

    /// The store goes wrong from now on.
    fn fail_store(&self, operation: StoreOperation, fault: StoreFault, time: Duration) {
        let from = Instant::now();
        self.host.store.add_phase(StorePhase { from, until: from + time, operation, fault, share: 1.0 });
    }

    /// A test whose fault never happened proves nothing.
    fn require_fault(&self) {
        if self.host.faults() == 0 {
            self.fail("nothing went wrong");
        }
    }

    fn require_no_login(&self) {
        if self.host.invariants().counts().login_required > 0 {
            self.fail("a login was lost");
        }
    }
}

async fn simulation(vendor: Vendor, processes: usize, unkind: Unkind) -> Simulation {
    fastrand::seed(7);
    let conditions = Conditions::directed(processes, &[unkind]);
    Box::pin(Simulation::new(vendor, 0, conditions, Rng::with_seed(7))).await
}

/// Two processes share a store that goes wrong when the token is stale, for longer than the token lives.
fn what_happens_if_the_store(operation: StoreOperation, fault: StoreFault, unkind: Unkind) {
    for vendor in ROTATING {
        run_paused(async {
            let simulation = simulation(vendor, 2, unkind).await;
            simulation.warm_up().await;
            simulation.become_stale().await;
            simulation.fail_store(operation, fault, 2 * STALE);
            simulation.call(0).await;
            simulation.pass(MINUTE).await;
            simulation.call(1).await;
            simulation.go_on().await;
            simulation.check_that_all_processes_work().await;
            simulation.require_fault();
        });
    }
}

#[test]
fn what_happens_if_the_store_cannot_be_read() {
    what_happens_if_the_store(StoreOperation::Load, StoreFault::Fails, Unkind::StoreFails);
}

#[test]
fn what_happens_if_the_store_cannot_be_written() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::Fails, Unkind::StoreFails);
}

#[test]
fn what_happens_if_the_store_writes_and_reports_a_failure() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::FailsAfterWrite, Unkind::StoreFails);
}

#[test]
fn what_happens_if_the_store_gives_no_lease() {
    what_happens_if_the_store(StoreOperation::Lease, StoreFault::Fails, Unkind::StoreFails);
}

#[test]
fn what_happens_if_the_store_hangs_on_a_load() {
    what_happens_if_the_store(StoreOperation::Load, StoreFault::Hangs, Unkind::StoreHangs);
}

#[test]
fn what_happens_if_the_store_hangs_on_a_write() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::Hangs, Unkind::StoreHangs);
}

#[test]
fn what_happens_if_the_store_writes_and_never_responds() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::HangsAfterWrite, Unkind::StoreHangs);
}

#[test]
fn what_happens_if_the_store_hangs_on_a_lease() {
    what_happens_if_the_store(StoreOperation::Lease, StoreFault::Hangs, Unkind::StoreHangs);
}

#[test]
fn what_happens_if_a_write_conflicts_with_itself() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::ConflictsWithItself, Unkind::StoreConflicts);
}

#[test]
fn what_happens_if_the_store_loses_an_acknowledged_write() {
    what_happens_if_the_store(StoreOperation::Write, StoreFault::LosesWrite, Unkind::StoreLosesWrites);
}

/// Two processes refresh at the same time, and the lease does not keep them apart.
fn what_happens_if_a_lease(fault: StoreFault, unkind: Unkind) {
    for vendor in ROTATING {
        run_paused(async {
            let simulation = simulation(vendor, 2, unkind).await;
            simulation.warm_up().await;
            simulation.become_stale().await;
            simulation.fail_store(StoreOperation::Lease, fault, 2 * STALE);
            tokio::join!(simulation.call(0), simulation.call(1));
            simulation.go_on().await;
            simulation.require_fault();
            simulation.require_no_login();
        });
    }
}

#[test]
fn what_happens_if_two_processes_refresh_without_a_lease() {
    what_happens_if_a_lease(StoreFault::Fails, Unkind::StoreFails);
}

#[test]
fn what_happens_if_a_lease_is_lost() {
    what_happens_if_a_lease(StoreFault::LosesLease, Unkind::StoreConflicts);
}

#[test]
fn what_happens_if_a_lease_is_lost_while_the_store_cannot_be_written() {
    for vendor in [Vendor::FisikalRotated, Vendor::FisikalStrict, Vendor::RepairyRotated] {
        run_paused(async {
            let simulation = simulation(vendor, 2, Unkind::StoreFails).await;
            simulation.warm_up().await;
            simulation.become_stale().await;
            simulation.fail_store(StoreOperation::Lease, StoreFault::LosesLease, STALE);
            simulation.fail_store(StoreOperation::Write, StoreFault::Fails, STALE);
            for index in [0, 1] {
                simulation.call(index).await;
                simulation.pass(MINUTE).await;
            }
            simulation.go_on().await;
            simulation.check_that_all_processes_work().await;
            simulation.require_fault();
        });
    }
}

/// A note that could not be written must not hide what another process notes later.
#[test]
fn what_happens_if_the_store_cannot_be_written_in_one_refresh_and_a_response_is_lost_in_the_next() {
    for vendor in ROTATING {
        run_paused(async {
            let simulation = simulation(vendor, 2, Unkind::StoreFails).await;
            simulation.warm_up().await;
            simulation.become_stale().await;
            simulation.fail_store(StoreOperation::Write, StoreFault::Fails, MINUTE);
            simulation.call(0).await;
            simulation.pass(2 * MINUTE).await;
            simulation.call(1).await;
            simulation.require_fault();
            simulation.become_stale().await;
            simulation.fail_token_requests(OutageKind::LostResponse, 2 * MINUTE);
            simulation.call(1).await;
            simulation.pass(MINUTE).await;
            simulation.call(0).await;
            simulation.go_on().await;
        });
    }
}

#[test]
fn what_happens_if_the_first_load_after_a_login_fails() {
    run_paused(async {
        let mut simulation = simulation(USER_LOGINS, 1, Unkind::StoreFails).await;
        simulation.warm_up().await;
        simulation.go_on().await;
        simulation.host.server.revoke_all();
        simulation.host.invariants().record_logins_revoked();
        simulation.exit_process(0);
        simulation.fail_store(StoreOperation::Load, StoreFault::Fails, 5 * SECOND);
        simulation.log_in_beside().await;
        simulation.go_on().await;
        simulation.require_fault();
        simulation.require_no_login();
    });
}

#[test]
fn what_happens_if_a_client_is_dropped_before_its_tokens_are_stored() {
    for vendor in ROTATING {
        run_paused(async {
            let mut simulation = simulation(vendor, 1, Unkind::DropsClients).await;
            simulation.warm_up().await;
            simulation.become_stale().await;
            simulation.fail_store(StoreOperation::Write, StoreFault::Fails, MINUTE);
            simulation.call(0).await;
            simulation.pass(20 * SECOND).await;
            simulation.require_fault();
            simulation.drop_client(0);
            simulation.pass(10 * MINUTE).await;
            simulation.start_process();
            simulation.go_on().await;
            simulation.require_no_login();
        });
    }
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Exit,
    Kill,
    Runtime,
}

/// A process ends while it refreshes a token that lives, at any moment of the refresh.
fn what_happens_if_a_process_ends(end: End, unkind: Unkind) {
    for vendor in ROTATING {
        for moment in 0..20 {
            run_paused(async {
                let mut simulation = simulation(vendor, 1, unkind).await;
                simulation.warm_up().await;
                simulation.become_stale().await;
                simulation.call(0).await;
                simulation.pass(SECOND / 5 * moment).await;
                match end {
                    End::Exit => simulation.exit_process(0),
                    End::Kill => simulation.end_process(0),
                    End::Runtime => simulation.end_runtime(0),
                }
                if end != End::Runtime {
                    simulation.start_process();
                }
                simulation.go_on().await;
            });
        }
    }
}

#[test]
fn what_happens_if_a_process_exits_with_a_refresh_under_way() {
    what_happens_if_a_process_ends(End::Exit, Unkind::Exits);
}

#[test]
fn what_happens_if_a_process_is_killed_with_a_refresh_under_way() {
    what_happens_if_a_process_ends(End::Kill, Unkind::Exits);
}

#[test]
fn what_happens_if_a_runtime_ends_with_a_refresh_under_way() {
    what_happens_if_a_process_ends(End::Runtime, Unkind::RuntimesEnd);
}

/// Over sockets and in real time, because no simulated transport has a runtime of its own.
#[test]
fn what_happens_if_the_runtime_of_the_first_caller_is_not_driven_any_more() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let servers = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = servers.block_on(MockServer::start());
    server.fault(Fault::delay(Duration::from_millis(600)).on("POST", "/auth/token"));
    let client = {
        let _entered = servers.enter();
        server.client().unwrap()
    };
    let request = |max_wait| {
        let client = client.with_options(CallOptions::new().with_max_wait(max_wait));
        async move { client.get_booking().id("670000000000000000000001").send().await.map(drop) }
    };

    let first = runtime();
    let given_up = first.block_on(async { tokio::time::timeout(SECOND / 5, request(10 * SECOND)).await });
    assert!(given_up.is_err(), "the login takes longer: {given_up:?}");
    let result = runtime().block_on(request(5 * SECOND));

    result.expect("the login goes on although no caller drives the first runtime");
    assert_eq!(server.counters().logins(), 1);
    drop(first);
}

#[test]
fn what_happens_if_the_machine_sleeps_at_night() {
    run_paused(async {
        fastrand::seed(7);
        let mut conditions = Conditions::directed(1, &[Unkind::SleepsAtNight]);
        conditions.uses_keep_alive = true;
        let simulation = Box::pin(Simulation::new(USER_LOGINS, 0, conditions, Rng::with_seed(7))).await;
        simulation.warm_up().await;
        simulation.idle(40 * DAY).await;
        simulation.require_no_login();
        simulation.check_that_all_processes_work().await;
        simulation.require_no_login();
    });
}

#[test]
fn what_happens_if_the_machine_sleeps_for_days() {
    for vendor in ROTATING {
        for moment in 0..10 {
            run_paused(async {
                let simulation = simulation(vendor, 2, Unkind::Sleeps).await;
                simulation.warm_up().await;
                simulation.become_stale().await;
                simulation.call(0).await;
                simulation.pass(SECOND / 2 * moment).await;
                simulation.host.sleep_machine(3 * DAY);
                simulation.go_on().await;
            });
        }
    }
}

/// The token endpoint fails for some minutes in which the token lives, and then works again.
fn what_happens_if_the_vendor(kind: OutageKind, unkind: Unkind) {
    for vendor in ROTATING {
        for time in [STALE / 2, 2 * STALE] {
            run_paused(async {
                let simulation = simulation(vendor, 1, unkind).await;
                simulation.warm_up().await;
                simulation.become_stale().await;
                simulation.fail_token_requests(kind, time);
                simulation.go_on().await;
                simulation.require_fault();
                if !kind.is_carried_out() {
                    simulation.require_no_login();
                }
            });
        }
    }
}

#[test]
fn what_happens_if_the_vendor_commits_and_responds_with_500() {
    what_happens_if_the_vendor(OutageKind::StatusAfter(500), Unkind::CommitsAndFails);
}

#[test]
fn what_happens_if_the_vendor_commits_and_responds_with_502() {
    what_happens_if_the_vendor(OutageKind::StatusAfter(502), Unkind::CommitsAndFails);
}

#[test]
fn what_happens_if_the_vendor_commits_and_responds_with_503() {
    what_happens_if_the_vendor(OutageKind::StatusAfter(503), Unkind::CommitsAndFails);
}

#[test]
fn what_happens_if_the_vendor_commits_and_the_connection_breaks() {
    what_happens_if_the_vendor(OutageKind::LostResponse, Unkind::CommitsAndFails);
}

#[test]
fn what_happens_if_the_vendor_commits_and_never_responds() {
    what_happens_if_the_vendor(OutageKind::SilentAfter, Unkind::CommitsAndFails);
}

#[test]
fn what_happens_if_the_vendor_labels_tokens_as_a_web_page() {
    what_happens_if_the_vendor(OutageKind::HtmlLabel, Unkind::Mislabels);
}

#[test]
fn what_happens_if_the_vendor_sends_a_byte_order_mark() {
    what_happens_if_the_vendor(OutageKind::ByteOrderMark, Unkind::Mislabels);
}

#[test]
fn what_happens_if_the_vendor_refuses_once_with_plain_text() {
    what_happens_if_the_vendor(OutageKind::Passing(PassingRefusal::PlainText), Unkind::RefusesInPassing);
}

#[test]
fn what_happens_if_the_vendor_refuses_with_an_empty_401() {
    what_happens_if_the_vendor(OutageKind::Passing(PassingRefusal::Empty), Unkind::RefusesInPassing);
}

#[test]
fn what_happens_if_the_vendor_is_temporarily_unavailable() {
    what_happens_if_the_vendor(OutageKind::Passing(PassingRefusal::TemporarilyUnavailable), Unkind::RefusesInPassing);
}

#[test]
fn what_happens_if_a_firewall_refuses_token_requests() {
    what_happens_if_the_vendor(OutageKind::Passing(PassingRefusal::Firewall), Unkind::RefusesInPassing);
}

#[test]
fn what_happens_if_the_vendor_throttles_for_seconds() {
    what_happens_if_the_vendor(OutageKind::Throttled { as_date: false }, Unkind::Throttles);
}

#[test]
fn what_happens_if_the_vendor_throttles_until_a_date() {
    what_happens_if_the_vendor(OutageKind::Throttled { as_date: true }, Unkind::Throttles);
}

#[test]
fn what_happens_if_the_vendor_cannot_be_reached() {
    what_happens_if_the_vendor(OutageKind::NotSent, Unkind::CannotConnect);
}

#[test]
fn what_happens_if_a_user_logs_in_beside_a_running_daemon() {
    run_paused(async {
        let mut simulation = simulation(USER_LOGINS, 1, Unkind::LogsInBeside).await;
        simulation.warm_up().await;
        simulation.go_on().await;
        simulation.log_in_beside().await;
        simulation.go_on().await;
        simulation.require_no_login();
    });
}

#[test]
fn what_happens_if_the_store_is_cleared_and_a_user_logs_in_beside_a_running_daemon() {
    run_paused(async {
        let mut simulation = simulation(USER_LOGINS, 1, Unkind::ClearsStore).await;
        simulation.warm_up().await;
        simulation.go_on().await;
        simulation.host.clear_store();
        simulation.log_in_beside().await;
        simulation.go_on().await;
        simulation.require_no_login();
    });
}

#[test]
fn what_happens_if_a_user_logs_in_elsewhere_after_a_login_was_revoked() {
    run_paused(async {
        let mut simulation = simulation(USER_LOGINS, 1, Unkind::LogsInBeside).await;
        simulation.warm_up().await;
        simulation.host.server.revoke_all();
        simulation.host.invariants().record_logins_revoked();
        assert!(!simulation.call(0).await, "the login was revoked");
        simulation.pass(HOUR).await;
        simulation.log_in_beside().await;
        assert!(simulation.call(1).await, "a user has logged in");
        simulation.pass(6 * MINUTE).await;
        assert!(simulation.call(0).await, "the store has a login that works");
    });
}
