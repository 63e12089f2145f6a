//! Reconciled writes: looked up, sent again, or returned as an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use servicebay::fixably::types::{NoteInput, NoteType, NotesCreate, OrderNote};
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::{Script, Step};
use servicebay::{Error, ReconcileOutcome, UnknownOutcome, WriteStatus};

use crate::support::SECRET;

fn client(script: &Script) -> Client {
    Client::builder(Credentials::bearer(SECRET)).with_tenant("acme").with_transport(script.clone()).build().unwrap()
}

fn notes() -> NotesCreate {
    NotesCreate::new([NoteInput::new(NoteType::Issue).text("Cracked")])
}

fn created() -> Step {
    Step::json(201, json!([{"id": 7}]))
}

/// Sends a write to a script. Returns its outcome, and how often `lookup` was called.
async fn write(
    script: &Script,
    lookup: impl Fn(UnknownOutcome) -> Result<WriteStatus<Vec<OrderNote>>, Error> + Send + Sync,
) -> (Result<ReconcileOutcome<Vec<OrderNote>>, Error>, u32) {
    let lookups = Arc::new(AtomicU32::new(0));
    let call = client(script).create_order_notes().order_id(20000010).body(notes());
    let outcome = call
        .reconcile(|unknown| {
            lookups.fetch_add(1, Ordering::Relaxed);
            let status = lookup(unknown);
            async move { status }
        })
        .send()
        .await;
    (outcome, lookups.load(Ordering::Relaxed))
}

fn list(id: i64) -> Vec<OrderNote> {
    serde_json::from_value(json!([{"id": id}])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_write_with_a_response_is_not_looked_up() {
    let (outcome, lookups) = write(&Script::new([created()]), |_| panic!("nothing to look up")).await;
    assert!(matches!(outcome, Ok(ReconcileOutcome::Response(_))), "{outcome:?}");
    assert_eq!(lookups, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_response_was_lost_returns_the_object_that_was_found() {
    let script = Script::new([Step::dropped()]);
    let (outcome, lookups) = write(&script, |unknown| {
        assert_eq!((unknown.operation(), unknown.method().as_str()), ("create_order_notes", "POST"));
        let sent: Value = unknown.request_body_as().unwrap();
        assert_eq!(sent["notes"][0]["text"], "Cracked", "{sent}");
        assert!(unknown.started_at() <= unknown.failed_at());
        Ok(WriteStatus::Applied(list(9)))
    })
    .await;
    let notes = outcome.unwrap().into_inner();
    assert_eq!(notes[0].id(), Some(9.into()));
    assert_eq!((lookups, script.requests().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_applied_is_sent_at_most_three_times() {
    let script = Script::new([Step::dropped(), Step::status(504), created()]);
    let (outcome, lookups) = write(&script, |_| Ok(WriteStatus::NotApplied)).await;
    assert!(matches!(outcome, Ok(ReconcileOutcome::Response(_))), "{outcome:?}");
    assert_eq!((lookups, script.requests().len()), (2, 3));

    let script = Script::new([Step::dropped().repeat()]);
    let (outcome, lookups) = write(&script, |_| Ok(WriteStatus::NotApplied)).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
    assert_eq!((lookups, script.requests().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_cannot_decide_leaves_the_original_error() {
    let (outcome, _) = write(&Script::new([Step::dropped()]), |_| Ok(WriteStatus::Unknown)).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_lookup_is_the_source_and_the_write_is_not_sent_again() {
    let script = Script::new([Step::dropped(), Step::status(403)]);
    let other = client(&script);
    let call = client(&script).create_order_notes().order_id(20000010).body(notes());
    let outcome = call.reconcile(|_| {
        let lookup = other.get_order().id(20000010);
        async move { lookup.send().await.map(|_| WriteStatus::Unknown) }
    });
    let outcome = outcome.send().await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)) && error.maybe_applied(), "{error:?}");
    let lookup = std::error::Error::source(&error).unwrap();
    assert!(matches!(lookup.downcast_ref(), Some(Error::Forbidden(_))), "{lookup:?}");
    assert!(error.to_string().contains("looking up its outcome failed too"), "{error}");
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_vendor_rejected_is_not_looked_up() {
    for status in [400, 401, 403, 404, 409, 422] {
        let script = Script::new([Step::status(status)]);
        let (outcome, lookups) = write(&script, |_| panic!("nothing to look up")).await;
        assert!(outcome.is_err());
        assert_eq!(lookups, 0, "{status}");
    }
}

#[cfg(all(feature = "fentu", feature = "fisikal", feature = "repairy"))]
#[test]
fn the_docs_of_every_vendor_say_how_each_write_is_looked_up() {
    use servicebay::{fentu, fisikal, fixably, repairy};

    for (vendor, docs, operations) in [
        ("fentu", include_str!("../../src/fentu.rs"), fentu::operations::ALL),
        ("fisikal", include_str!("../../src/fisikal.rs"), fisikal::operations::ALL),
        ("fixably", include_str!("../../src/fixably.rs"), fixably::operations::ALL),
        ("repairy", include_str!("../../src/repairy.rs"), repairy::operations::ALL),
    ] {
        let section =
            docs.split("//! # Lost responses").nth(1).and_then(|rest| rest.split("//! # What is known").next());
        let section = section.unwrap_or_else(|| panic!("{vendor} has no section"));
        for operation in operations.iter().filter(|operation| !operation.is_idempotent()) {
            let link = format!("[`Client::{}`]", operation.id());
            let rows: Vec<_> =
                section.lines().filter(|line| line.starts_with("//! | ") && line.contains(&link)).collect();
            assert_eq!(rows.len(), 1, "{vendor}: {link} in {rows:?}");
            assert!(rows[0].split(" | ").nth(1).unwrap().contains(&link), "{vendor}: {link} is not the first column");
        }
    }
}
