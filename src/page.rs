//! Pagination: streams of pages and of items over any list operation.
//!
//! [`Pages`] and [`Items`] are two views of one [`Paginator`](paginator::Paginator), which decides what page is next. It has a
//! [`Prefetcher`](prefetcher::Prefetcher), which fetches pages concurrently and returns them in order, and a
//! [`Deduplicator`](deduplicator::Deduplicator), which makes good for changes to the list while it is read. The decisions behind
//! them are in `docs/design/paging.md`.

#[cfg(feature = "blocking")]
mod blocking;
mod cursor;
mod deduplicator;
mod fingerprint;
mod items;
mod list;
mod pages;
mod paginator;
mod position;
mod prefetcher;
mod stream;
mod unexpected_page;

#[cfg(feature = "blocking")]
pub use self::blocking::{BlockingItems, BlockingPages};
pub use self::cursor::Cursor;
pub(crate) use self::fingerprint::{Fingerprint, key};
pub use self::items::Items;
pub(crate) use self::list::Sealed;
pub use self::list::{List, ListPage};
pub use self::pages::Pages;
pub(crate) use self::position::PageParams;
pub use self::position::Position;
pub use self::unexpected_page::UnexpectedPage;
