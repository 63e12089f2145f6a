//! One word, one meaning: no two types share a name, and words that have been replaced do not come back.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::source_code::{Token, files_in, library, root, tokens};

/// Type names that more than one vendor's module has, because they mean the same in each: a user reads `fixably::Id` or
/// `fisikal::Page`.
const PER_VENDOR: [&str; 3] = ["Credentials", "Id", "Page"];

#[test]
fn no_two_types_share_a_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in library() {
        let is_excluded = ["src/testing"].iter().chain(EXCLUDED).any(|excluded| source.path.starts_with(excluded));
        if is_excluded || source.path.ends_with("generated.rs") {
            continue;
        }
        for name in types(&source.code) {
            places.entry(name).or_default().push(source.path.clone());
        }
    }
    places.retain(|name, places| places.len() > 1 && !PER_VENDOR.contains(&name.as_str()));
    assert!(places.is_empty(), "names of more than one type: {places:#?}");
}

/// The structs, enums, unions, traits and type aliases of a file, in inline modules too, but not in functions, traits,
/// impls or macros.
fn types(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let (mut types, mut blocks, mut item) = (Vec::new(), Vec::new(), Vec::new());
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign('{') => blocks.push(item.contains(&"mod")),
            Token::Sign('}') => drop(blocks.pop()),
            Token::Sign(';') => {}
            Token::Sign(_) => continue,
            Token::Word(word) => {
                item.push(*word);
                let is_type = ["struct", "enum", "union", "trait", "type"].contains(word);
                if let (true, Some(Token::Word(name))) = (is_type, tokens.get(index + 1))
                    && blocks.iter().all(|is_module| *is_module)
                {
                    types.push((*name).to_owned());
                }
                continue;
            }
        }
        item.clear();
    }
    types
}

#[test]
fn types_are_found_where_items_stand() {
    let code = "pub(crate) struct A<T>(T); impl B for A { type C = D; } mod e { enum F { G } trait H { type I; } } \
                fn j() { struct K; } type L = M; macro_rules! n { () => { struct O; }; }";
    assert_eq!(types(code), ["A", "F", "H", "L"]);
}

/// Words that have been replaced by a term of the field. They are refused in every name, comment, document and message, in
/// either case, as words of their own and as parts of a name.
///
/// Not in the list, because they are English or Rust in another sense: answer, ahead, budget (of retries), caller, closure,
/// core, credit, doubt, drift (of a clock, of an API), ending, keys, lane (of a priority, of a pool, in an address), life,
/// look, miss, odd, others, pass, place, plan, report, runtime, signal, turn, walk, way. As names of types most of them are
/// refused below.
const WORDS: &[(&str, &str)] = &[
    ("blur", "reset tolerance"),
    ("boarding", "token source"),
    ("desk", "test server"),
    ("dozing", "unresponsive"),
    ("era", "epoch"),
    ("flight", "refresh; fine after `in` and `single`"),
    ("flights", "refreshes"),
    ("gate", "rate limiter"),
    ("gates", "rate limiters"),
    ("journey", "retry context"),
    ("journeys", "retry contexts"),
    ("judge", "check"),
    ("judges", "checks"),
    ("landing", "refresh result"),
    ("latched", "permanent"),
    ("luck", "jitter"),
    ("mend", "repair"),
    ("mended", "repaired"),
    ("mends", "repairs"),
    ("nobody", "no caller"),
    ("overslept", "grant expired"),
    ("renewal", "token refresh"),
    ("renewals", "token refreshes"),
    ("ripe", "stale"),
    ("salvage", "JSON repair"),
    ("shelf", "client cache"),
    ("shelves", "client caches"),
    ("somebody", "a caller"),
    ("sweep", "evict"),
    ("sweeps", "evicts"),
    ("take off", "begin refresh"),
    ("tally", "counts"),
    ("teller", "telemetry"),
    ("telling", "instrument"),
    ("test tenant", "mock server"),
    ("test tenants", "mock servers"),
    ("underway", "in flight"),
    ("unheard", "unconfirmed"),
    ("unsettled", "outcome unknown"),
    ("upkeep", "keep alive"),
    ("verdict", "decision"),
    ("wares", "catalog"),
];

/// Names that have been replaced. They are refused as whole names, in code and in prose that quotes them.
const NAMES: &[(&str, &str)] = &[
    ("Answer", "HttpResponse"),
    ("Ask", "AcquireRequest"),
    ("Boarding", "TokenSource"),
    ("Core", "ClientInner"),
    ("Door", "server.rs of the vendor"),
    ("Drift", "ListChanges"),
    ("Echo", "MaybeObject"),
    ("Failure", "CallError"),
    ("Gate", "LimiterState"),
    ("House", "VendorServer"),
    ("Joined", "JoinedClients"),
    ("Ledger", "Deduplicator"),
    ("Live", "CachedToken"),
    ("Lost", "HttpError"),
    ("Office", "server.rs of the vendor"),
    ("Outgoing", "HttpRequest"),
    ("Pass", "AuthHeader, Reservation"),
    ("Plan", "AuthConfig"),
    ("Received", "RecordedRequest"),
    ("Reconciled", "ReconcileOutcome"),
    ("Refusal", "ErrorResponse"),
    ("Ripe", "Stale"),
    ("Signals", "RateLimitHeaders"),
    ("Swap", "CompareAndSwap"),
    ("Tally", "CountingObserver"),
    ("Told", "AttemptSpan"),
    ("Turn", "WaitDecision"),
    ("Unsettled", "UnknownOutcome"),
    ("Verdict", "RetryDecision"),
    ("Walk", "Paginator"),
    ("Why", "TokenErrorKind"),
    ("Wire", "Transport"),
    ("began_at", "started_at"),
    ("end_logins", "revoke_all"),
    ("foreign_traffic", "add_external_requests"),
    ("handed_out", "yielded"),
    ("known_as", "confidence"),
    ("mended_body", "repaired_body"),
    ("odd_header", "invalid_header"),
    ("odd_life", "invalid_token_lifetime"),
    ("other_base", "switched_base_url"),
    ("rejected_token", "reauthorize"),
    ("renews_after", "invalidate"),
    ("sets_out", "start_attempt"),
    ("stand_in", "type_override"),
    ("steps_back", "backtracks"),
    ("take_up", "adopt"),
    ("turns_elsewhere", "switch_base_url"),
    ("use_up_limit", "exhaust_rate_limit"),
    ("with_deadline", "with_operation_timeout"),
    ("with_timeout", "with_attempt_timeout"),
    ("with_wire", "with_transport"),
];

