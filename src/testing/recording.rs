//! A recording: the exchanges of a session without secrets and personal data, and the file that holds them.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::keep::Keep;

const FORMAT: &str = "servicebay recording";
const VERSION: u64 = 1;

/// The exchanges of a session with a vendor, as a [`Recorder`](super::Recorder) saw them, scrubbed. A
/// [`Replay`](super::Replay) plays it.
///
/// It becomes a JSON file for people to read and to commit: one member a line, in a stable order.
///
/// # What scrubbing promises
///
/// Scrubbing keeps what a list says, [`Keep`], and replaces the rest. Kept are the names of members and parameters that are
/// identifiers, booleans, nulls, statuses, the words of the vendor's paths, and the headers that the client reads for limits.
///
/// | replaced | by |
/// | --- | --- |
/// | text, in bodies, queries, paths and headers | `s1`, `s2`: the same text by the same one, so that ids still match |
/// | numbers, also as text | numbers with as many digits |
/// | dates | dates: all move by the same number of weeks, so that the recording starts in the first week of 2018 |
/// | names of members that are no identifiers, such as the keys of a map by email | texts |
/// | bodies that are not JSON | their media type and length |
///
/// Never in a recording: the headers of requests, cookies, the host, the bodies of token requests, and anything of which the
/// client's credentials are a part. Responses to token requests have texts in place of tokens.
///
/// Scrubbing does **not** hide the structure: which members there are, how many items a list has, which of them are equal, how
/// many digits a number has, the lengths of bodies, the order and the times of requests. An identifier is kept even if it is the
/// key of a map: `{"Jane": 1}` shows `Jane`. Dates keep their distances, so one known date reveals all. Zero, and small numbers
/// of which nearly all values occur, may stay what they are. Read the file before you publish it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub(crate) keep: Keep,
    pub(crate) started_at: Timestamp,
    pub(crate) exchanges: Vec<Exchange>,
}

/// One request, and what came back. Without a response and a failure, nothing came before the client gave up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// When the request was sent, in milliseconds from the start.
    pub(crate) at_ms: u64,
    pub(crate) operation: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) token_request: bool,
    /// Method, path and query. What stands in braces is replaced.
    pub(crate) request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) response: Option<RecordedResponse>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<RecordedFailure>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedResponse {
    pub(crate) after_ms: u64,
    pub(crate) status: u16,
    /// Lines of name and value.
    pub(crate) headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<Content>,
    /// How long after the head the body ended.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) body_after_ms: u64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) end: BodyEnd,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedFailure {
    pub(crate) after_ms: u64,
    pub(crate) kind: FailureKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Content {
    Json(Value),
    Opaque { media_type: Option<String>, bytes: Option<u64> },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BodyEnd {
    #[default]
    Complete,
    /// The connection broke.
    Broken,
    /// The client read no further.
    Abandoned,
}

/// Why there was no response.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FailureKind {
    NotSent,
    MayHaveArrived,
    TimedOut,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: String,
    version: u64,
    started_at: Timestamp,
    keep: Keep,
    exchanges: Vec<Exchange>,
}

impl Recording {
    /// Reads a recording from a file.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, is no recording, is damaged, or has the format of another version. It is never changed.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, RecordingError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| RecordingError::new(path, "cannot be read", error))?;
        Self::from_json(&text).map_err(|error| error.of(path))
    }

    /// Reads a recording from the text of a file, for example with `include_str!`.
    ///
    /// # Errors
    ///
    /// If the text is no recording, is damaged, or has the format of another version.
    pub fn from_json(text: &str) -> Result<Self, RecordingError> {
        let damaged = |error: serde_json::Error| {
            RecordingError::without_path("is damaged: restore it, or record again").with_source(error)
        };
        let value: Value = serde_json::from_str(text).map_err(damaged)?;
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(RecordingError::without_path(
                "is no recording of servicebay: its member `format` says otherwise",
            ));
        }
        match value.get("version").and_then(Value::as_u64) {
            Some(VERSION) => {}
            Some(version) if version > VERSION => {
                return Err(RecordingError::without_path(format!(
                    "has format {version}, and this version of servicebay reads format {VERSION}: update servicebay"
                )));
            }
            Some(version) => {
                return Err(RecordingError::without_path(format!(
                    "has format {version}, which this version of servicebay no longer reads: record again"
                )));
            }
            None => {
                return Err(RecordingError::without_path(
                    "has no number as its `version`: restore it, or record again",
                ));
            }
        }
        // From the text, so that an error names its line.
        let document: Document = serde_json::from_str(text).map_err(damaged)?;
        let Document { keep, started_at, exchanges, .. } = document;
        Ok(Self { keep, started_at, exchanges })
    }

    /// Writes the recording to a file, which is complete or not there: the file is written beside it and renamed.
    ///
    /// # Errors
    ///
    /// If the file cannot be written, or if there is a file that is no recording, which is left as it is.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RecordingError> {
        let path = path.as_ref();
        match fs::read(path) {
            Ok(bytes) if !is_recording(&bytes) => {
                let what = "exists and is no recording, so it is not replaced: choose another path, or move it away";
                return Err(RecordingError::without_path(what).of(path));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RecordingError::new(path, "cannot be replaced", error)),
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{:08x}.part", std::process::id(), fastrand::u32(..)));
        let part = path.with_file_name(name);
        let written = File::create_new(&part).and_then(|mut file| {
            file.write_all(self.to_json().as_bytes())?;
            file.sync_all()?;
            fs::rename(&part, path)
        });
        written.map_err(|error| {
            // What is left of it is of no use; the error above is the one to report.
            let _ = fs::remove_file(&part);
            RecordingError::new(path, "cannot be written", error)
        })
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        let document = Document {
            format: FORMAT.to_owned(),
            version: VERSION,
            started_at: self.started_at,
            keep: self.keep.clone(),
            exchanges: self.exchanges.clone(),
        };
        let mut text = serde_json::to_string_pretty(&document).expect("text, numbers and maps with text as keys");
        text.push('\n');
        text
    }

    /// The wall time at which the recording starts, moved like all its dates.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// How many exchanges it has.
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }
}

/// Whether a file may be replaced by a recording: it is one, of any version, or it is empty.
fn is_recording(bytes: &[u8]) -> bool {
    let value = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    bytes.is_empty() || value.get("format").and_then(Value::as_str) == Some(FORMAT)
}

/// Why a [`Recording`] cannot be read or written.
#[derive(Debug)]
pub struct RecordingError {
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl RecordingError {
    fn new(path: &Path, what: &str, error: io::Error) -> Self {
        Self::without_path(what).with_source(error).of(path)
    }

    fn without_path(what: impl Into<String>) -> Self {
        Self { message: what.into(), source: None }
    }

    fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    fn of(mut self, path: &Path) -> Self {
        self.message = format!("{} {}", path.display(), self.message);
        self
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the recording {}", self.message)
    }
}

impl std::error::Error for RecordingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
