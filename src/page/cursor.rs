//! A position in a list that can be stored and resumed.

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::position::Position;
use crate::list_changes::ListChanges;

/// The version of the stored format. Version 1 had no changes.
const VERSION: u32 = 2;
/// The most keys that a cursor holds.
pub(super) const MAX_KEYS: usize = 200;

/// A position in a list, after the last item that was yielded. Take one with [`Items::cursor`](crate::Items::cursor) or
/// [`Pages::cursor`](crate::Pages::cursor), store it with serde, and continue with [`Items::resume`](crate::Items::resume)
/// or [`Pages::resume`](crate::Pages::resume), in another process too.
///
/// A cursor belongs to one operation of one tenant with one set of parameters. Resuming anything else yields
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest). It contains no secret and no parameter value: the operation's name,
/// counts, and a hash of the id of each of the last 200 items, by which the stream recognizes them when they come again. It
/// takes at most 4 KB as JSON. Cursors of every earlier version can be read. Deserializing fails if the cursor is damaged or was
/// written by an incompatible later version.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// use futures_util::TryStreamExt;
/// use servicebay::Cursor;
///
/// let mut orders = client.list_orders().limit(50).items();
/// for _ in 0..70 {
///     orders.try_next().await?;
/// }
/// let stored = serde_json::to_string(&orders.cursor())?;
///
/// // Later, in another process:
/// let cursor: Cursor = serde_json::from_str(&stored)?;
/// assert_eq!((cursor.yielded(), cursor.total()), (70, Some(140)));
/// let rest: Vec<_> = client.list_orders().limit(50).items().resume(cursor).try_collect().await?;
/// assert_eq!(rest.len(), 70);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredCursor", into = "StoredCursor")]
pub struct Cursor {
    pub(super) operation: String,
    pub(super) fingerprint: u64,
    pub(super) position: Option<Position>,
    pub(super) taken: u64,
    pub(super) yielded: u64,
    pub(super) total: Option<u64>,
    /// How many items of the list were received. `None` if it is not known, as in a cursor of version 1.
    pub(super) received: Option<u64>,
    pub(super) changes: ListChanges,
    pub(super) keys: Vec<u64>,
}

impl Cursor {
    /// The operation that lists, for example `list_orders`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The position of the page to continue with; `None` at the end of the list.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The number of items yielded so far, across all processes that resumed it.
    pub fn yielded(&self) -> u64 {
        self.yielded
    }

    /// The number of items in the whole list when the cursor was taken, if the vendor sends it.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// The changes to the list that were noticed so far, summed over all processes that resumed it. A cursor that was taken before there
    /// were sums starts them anew.
    pub fn changes(&self) -> ListChanges {
        self.changes
    }

    /// Whether the list was read to its end: a resumed stream yields nothing and sends nothing.
    pub fn is_finished(&self) -> bool {
        self.position.is_none()
    }
}

/// The serialized form of a [`Cursor`]. Its fields are a stable format.
#[derive(Serialize, Deserialize)]
struct StoredCursor {
    version: u32,
    operation: String,
    query: u64,
    position: Option<Position>,
    taken: u64,
    yielded: u64,
    total: Option<u64>,
    /// From version 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    received: Option<u64>,
    /// From version 2 on; left out if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<StoredChanges>,
    keys: Vec<u64>,
    /// A checksum of the other fields: a stream that resumes at a wrong position would skip or repeat items silently.
    check: u64,
}

/// The serialized form of [`ListChanges`].
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredChanges {
    total_before: Option<u64>,
    total_now: Option<u64>,
    repeated: u64,
    backtracks: u64,
    maybe_missed: u64,
    maybe_repeated: u64,
}

impl From<ListChanges> for StoredChanges {
    fn from(changes: ListChanges) -> Self {
        let ListChanges { total_before, total_now, repeated, backtracks, maybe_missed, maybe_repeated } = changes;
        Self { total_before, total_now, repeated, backtracks, maybe_missed, maybe_repeated }
    }
}

impl From<StoredChanges> for ListChanges {
    fn from(changes: StoredChanges) -> Self {
        let StoredChanges { total_before, total_now, repeated, backtracks, maybe_missed, maybe_repeated } = changes;
        Self { total_before, total_now, repeated, backtracks, maybe_missed, maybe_repeated }
    }
}

impl StoredCursor {
    fn checksum(&self) -> u64 {
        let position = serde_json::to_string(&self.position).unwrap_or_default();
        let total = self.total.map(|total| total.to_string()).unwrap_or_default();
        let fingerprint = Fingerprint::new().with(self.version).with(&self.operation).with(self.query).with(position);
        let mut fingerprint = fingerprint.with(self.taken).with(self.yielded).with(total);
        if self.version > 1 {
            let received = self.received.map(|received| received.to_string()).unwrap_or_default();
            let changes = serde_json::to_string(&self.changes).unwrap_or_default();
            fingerprint = fingerprint.with(received).with(changes);
        }
        self.keys.iter().fold(fingerprint, |fingerprint, key| fingerprint.with(key)).finish()
    }
}