/// Words before which `flight` is the field's own word.
const BEFORE_FLIGHT: [&str; 2] = ["in", "single"];

/// Paths that are not held to the list.
const EXCLUDED: &[&str] = &[
    // The list itself, and the document that explains it.
    "docs/vocabulary.md",
    "tests/it/vocabulary.rs",
];

#[test]
fn no_retired_word_comes_back() {
    let mut found = BTreeMap::new();
    // Not all of `fuzz`, which also has what a run found.
    let fuzz = ["fuzz/Cargo.toml", "fuzz/fuzz_targets", "fuzz/src"];
    for path in
        [".github", "build.rs", "crates", "docs", "examples", "openapi", "scripts", "src", "tests"].iter().chain(&fuzz)
    {
        let path = root().join(path);
        let files = if path.is_dir() { files_in(&path) } else { vec![path] };
        check(files.into_iter().filter(|file| file.exists()), &mut found);
    }
    let documents = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.toml", "README.md"];
    check(documents.iter().map(|path| root().join(path)).filter(|file| file.exists()), &mut found);
    assert!(found.is_empty(), "retired words, and what to write instead: {found:#?}");
}

/// Adds the retired words of each file that is text.
fn check(files: impl Iterator<Item = PathBuf>, found: &mut BTreeMap<String, Vec<String>>) {
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let is_text = ["rs", "md", "toml", "json", "yml"].iter().any(|extension| path.ends_with(extension))
            || path == "scripts/test";
        if is_text && !EXCLUDED.iter().any(|excluded| path.starts_with(excluded)) {
            let text = fs::read_to_string(&file).unwrap();
            let mut retired = retired_words(&text);
            retired.extend(retired_names(&text, path.ends_with("rs")));
            if !retired.is_empty() {
                found.insert(path, retired);
            }
        }
    }
}

/// The retired words in a text, each with its lines and its replacement.
fn retired_words(text: &str) -> Vec<String> {
    let words = |line: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').flat_map(words).collect();
    let lines: Vec<Vec<String>> = text.lines().map(words).collect();
    let all: BTreeSet<&str> = lines.iter().flatten().map(String::as_str).collect();
    let mut found = Vec::new();
    for (retired, instead) in WORDS {
        let parts: Vec<&str> = retired.split(' ').collect();
        if !all.contains(parts[0]) {
            continue;
        }
        let is_retired = |line: &&Vec<String>| {
            line.windows(parts.len()).enumerate().any(|(index, window)| {
                let is_field_term =
                    *retired == "flight" && index > 0 && BEFORE_FLIGHT.contains(&line[index - 1].as_str());
                window == parts && !is_field_term
            })
        };
        let numbers: Vec<usize> =
            (1..).zip(&lines).filter(|(_, line)| is_retired(line)).map(|(number, _)| number).collect();
        if !numbers.is_empty() {
            found.push(format!("{retired} -> {instead}: lines {numbers:?}"));
        }
    }
    found
}

/// The retired names in a text, each with its replacement: in code as a name, in prose in backticks.
fn retired_names(text: &str, is_code: bool) -> Vec<String> {
    let tokens = if is_code { tokens(text) } else { Vec::new() };
    let is_in = |name: &str| tokens.contains(&Token::Word(name)) || text.contains(&format!("`{name}`"));
    NAMES.iter().filter(|(name, _)| is_in(name)).map(|(name, instead)| format!("{name} -> {instead}")).collect()
}

/// The words of a name in lower case: of `take_off`, `TakeOff` and `takeOff` the words `take` and `off`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut starts_word = true;
    for c in name.chars() {
        if c == '_' {
            starts_word = true;
            continue;
        }
        if starts_word || c.is_uppercase() && !words.last().is_some_and(|word| word.ends_with(char::is_uppercase)) {
            words.push(String::new());
        }
        starts_word = false;
        words.last_mut().expect("the first character starts a word").push(c);
    }
    words.into_iter().map(|word| word.to_lowercase()).collect()
}

#[test]
fn retired_words_and_names_are_found() {
    for (text, expected) in [
        ("fn journey_of(call: &Call)", "journey"),
        ("struct RetryJourney;", "journey"),
        ("/// Nobody waits.", "nobody"),
        ("\"the test tenant\"", "test tenant"),
        ("the flight lands", "flight"),
        ("fn take_off() {}", "take off"),
        ("let answer: Answer", "Answer"),
        ("/// See [`Answer`].", "Answer"),
    ] {
        let found = [retired_words(text), retired_names(text, true)].concat();
        assert!(found.iter().any(|word| word.starts_with(&format!("{expected} ->"))), "{text}: {found:?}");
    }
    for text in ["calls in flight, in_flight(), single-flight", "// Answer in an aggregate", "a trailing erase"] {
        let found = [retired_words(text), retired_names(text, true)].concat();
        assert!(found.is_empty(), "{text}: {found:?}");
    }
}
