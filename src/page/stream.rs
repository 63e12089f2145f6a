//! The methods that [`Pages`](super::Pages) and [`Items`](super::Items) have in common.

/// Implements them for a type with a field `paginator`, whose items its docs call `$item`.
macro_rules! list_stream {
    ($Stream:ident, $item:literal) => {
        impl<L: $crate::List> $Stream<L> {
            /// Fetches up to `depth` pages concurrently, as soon as the first page says how many there are. They are
            /// yielded in order.
            ///
            /// Default 1, at most 64; 0 means 1. With 1, each page is fetched when the stream needs it. Prefetching uses at
            /// most half of what the tenant's rate limit has left, as far as that is known; when the limit is nearly
            /// exhausted, pages are fetched one by one. Nothing is prefetched if the vendor does not send a total.
            ///
            /// Prefetching changes only the speed. A page that does not start where the previous one ends is fetched
            /// again from the right position, and an error ends the stream after the pages before it, as it would
            /// without prefetching. Dropping the stream cancels the requests in flight. No task is spawned: requests make
            /// progress only while the stream is polled, so the gain is smaller if the caller takes long over each
            #[doc = concat!($item, ".")]
            pub fn prefetch(mut self, depth: usize) -> Self {
                self.paginator.set_depth(depth);
                self
            }

            #[doc = concat!("The next ", $item, "; `None` at the end of the list. Dropping the future loses nothing.")]
            ///
            /// # Errors
            ///
            /// The [`Error`](crate::Error) of a page that could not be fetched. It ends the stream.
            pub async fn try_next(
                &mut self,
            ) -> Result<Option<<Self as ::futures_core::TryStream>::Ok>, $crate::Error> {
                self.next().await.transpose()
            }

            #[doc = concat!("The next ", $item, ", or the error that ends the stream; `None` at its end. As `next` of `StreamExt`.")]
            pub async fn next(&mut self) -> Option<<Self as ::futures_core::Stream>::Item> {
                ::std::future::poll_fn(|cx| ::futures_core::Stream::poll_next(::std::pin::Pin::new(&mut *self), cx)).await
            }

            #[doc = concat!("Resumes at a [`Cursor`](crate::Cursor), with the ", $item, " after the last one that was yielded.")]
            ///
            /// Call it before the stream is polled, on the same operation with the same parameters and tenant. Any other
            /// cursor is rejected: the stream yields [`Error::InvalidRequest`](crate::Error::InvalidRequest) and ends.
            pub fn resume(mut self, cursor: $crate::Cursor) -> Self {
                self.paginator.resume(&cursor);
                self
            }

            #[doc = concat!("The current position: after the last ", $item, " that was yielded. Also valid after an error.")]
            pub fn cursor(&self) -> $crate::Cursor {
                self.paginator.cursor()
            }

            /// The changes to the list that the stream has noticed so far.
            pub fn changes(&self) -> $crate::ListChanges {
                self.paginator.changes()
            }

            /// The number of items yielded so far, including those before the cursor that the stream resumed at.
            pub fn yielded(&self) -> u64 {
                self.paginator.yielded()
            }

            /// The number of items in the whole list according to the latest page, if the vendor sends it.
            pub fn total(&self) -> Option<u64> {
                self.paginator.total()
            }
        }

        // Nothing in it is pinned: requests in flight are boxed, and items are moved out.
        impl<L: $crate::List> Unpin for $Stream<L> {}

        impl<L: $crate::List> ::std::fmt::Debug for $Stream<L> {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($Stream))
                    .field("yielded", &self.paginator.yielded())
                    .field("ended", &self.paginator.has_ended())
                    .finish_non_exhaustive()
            }
        }
    };
}

pub(super) use list_stream;
