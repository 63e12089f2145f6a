//! Writes that look what became of them: found, sent again, or told.

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

/// Sends a write over a script; what looking says comes from `look`. Tells how often it was asked, too.
async fn write(
    script: &Script,
    look: impl Fn(UnknownOutcome) -> Result<WriteStatus<Vec<OrderNote>>, Error> + Send + Sync,
) -> (Result<ReconcileOutcome<Vec<OrderNote>>, Error>, u32) {
    let asked = Arc::new(AtomicU32::new(0));
    let call = client(script).create_order_notes().order_id(20000010).body(notes());
    let outcome = call
        .reconcile(|unsettled| {
            asked.fetch_add(1, Ordering::Relaxed);
            let found = look(unsettled);
            async move { found }
        })
        .send()
        .await;
    (outcome, asked.load(Ordering::Relaxed))
}

fn list(id: i64) -> Vec<OrderNote> {
    serde_json::from_value(json!([{"id": id}])).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_is_the_answer_and_nobody_looks() {
    let (outcome, asked) = write(&Script::new([created()]), |_| panic!("nothing to look for")).await;
    assert!(matches!(outcome, Ok(ReconcileOutcome::Response(_))), "{outcome:?}");
    assert_eq!(asked, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_what_was_found() {
    let script = Script::new([Step::dropped()]);
    let (outcome, asked) = write(&script, |unsettled| {
        assert_eq!((unsettled.operation(), unsettled.method().as_str()), ("create_order_notes", "POST"));
        let sent: Value = unsettled.request_body_as().unwrap();
        assert_eq!(sent["notes"][0]["text"], "Cracked", "{sent}");
        assert!(unsettled.started_at() <= unsettled.failed_at());
        Ok(WriteStatus::Applied(list(9)))
    })
    .await;
    let found = outcome.unwrap().into_inner();
    assert_eq!(found[0].id(), Some(9.into()));
    assert_eq!((asked, script.requests().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_carried_out_is_sent_again_three_times_at_most() {
    let script = Script::new([Step::dropped(), Step::status(504), created()]);
    let (outcome, asked) = write(&script, |_| Ok(WriteStatus::NotApplied)).await;
    assert!(matches!(outcome, Ok(ReconcileOutcome::Response(_))), "{outcome:?}");
    assert_eq!((asked, script.requests().len()), (2, 3));

    let script = Script::new([Step::dropped().repeat()]);
    let (outcome, asked) = write(&script, |_| Ok(WriteStatus::NotApplied)).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
    assert_eq!((asked, script.requests().len()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn where_looking_does_not_tell_the_error_stands() {
    let (outcome, _) = write(&Script::new([Step::dropped()]), |_| Ok(WriteStatus::Unknown)).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_looking_is_told_as_the_source_and_nothing_is_sent_again() {
    let script = Script::new([Step::dropped(), Step::status(403)]);
    let other = client(&script);
    let call = client(&script).create_order_notes().order_id(20000010).body(notes());
    let outcome = call.reconcile(|_| {
        let look = other.get_order().id(20000010);
        async move { look.send().await.map(|_| WriteStatus::Unknown) }
    });
    let outcome = outcome.send().await;
    let error = outcome.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)) && error.maybe_applied(), "{error:?}");
    let look = std::error::Error::source(&error).unwrap();
    assert!(matches!(look.downcast_ref(), Some(Error::Forbidden(_))), "{look:?}");
    assert!(error.to_string().contains("looking what became of it failed too"), "{error}");
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_needs_no_looking() {
    for status in [400, 401, 403, 404, 409, 422] {
        let script = Script::new([Step::status(status)]);
        let (outcome, asked) = write(&script, |_| panic!("nothing to look for")).await;
        assert!(outcome.is_err());
        assert_eq!(asked, 0, "{status}");
    }
}
