//! A place in a list that can be written down.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, Position};

/// The form that is written now.
const VERSION: u32 = 1;
/// How many keys are written down.
pub(super) const KEYS: usize = 200;

/// A place in a list, behind the last item that was handed out: take one with [`Items::cursor`](crate::Items::cursor) or
/// [`Pages::cursor`](crate::Pages::cursor), store it, and go on after a restart with
/// [`Items::resume`](crate::Items::resume).
///
/// It belongs to one operation of one tenant with one set of parameters, and is refused elsewhere with
/// [`Error::InvalidRequest`](crate::Error::InvalidRequest). It holds no secret and no parameter: the operation's name, numbers, and for each of the
/// last items, at most 200, a number made from its id, by which the resumed walk knows them when they come again. In JSON
/// it takes up to 4 KB. One that was damaged, or written in a later form, is refused when it is read.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
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
#[serde(try_from = "Written", into = "Written")]
pub struct Cursor {
    pub(super) operation: String,
    pub(super) query: u64,
    pub(super) position: Option<Position>,
    pub(super) taken: u64,
    pub(super) yielded: u64,
    pub(super) total: Option<u64>,
    pub(super) keys: Vec<u64>,
}

impl Cursor {
    /// The operation that lists, such as `list_orders`.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// Where the page is that the walk goes on with; `None` at the end of the list.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// How many items were handed out, from the first walk on.
    pub fn yielded(&self) -> u64 {
        self.yielded
    }

    /// How many items there were in all, where the vendor says.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    /// Whether the walk came to its end: resuming it gives nothing more, and sends nothing.
    pub fn is_finished(&self) -> bool {
        self.position.is_none()
    }
}

/// A cursor as it is written down.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    operation: String,
    query: u64,
    position: Option<Position>,
    taken: u64,
    yielded: u64,
    total: Option<u64>,
    keys: Vec<u64>,
    /// Made from all the others: a walk that goes on from a wrong place skips or doubles in silence.
    check: u64,
}

impl Written {
    fn proper(&self) -> u64 {
        let position = serde_json::to_string(&self.position).unwrap_or_default();
        let total = self.total.map(|total| total.to_string()).unwrap_or_default();
        let print = Fingerprint::new().with(self.version).with(&self.operation).with(self.query).with(position);
        let print = print.with(self.taken).with(self.yielded).with(total);
        self.keys.iter().fold(print, |print, key| print.with(key)).finish()
    }
}

impl From<Cursor> for Written {
    fn from(cursor: Cursor) -> Self {
        let Cursor { operation, query, position, taken, yielded, total, keys } = cursor;
        let written = Self { version: VERSION, operation, query, position, taken, yielded, total, keys, check: 0 };
        Self { check: written.proper(), ..written }
    }
}

impl TryFrom<Written> for Cursor {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        if written.version != VERSION {
            return Err("the cursor was written by another version of servicebay: begin the walk anew");
        }
        if written.check != written.proper() {
            return Err("the cursor is damaged: begin the walk anew");
        }
        let Written { operation, query, position, taken, yielded, total, keys, .. } = written;
        Ok(Self { operation, query, position, taken, yielded, total, keys })
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
            query: 77,
            position: Some(Position::Offset(50)),
            taken: 3,
            yielded: 53,
            total: Some(140),
            keys: vec![1, 2, 3],
        }
    }

    /// Written down once: a change of the form makes every cursor worthless that somebody has stored.
    const KEPT: &str = r#"{"version":1,"operation":"list_orders","query":77,"position":{"offset":50},"taken":3,"yielded":53,"total":140,"keys":[1,2,3],"check":2492868564207026}"#;

    #[test]
    fn the_form_of_a_cursor_stays_as_it_is() {
        assert_eq!(serde_json::to_string(&cursor()).unwrap(), KEPT);
        assert_eq!(serde_json::from_str::<Cursor>(KEPT).unwrap(), cursor());
    }

    #[test]
    fn a_cursor_of_another_version_is_refused_and_says_so() {
        let error = serde_json::from_str::<Cursor>(&KEPT.replace("\"version\":1", "\"version\":2")).unwrap_err();
        assert!(error.to_string().contains("another version"), "{error}");
    }

    #[test]
    fn a_change_of_any_member_is_refused() {
        let whole: Value = serde_json::from_str(KEPT).unwrap();
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
        fn a_cursor_that_is_cut_off_or_hit_anywhere_is_refused_or_the_same(place in 0..KEPT.len(), byte: u8) {
            prop_assert!(serde_json::from_str::<Cursor>(&KEPT[..place]).is_err());
            let mut hit = KEPT.as_bytes().to_vec();
            hit[place] = byte;
            if let Ok(read) = serde_json::from_slice::<Cursor>(&hit) {
                prop_assert_eq!(read, cursor());
            }
        }
    }
}
