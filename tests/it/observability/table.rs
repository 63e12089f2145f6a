//! The tables in the docs of `observability` list exactly the spans and events that are emitted, with their levels and fields.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{
    CompareAndSwap, Error, Event, MemoryStore, Observer, ResponseCache, StoreError, TokenKey, TokenSet, TokenStore,
    fentu,
};

use super::{Recorder, call, login_client, tokens};
use crate::forward_to_store::forward_to_store;
use crate::support::{builder, client, order, refused};

/// The level and the fields of each span and event, as the docs list them.
fn table() -> BTreeMap<String, (String, BTreeSet<String>)> {
    let docs = include_str!("../../../src/observability.rs");
    let rows = docs.lines().filter_map(|line| line.strip_prefix("//! | `servicebay."));
    let row = |row: &str| {
        let mut cells = row.split(" | ");
        let mut cell = || cells.next().unwrap();
        let name = format!("servicebay.{}", cell().trim_end_matches('`'));
        let level = cell().to_owned();
        (name, (level, cell().split(' ').map(|field| field.trim_matches('`').to_owned()).collect()))
    };
    rows.map(row).collect()
}

/// A store that fails to load and to save.
#[derive(Debug)]
struct FailingStore(MemoryStore);

impl TokenStore for FailingStore {
    forward_to_store!(0: remove, lease);

    async fn load(&self, _: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        Err(StoreError::new("the disk is full"))
    }

    async fn compare_and_swap(&self, _: &TokenKey, _: u64, _: &TokenSet) -> Result<CompareAndSwap, StoreError> {
        Err(StoreError::new("the disk is full"))
    }
}

struct PanickingObserver;

impl Observer for PanickingObserver {
    fn observe(&self, _: &Event<'_>) {
        panic!("an observer panics");
    }
}

/// A rate limit, failures, invalid responses, and an observer that panics.
async fn failures() -> Result<(), Error> {
    let script = Script::new([
        refused("30").header("retry-after", "soon"),
        Step::status(503),
        Step::json(200, json!({"id": 1, "total": {"odd": true}})),
        Step::body(200, "application/json", r#"{"id": 2, "total": NaN}"#),
        page(0, 2, [json!({"id": 1}), json!("odd")]),
    ]);
    let client = builder(&script).with_observer(PanickingObserver).build()?;
    client.get_order().id(1).send().await?;
    client.get_order().id(2).send().await?;
    client.list_queues().limit(2).send().await.map(drop)
}

/// A response that is read twice and sent once.
async fn a_cached_response() -> Result<(), Error> {
    let script = Script::new([order().header("cache-control", "max-age=60")]);
    let client = builder(&script).with_cache(ResponseCache::new()).build()?;
    client.get_order().id(1).send().await?;
    client.get_order().id(1).send().await.map(drop)
}

/// A vendor that is found at the alternative of its two base URLs.
async fn a_switched_base_url() -> Result<(), Error> {
    let script = Script::new([Step::status(404), Step::json(200, json!({"data": {"id": "task-1"}}))]);
    let client = fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(script).build()?;
    client.get_task().id("task-1").send().await.map(drop)
}

/// Tokens with an implausible lifetime, that are rejected, and that the store fails to save.
async fn token_problems() -> Result<(), Error> {
    let rejected = AtomicBool::new(false);
    let reject_once = move |_: &_| match rejected.swap(true, Ordering::Relaxed) {
        false => Step::json(401, json!({})),
        true => Step::json(200, json!({})),
    };
    let slow = |_: &_| tokens(0).delay(Duration::from_secs(2));
    call(&login_client(slow, reject_once).with_token_store(FailingStore(MemoryStore::new())).build()?).await?;
    let rejected = login_client(|_| Step::json(400, json!({})), super::booking).build()?;
    call(&rejected).await.unwrap_err();
    Ok(())
}

/// A page of a list.
fn page(offset: u64, total: u64, items: [Value; 2]) -> Step {
    Step::json(200, json!({"limit": 2, "offset": offset, "totalItems": total, "items": items}))
}

/// Lists that change while their pages are fetched.
async fn lists_that_change() -> Result<(), Error> {
    let queue = |id| json!({"id": id, "name": "Bench"});
    let without_id = || json!({"name": "Bench"});
    let growing = [page(0, 3, [queue(1), queue(2)]), page(2, 4, [queue(2), queue(3)])];
    let shrinking = [page(0, 5, [without_id(), without_id()]), page(2, 4, [without_id(), without_id()])];
    for pages in [growing, shrinking] {
        let (client, _script) = client(pages);
        client.list_queues().limit(2).items().try_collect::<Vec<_>>().await?;
    }
    Ok(())
}

/// Webhooks that are refused, delivered again, and in another version.
#[cfg(feature = "webhooks")]
async fn webhooks() {
    use servicebay::webhook::{AcceptUnverified, WebhookReceiver};

    let server = servicebay::testing::repairy::MockServer::builder().in_memory();
    let receiver = WebhookReceiver::<servicebay::repairy::BookingEvent>::new(AcceptUnverified);
    let webhook = server.webhook("bookingUpdated", "670000000000000000000001").with_version("4");
    for webhook in [webhook.clone(), webhook.clone(), webhook.without_header("x-request-id")] {
        let (head, body) = webhook.request("/").into_parts();
        if let Ok(delivery) = receiver.receive(&head.headers, body).await {
            delivery.complete().await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_tables_list_exactly_what_is_emitted() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    failures().await.unwrap();
    a_cached_response().await.unwrap();
    a_switched_base_url().await.unwrap();
    token_problems().await.unwrap();
    lists_that_change().await.unwrap();
    #[cfg(feature = "webhooks")]
    webhooks().await;
    drop(guard);
    let emitted = recorder.records().into_iter().map(|record| {
        let fields = record.declared.into_iter().map(str::to_owned).collect();
        (record.name.to_owned(), (record.level.to_string(), fields))
    });
    let emitted: BTreeMap<String, (String, BTreeSet<String>)> = emitted.collect();
    let mut table = table();
    // Emitted on file systems without locks alone.
    assert!(table.remove("servicebay.no_file_locks").is_some());
    if cfg!(not(feature = "webhooks")) {
        table.retain(|name, _| !name.starts_with("servicebay.webhook_"));
    }
    for name in emitted.keys().chain(table.keys()) {
        assert_eq!(emitted.get(name), table.get(name), "{name}: emitted, and listed");
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_do_not_name_their_client_are_inside_a_span_that_does() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    failures().await.unwrap();
    token_problems().await.unwrap();
    let (client, _script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    drop(guard);
    let parent = |name| recorder.named(name).first().and_then(|record| record.parent);
    for (event, span) in [
        ("servicebay.skipped_value", "servicebay.call"),
        ("servicebay.repaired_body", "servicebay.call"),
        ("servicebay.invalid_token_lifetime", "servicebay.token_refresh"),
    ] {
        assert_eq!(parent(event), Some(span), "{event}");
    }
}

#[test]
fn every_name_in_the_source_is_in_the_tables() {
    fn walk(folder: &Path, table: &BTreeMap<String, (String, BTreeSet<String>)>, found: &mut usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, table, found);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for name in code.flat_map(|line| line.split('"')).filter(|text| text.starts_with("servicebay.")) {
                assert!(table.contains_key(name), "{} emits {name}, which is in no table", path.display());
                *found += 1;
            }
        }
    }
    let (table, mut found) = (table(), 0);
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &table, &mut found);
    assert_eq!(found, table.len(), "each is emitted in one place");
}
