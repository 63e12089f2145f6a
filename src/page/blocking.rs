//! The iterators of pages and of items, for threads without async code.

use super::items::Items;
use super::list::List;
use super::pages::Pages;
use crate::blocking::BlockingRuntime;
use crate::error::Error;
use crate::response::Response;

/// Defines an iterator over a stream of [`list_stream`](super::stream::list_stream).
macro_rules! list_iterator {
    ($Iterator:ident, $Stream:ident, $stream:literal, $item:literal, $Item:ty, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[must_use = "an iterator does nothing until it is asked for an item"]
        #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
        pub struct $Iterator<L: List> {
            /// `None` only while it is dropped.
            stream: Option<$Stream<L>>,
            operation: &'static str,
            /// The runtime that the stream was polled on, if it was.
            runtime: Option<BlockingRuntime>,
            is_refused: bool,
        }

        impl<L: List> $Iterator<L> {
            pub(crate) fn new(operation: &'static str, stream: $Stream<L>) -> Self {
                Self { stream: Some(stream), operation, runtime: None, is_refused: false }
            }

            #[doc = concat!("As [`", stringify!($Stream), "::prefetch`]: up to `depth` pages at once. They make progress while the \
                             thread waits for the next ", $item, ".")]
            pub fn prefetch(mut self, depth: usize) -> Self {
                self.stream = self.stream.take().map(|stream| stream.prefetch(depth));
                self
            }

            #[doc = concat!("As [`", stringify!($Stream), "::resume`]: continues at a [`Cursor`](crate::Cursor).")]
            pub fn resume(mut self, cursor: crate::Cursor) -> Self {
                self.stream = self.stream.take().map(|stream| stream.resume(cursor));
                self
            }

            #[doc = concat!("The current position: after the last ", $item, " that was returned. Also valid after an error.")]
            pub fn cursor(&self) -> crate::Cursor {
                self.stream().cursor()
            }

            /// The changes to the list that were noticed so far.
            pub fn changes(&self) -> crate::ListChanges {
                self.stream().changes()
            }

            /// The number of items returned so far, including those before the cursor that it resumed at.
            pub fn yielded(&self) -> u64 {
                self.stream().yielded()
            }

            /// The number of items in the whole list according to the latest page, if the vendor sends it.
            pub fn total(&self) -> Option<u64> {
                self.stream().total()
            }

            fn stream(&self) -> &$Stream<L> {
                self.stream.as_ref().expect("the stream is there until the iterator is dropped")
            }
        }

        impl<L: List> Iterator for $Iterator<L> {
            type Item = Result<$Item, Error>;

            fn next(&mut self) -> Option<Self::Item> {
                let stream = self.stream.as_mut().filter(|_| !self.is_refused)?;
                let instead = format_args!("`.{}()`, which is a stream", $stream);
                match BlockingRuntime::get(self.operation, $stream, instead) {
                    Ok(runtime) => self.runtime.insert(runtime).block_on(stream.next()),
                    Err(error) => {
                        // An error ends the iterator. A loop that skips errors must not go on forever.
                        self.is_refused = true;
                        Some(Err(error))
                    }
                }
            }
        }

        impl<L: List> std::iter::FusedIterator for $Iterator<L> {}

        impl<L: List> Drop for $Iterator<L> {
            /// Cancels the requests in flight.
            fn drop(&mut self) {
                if let Some(runtime) = self.runtime {
                    runtime.drop(self.stream.take());
                }
            }
        }

        impl<L: List> std::fmt::Debug for $Iterator<L> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($Iterator)).field(self.stream()).finish()
            }
        }
    };
}

list_iterator! {
    BlockingItems, Items, "items", "item", L::Item,
    /// An iterator over the items of a list, which blocks its thread while it fetches a page: [`Items`] without async code
    /// (feature `blocking`).
    ///
    /// It ends after the last item or the first error. Dropping it cancels the requests in flight. In an async task of tokio it
    /// returns [`Error::InvalidRequest`] and ends: see [`blocking`](crate::blocking).
    ///
    /// # Example
    ///
    /// ```
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # let server = runtime.block_on(servicebay::testing::fixably::MockServer::start());
    /// # let client = server.client()?;
    /// let mut orders = client.list_orders().limit(20).items_blocking().prefetch(4);
    /// for order in orders.by_ref().take(30) {
    ///     println!("{:?}", order?.id());
    /// }
    /// let cursor = orders.cursor(); // store it to continue here later
    /// assert_eq!(orders.yielded(), 30);
    /// # Ok::<(), servicebay::Error>(())
    /// ```
}

list_iterator! {
    BlockingPages, Pages, "pages", "page", Response<L::Page>,
    /// An iterator over the pages of a list, which blocks its thread while it fetches one: [`Pages`] without async code (feature
    /// `blocking`).
    ///
    /// It ends after the last page or the first error. Dropping it cancels the requests in flight. In an async task of tokio it
    /// returns [`Error::InvalidRequest`] and ends: see [`blocking`](crate::blocking).
}
