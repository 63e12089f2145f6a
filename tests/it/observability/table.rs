//! The table in the docs is what is told: no name, level or field more, and none less.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{
    CompareAndSwap, Error, Event, Lease, MemoryStore, Observer, StoreError, TokenKey, TokenSet, TokenStore, fentu,
};

use super::{Recorder, call, granted, pair};
use crate::support::{builder, client, order, refused};

/// Level and fields of each span and event, as the docs have them.
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

/// A store that gives nothing and keeps nothing.
#[derive(Debug)]
struct Broken(MemoryStore);

impl TokenStore for Broken {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        Box::pin(async { Err(StoreError::new("the shelf is locked")) })
    }

    fn compare_and_swap<'a>(
        &'a self,
        _: &'a TokenKey,
        _: u64,
        _: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        Box::pin(async { Err(StoreError::new("the shelf is locked")) })
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.0.lease(key)
    }
}

struct Broody;

impl Observer for Broody {
    fn observe(&self, _: &Event<'_>) {
        panic!("nobody should mind");
    }
}

/// A limit, failures, odd answers, and an observer that panics.
async fn a_bad_day() -> Result<(), Error> {
    let script = Script::new([
        refused("30").header("retry-after", "soon"),
        Step::status(503),
        Step::json(200, json!({"id": 1, "total": {"odd": true}})),
        Step::body(200, "application/json", r#"{"id": 1, "id": 2}"#),
    ]);
    let client = builder(&script).with_observer(Broody).build()?;
    client.get_order().id(1).send().await?;
    client.get_order().id(2).send().await.map(drop)
}

/// A vendor that is found at the other of its two addresses.
async fn a_move() -> Result<(), Error> {
    let script = Script::new([Step::status(404), Step::json(200, json!({"data": {"id": "task-1"}}))]);
    let client = fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(script).build()?;
    client.get_task().id("task-1").send().await.map(drop)
}

/// Tokens whose life is odd, that are refused, and that no store keeps.
async fn odd_tokens() -> Result<(), Error> {
    let known = AtomicBool::new(false);
    let call_once = move |_: &_| match known.swap(true, Ordering::Relaxed) {
        false => Step::json(401, json!({})),
        true => Step::json(200, json!({})),
    };
    let slow = |_: &_| pair(0).delay(Duration::from_secs(2));
    call(&granted(slow, call_once).with_token_store(Broken(MemoryStore::new())).build()?).await?;
    let refuses = granted(|_| Step::json(400, json!({})), super::booking).build()?;
    call(&refuses).await.unwrap_err();
    Ok(())
}

/// A page of a list.
fn page(offset: u64, total: u64, items: [Value; 2]) -> Step {
    Step::json(200, json!({"limit": 2, "offset": offset, "totalItems": total, "items": items}))
}

/// Lists that change during their walks.
async fn lists_that_change() -> Result<(), Error> {
    let queue = |id| json!({"id": id, "name": "Bench"});
    let nameless = || json!({"name": "Bench"});
    let grows = [page(0, 3, [queue(1), queue(2)]), page(2, 4, [queue(2), queue(3)])];
    let falls = [page(0, 5, [nameless(), nameless()]), page(2, 4, [nameless(), nameless()])];
    for pages in [grows, falls] {
        let (client, _script) = client(pages);
        client.list_queues().limit(2).items().try_collect::<Vec<_>>().await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_what_the_table_says() {
    let recorder = Recorder::default();
    let listening = recorder.listen();
    a_bad_day().await.unwrap();
    a_move().await.unwrap();
    odd_tokens().await.unwrap();
    lists_that_change().await.unwrap();
    drop(listening);
    let told = recorder.records().into_iter().map(|record| {
        let fields = record.declared.into_iter().map(str::to_owned).collect();
        (record.name.to_owned(), (record.level.to_string(), fields))
    });
    let told: BTreeMap<String, (String, BTreeSet<String>)> = told.collect();
    let table = table();
    for name in told.keys().chain(table.keys()) {
        assert_eq!(told.get(name), table.get(name), "{name}: what is told, and what the table says");
    }
}

#[tokio::test(start_paused = true)]
async fn events_that_do_not_name_their_client_are_inside_a_span_that_does() {
    let recorder = Recorder::default();
    let listening = recorder.listen();
    a_bad_day().await.unwrap();
    odd_tokens().await.unwrap();
    let (client, _script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    drop(listening);
    let inside = |name| recorder.named(name).first().and_then(|record| record.parent);
    for (event, span) in [
        ("servicebay.skipped_value", "servicebay.call"),
        ("servicebay.mended_body", "servicebay.call"),
        ("servicebay.odd_life", "servicebay.renewal"),
    ] {
        assert_eq!(inside(event), Some(span), "{event}");
    }
}

#[test]
fn every_name_in_the_source_is_in_the_table() {
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
                assert!(table.contains_key(name), "{} tells {name}, which the table lacks", path.display());
                *found += 1;
            }
        }
    }
    let (table, mut found) = (table(), 0);
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &table, &mut found);
    assert_eq!(found, table.len(), "each is told at one place");
}