impl From<Cursor> for StoredCursor {
    fn from(cursor: Cursor) -> Self {
        let Cursor { operation, fingerprint: query, position, taken, yielded, total, received, changes, keys } = cursor;
        let (version, check) = (VERSION, 0);
        let changes = (!changes.is_none()).then(|| changes.into());
        let stored =
            Self { version, operation, query, position, taken, yielded, total, received, changes, keys, check };
        Self { check: stored.checksum(), ..stored }
    }
}

impl TryFrom<StoredCursor> for Cursor {
    type Error = &'static str;

    fn try_from(stored: StoredCursor) -> Result<Self, Self::Error> {
        if !(1..=VERSION).contains(&stored.version) {
            return Err("the cursor was written by an incompatible version of servicebay: list again from the start");
        }
        if stored.check != stored.checksum() {
            return Err("the cursor is damaged: list again from the start");
        }
        if stored.version == 1 && (stored.received.is_some() || stored.changes.is_some()) {
            return Err("the cursor is damaged: list again from the start");
        }
        let StoredCursor { operation, query, position, taken, yielded, total, received, changes, keys, .. } = stored;
        let changes = changes.map(Into::into).unwrap_or_default();
        Ok(Self { operation, fingerprint: query, position, taken, yielded, total, received, changes, keys })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn cursor() -> Cursor {
        Cursor {
            operation: "list_orders".to_owned(),
            fingerprint: 77,
            position: Some(Position::Offset(50)),
            taken: 3,
            yielded: 53,
            total: Some(140),
            received: Some(53),
            changes: ListChanges {
                total_before: Some(139),
                total_now: Some(140),
                repeated: 1,
                backtracks: 2,
                maybe_missed: 3,
                maybe_repeated: 4,
            },
            keys: vec![1, 2, 3],
        }
    }

    /// Never change them: cursors in these forms are stored by users.
    const STORED: &str = r#"{"version":2,"operation":"list_orders","query":77,"position":{"offset":50},"taken":3,"yielded":53,"total":140,"received":53,"changes":{"total_before":139,"total_now":140,"repeated":1,"backtracks":2,"maybe_missed":3,"maybe_repeated":4},"keys":[1,2,3],"check":3168211407477463}"#;
    const STORED_BY_VERSION_1: &str = r#"{"version":1,"operation":"list_orders","query":77,"position":{"offset":50},"taken":3,"yielded":53,"total":140,"keys":[1,2,3],"check":2492868564207026}"#;

    #[test]
    fn the_stored_format_is_stable() {
        assert_eq!(serde_json::to_string(&cursor()).unwrap(), STORED);
        assert_eq!(serde_json::from_str::<Cursor>(STORED).unwrap(), cursor());
    }

    #[test]
    fn a_cursor_of_version_1_is_read_without_the_changes_that_it_did_not_have() {
        let read: Cursor = serde_json::from_str(STORED_BY_VERSION_1).unwrap();
        assert_eq!(read, Cursor { received: None, changes: ListChanges::default(), ..cursor() });
        let stored = serde_json::to_string(&read).unwrap();
        assert!(stored.contains("\"version\":2"), "{stored}");
        assert_eq!(serde_json::from_str::<Cursor>(&stored).unwrap(), read);
        let changes = serde_json::from_str::<Value>(STORED).unwrap()["changes"].to_string();
        for later in ["\"received\":53".to_owned(), format!("\"changes\":{changes}")] {
            let mixed = STORED_BY_VERSION_1.replace("\"keys\"", &format!("{later},\"keys\""));
            assert!(serde_json::from_str::<Cursor>(&mixed).is_err(), "{mixed}");
        }
    }

    #[test]
    fn a_list_that_did_not_change_is_stored_without_changes() {
        let unchanged = Cursor { changes: ListChanges::default(), ..cursor() };
        let stored = serde_json::to_string(&unchanged).unwrap();
        assert!(!stored.contains("changes"), "{stored}");
        assert_eq!(serde_json::from_str::<Cursor>(&stored).unwrap(), unchanged);
    }

    #[test]
    fn a_cursor_of_another_version_is_rejected_with_the_reason() {
        for other in ["\"version\":3", "\"version\":0"] {
            let error = serde_json::from_str::<Cursor>(&STORED.replace("\"version\":2", other)).unwrap_err();
            assert!(error.to_string().contains("incompatible version"), "{error}");
        }
    }

    #[test]
    fn a_change_to_any_field_is_rejected() {
        let whole: Value = serde_json::from_str(STORED).unwrap();
        for (name, value) in whole.as_object().unwrap() {
            for other in
                [Value::Null, 5.into(), "list_queues".into(), serde_json::json!({"page": 2}), vec![2, 1, 3].into()]
            {
                if other == *value {
                    continue;
                }
                let mut damaged = whole.clone();
                damaged[name] = other;
                assert!(serde_json::from_value::<Cursor>(damaged.clone()).is_err(), "{damaged}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_truncated_or_corrupted_cursor_is_rejected_or_unchanged(place in 0..STORED.len(), byte: u8) {
            prop_assert!(serde_json::from_str::<Cursor>(&STORED[..place]).is_err());
            let mut corrupted = STORED.as_bytes().to_vec();
            corrupted[place] = byte;
            if let Ok(read) = serde_json::from_slice::<Cursor>(&corrupted) {
                prop_assert_eq!(read, cursor());
            }
        }
    }
}
