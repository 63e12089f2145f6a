//! A position in a list that can be stored and resumed.

use serde::{Deserialize, Serialize};

use super::fingerprint::Fingerprint;
use super::position::Position;

/// The version of the stored format.
const VERSION: u32 = 1;
/// The most keys that a cursor holds.
pub(super) const MAX_KEYS: usize = 200;

/// A position in a list, after the last item that was yielded. Take one with [`Items::cursor`](crate::Items::cursor) or
/// [`Pages::cursor`](crate::Pages::cursor), store it with serde, and continue with [`Items::resume`](crate::Items::resume)
/// or [`Pages::resume`](crate::Pages::resume), in another process too.
///
/// A cursor belongs to one operation of one tenant with one set of parameters. Resuming anything else yields
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest). It contains no secret and no parameter value: the operation's name,
/// counts, and a hash of the id of each of the last 200 items, by which the stream recognizes them when they come again. It
/// takes at most 4 KB as JSON. Deserializing fails if the cursor is damaged or was written by an incompatible version.
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
    keys: Vec<u64>,
    /// A checksum of the other fields: a stream that resumes at a wrong position would skip or repeat items silently.
    check: u64,
}

impl StoredCursor {
    fn checksum(&self) -> u64 {
        let position = serde_json::to_string(&self.position).unwrap_or_default();
        let total = self.total.map(|total| total.to_string()).unwrap_or_default();
        let fingerprint = Fingerprint::new().with(self.version).with(&self.operation).with(self.query).with(position);
        let fingerprint = fingerprint.with(self.taken).with(self.yielded).with(total);
        self.keys.iter().fold(fingerprint, |fingerprint, key| fingerprint.with(key)).finish()
    }
}

impl From<Cursor> for StoredCursor {
    fn from(cursor: Cursor) -> Self {
        let Cursor { operation, fingerprint: query, position, taken, yielded, total, keys } = cursor;
        let stored = Self { version: VERSION, operation, query, position, taken, yielded, total, keys, check: 0 };
        Self { check: stored.checksum(), ..stored }
    }
}

impl TryFrom<StoredCursor> for Cursor {
    type Error = &'static str;

    fn try_from(stored: StoredCursor) -> Result<Self, Self::Error> {
        if stored.version != VERSION {
            return Err("the cursor was written by an incompatible version of servicebay: list again from the start");
        }
        if stored.check != stored.checksum() {
            return Err("the cursor is damaged: list again from the start");
        }
        let StoredCursor { operation, query, position, taken, yielded, total, keys, .. } = stored;
        Ok(Self { operation, fingerprint: query, position, taken, yielded, total, keys })
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
            keys: vec![1, 2, 3],
        }
    }

    /// Never change it: cursors in this form are stored by users.
    const STORED: &str = r#"{"version":1,"operation":"list_orders","query":77,"position":{"offset":50},"taken":3,"yielded":53,"total":140,"keys":[1,2,3],"check":2492868564207026}"#;

    #[test]
    fn the_stored_format_is_stable() {
        assert_eq!(serde_json::to_string(&cursor()).unwrap(), STORED);
        assert_eq!(serde_json::from_str::<Cursor>(STORED).unwrap(), cursor());
    }

    #[test]
    fn a_cursor_of_another_version_is_rejected_with_the_reason() {
        let error = serde_json::from_str::<Cursor>(&STORED.replace("\"version\":1", "\"version\":2")).unwrap_err();
        assert!(error.to_string().contains("incompatible version"), "{error}");
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
