//! The files of recordings: how they are written, and what is wrong with those that cannot be read.

use std::fmt::Debug;
use std::fs;

use serde_json::{Value, json};
use servicebay::testing::{Keep, Recording, RecordingError, Step};

use super::{get, recorded};
use crate::folder::Folder;

async fn recording() -> Recording {
    recorded(Keep::default(), [(get("/api/v3/orders/20000010"), Step::json(200, json!({"id": 20_000_010})))]).await
}

/// The message of an error and of its causes.
fn message(result: Result<impl Debug, RecordingError>) -> String {
    let error = result.expect_err("an error");
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_as_it_was_written_and_is_alone_in_its_folder() {
    let folder = Folder::new();
    let path = folder.path().join("orders.json");
    let recording = recording().await;
    for _ in 0..2 {
        recording.save(&path).unwrap();
        assert_eq!(Recording::load(&path).unwrap(), recording);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, recording.to_json());
    assert!(text.ends_with("}\n") && text.lines().all(|line| line.len() < 120), "{text}");
}

#[tokio::test(start_paused = true)]
async fn two_recordings_of_one_session_are_the_same_text() {
    assert_eq!(without_time(&recording().await), without_time(&recording().await));
}

/// A recording without its start, whose time of day is that of the test.
fn without_time(recording: &Recording) -> Value {
    let mut document: Value = serde_json::from_str(&recording.to_json()).unwrap();
    document.as_object_mut().unwrap().remove("started_at").expect("a start");
    document
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_recording_of_this_version_is_named_in_the_error_and_left_alone() {
    let folder = Folder::new();
    let path = folder.path().join("orders.json");
    let text = recording().await.to_json();
    let changed = |name: &str, value: Value| {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document[name] = value;
        document.to_string()
    };
    for (content, expected) in [
        (text[..text.len() / 2].to_owned(), "is damaged: restore it, or record again: EOF"),
        ("not JSON".to_owned(), "is damaged"),
        ("[]".to_owned(), "is no recording of servicebay"),
        (json!({"log": {}}).to_string(), "is no recording of servicebay"),
        (
            changed("version", json!(2)),
            "has format 2, and this version of servicebay reads format 1: update servicebay",
        ),
        (changed("version", json!(0)), "has format 0, which this version of servicebay no longer reads: record again"),
        (changed("version", json!("1")), "has no number as its `version`"),
        (changed("exchanges", json!([{}])), "missing field"),
        (changed("more", json!(1)), "unknown field `more`"),
    ] {
        fs::write(&path, &content).unwrap();
        let message = message(Recording::load(&path));
        assert!(message.contains(expected) && message.contains("orders.json"), "{message}\n{expected}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let missing = message(Recording::load(folder.path().join("none.json")));
    assert!(missing.contains("none.json cannot be read: "), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_no_recording_is_never_replaced() {
    let folder = Folder::new();
    let path = folder.path().join("notes.json");
    for content in ["{\"mine\": 1}", "text", "{\"format\": \"servicebay rec"] {
        fs::write(&path, content).unwrap();
        let message = message(recording().await.save(&path));
        assert!(
            message.contains("exists and is no recording, so it is not replaced: choose another path"),
            "{message}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    let message = message(recording().await.save(folder.path().join("none").join("a.json")));
    assert!(message.contains("cannot be written"), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
