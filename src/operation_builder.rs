//! What the builders of operations share: the options of one call, and the traits of lists and of writes, as one macro call for
//! each builder.

/// Adds the options of one call to a builder with a field `client`, and lets the builder be awaited.
///
/// ```text
/// call_builder! { GetOrder(operations::GET_ORDER) => types::Order }
/// ```
macro_rules! call_builder {
    ($builder:ident($operation:path) => $output:ty) => {
        impl $builder {
            $crate::operation_builder::call_options! { client }

            #[cfg(feature = "blocking")]
            const OPERATION: &'static $crate::Operation = &$operation;

            /// Sends the request as [`send`](Self::send) does, and blocks this thread until the call has ended. Not in async
            /// code: see [`blocking`](crate::blocking).
            ///
            /// # Errors
            ///
            /// As [`send`](Self::send); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn send_blocking(self) -> Result<$crate::Response<$output>, $crate::Error> {
                $crate::blocking::block_on(Self::OPERATION.id(), "send", self.send())
            }
        }

        impl ::std::future::IntoFuture for $builder {
            type Output = Result<$crate::Response<$output>, $crate::Error>;
            type IntoFuture = $crate::operation_builder::CallFuture<$output>;

            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.send())
            }
        }
    };
}
pub(crate) use call_builder;

/// The future of a builder that is awaited.
pub(crate) type CallFuture<T> =
    std::pin::Pin<Box<dyn Future<Output = Result<crate::Response<T>, crate::Error>> + Send>>;

/// The options of one call, as methods of a builder whose client is at this path of fields.
macro_rules! call_options {
    ($($client:ident).+) => {
        #[doc = $crate::options::option_docs!(attempt_timeout)]
        pub fn with_attempt_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.$($client).+.options_mut().attempt_timeout = timeout;
            self
        }

        #[doc = $crate::options::option_docs!(operation_timeout)]
        pub fn with_operation_timeout(mut self, timeout: ::std::time::Duration) -> Self {
            self.$($client).+.options_mut().operation_timeout = Some(timeout);
            self
        }

        #[doc = $crate::options::option_docs!(max_wait)]
        pub fn with_max_wait(mut self, wait: ::std::time::Duration) -> Self {
            self.$($client).+.options_mut().max_wait = wait;
            self
        }

        #[doc = $crate::options::option_docs!(retry)]
        pub fn with_retry(mut self, policy: $crate::RetryPolicy) -> Self {
            self.$($client).+.options_mut().retry = policy;
            self
        }

        #[doc = $crate::options::option_docs!(max_body)]
        pub fn with_max_body(mut self, bytes: usize) -> Self {
            self.$($client).+.options_mut().max_body = bytes;
            self
        }

        #[doc = $crate::options::option_docs!(priority)]
        pub fn with_priority(mut self, priority: $crate::Priority) -> Self {
            self.$($client).+.options_mut().priority = priority;
            self
        }

        #[doc = $crate::options::option_docs!(header)]
        pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
            self.$($client).+.options_mut().set_header(name.as_ref(), value.as_ref());
            self
        }
    };
}
pub(crate) use call_options;

/// The methods `send_blocking` and `send_bytes_blocking` of a type with `send`, `send_bytes` and a field `request`.
macro_rules! blocking_sends {
    ($Response:ident) => {
        /// Does what [`send`](Self::send) does, and blocks this thread until the call has ended. Not in async code: see
        /// [`blocking`](crate::blocking).
        ///
        /// # Errors
        ///
        /// As [`send`](Self::send); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
        #[cfg(feature = "blocking")]
        #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
        pub fn send_blocking<T: ::serde::de::DeserializeOwned>(self) -> Result<$Response<T>, $crate::Error> {
            $crate::blocking::block_on(self.request.operation().id(), "send", self.send())
        }

        /// Does what [`send_bytes`](Self::send_bytes) does, and blocks this thread until the call has ended. Not in async code: see
        /// [`blocking`](crate::blocking).
        ///
        /// # Errors
        ///
        /// As [`send_bytes`](Self::send_bytes); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
        #[cfg(feature = "blocking")]
        #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
        pub fn send_bytes_blocking(self) -> Result<$Response<::bytes::Bytes>, $crate::Error> {
            $crate::blocking::block_on(self.request.operation().id(), "send_bytes", self.send_bytes())
        }
    };
}
pub(crate) use blocking_sends;

/// Implements [`List`](crate::List) for the builder of a list operation, with the methods `pages` and `items`.
///
/// ```text
/// list_operation! {
///     ListOrders {
///         operation: operations::LIST_ORDERS,
///         page: Page<types::Order>,
///         item: types::Order,
///         by: (offset, page),      // the fields that select the page
///         key: id(),               // the id of an item, by a method or a field; left out if items have none
///         expand: expand = "items", // the field, and its value, that asks for whole items; left out if all are whole
///     }
/// }
/// ```
macro_rules! list_operation {
    (
        $builder:ident {
            operation: $operation:path,
            page: $page:ty,
            item: $item:ty,
            by: ($($by:ident),+),
            $(key: $key:ident $(($($method:tt)*))?,)?
            $(expand: $expand:ident = $items:literal,)?
        }
    ) => {
        impl $builder {
            /// Every page of the list, as a stream that fetches pages as it needs them.
            pub fn pages(self) -> $crate::Pages<Self> {
                $crate::Pages::new(self)
            }

            /// Every item of the list, as a stream that fetches pages as it needs them.
            $(
                ///
                #[doc = concat!(
                    "Sends `", stringify!($expand), "=", $items, "` unless `", stringify!($expand),
                    "` is set, so that items are whole.",
                )]
            )?
            pub fn items(self) -> $crate::Items<Self> {
                $crate::Items::new($crate::operation_builder::list_operation!(@whole self $($expand $items)?))
            }

            /// [`pages`](Self::pages) as an iterator, which blocks this thread while it fetches. Not in async code: see
            /// [`blocking`](crate::blocking).
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn pages_blocking(self) -> $crate::BlockingPages<Self> {
                $crate::BlockingPages::new(Self::OPERATION.id(), self.pages())
            }

            /// [`items`](Self::items) as an iterator, which blocks this thread while it fetches. Not in async code: see
            /// [`blocking`](crate::blocking).
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn items_blocking(self) -> $crate::BlockingItems<Self> {
                $crate::BlockingItems::new(Self::OPERATION.id(), self.items())
            }
        }

        impl $crate::page::Sealed for $builder {}
        impl $crate::List for $builder {
            type Page = $page;
            type Item = $item;

            fn operation(&self) -> &'static $crate::Operation {
                &$operation
            }

            fn fingerprint(&self) -> u64 {
                $crate::List::at(self.clone(), $crate::Position::Start).request().fingerprint()
            }

            fn position(&self) -> $crate::Position {
                $crate::page::PageParams::position(($(self.$by),+))
            }

            fn at(mut self, position: $crate::Position) -> Self {
                ($(self.$by),+) = $crate::page::PageParams::from_position(position);
                self
            }

            fn fetch(mut self) -> impl Future<Output = Result<$crate::Response<$page>, $crate::Error>> + Send {
                // A stored page shows an earlier list, and would hide that the list has changed.
                self.client.bypass_cache();
                self.send()
            }

            fn unexpected_page(
                self,
                response: &$crate::Response<$page>,
                problem: &$crate::UnexpectedPage,
            ) -> $crate::Error {
                self.request().unexpected_response(response.metadata(), problem.to_string())
            }

            fn key(&self, item: &$item) -> Option<u64> {
                let key = $crate::operation_builder::list_operation!(@key $item, $($key $(($($method)*))?)?);
                key(item)
            }

            fn rate_limit_headroom(&self) -> Option<u64> {
                self.client.room()
            }

            fn report_changes(&self, changes: $crate::ListChanges) {
                self.client.pipeline.telemetry.list_changed(&$operation, changes);
            }
        }
    };
    (@whole $list:ident) => { $list };
    (@whole $list:ident $expand:ident $items:literal) => {{
        let mut list = $list;
        list.$expand.get_or_insert_with(|| $items.into());
        list
    }};

    (@key $item:ty,) => { |_: &$item| None };
    (@key $item:ty, $id:ident) => { |item: &$item| item.$id.as_ref().map($crate::page::key) };
    (@key $item:ty, $id:ident ()) => { |item: &$item| item.$id().map($crate::page::key) };
}
pub(crate) use list_operation;

/// Implements [`Write`](crate::Write) for the builder of a write that must not be repeated, with the method `reconcile`.
///
/// ```text
/// write_operation! { CreateOrder => types::Order }
/// write_operation! { CreatePayment => types::Payment, keyed } // the vendor takes an `Idempotency-Key`
/// ```
macro_rules! write_operation {
    ($builder:ident => $output:ty $(, $keyed:ident)?) => {
        impl $builder {
            $($crate::operation_builder::write_operation! { @$keyed })?

            /// Calls `lookup` if the outcome of the write is unknown, and sends the write again only if it returns
            /// [`WriteStatus::NotApplied`](crate::WriteStatus::NotApplied): three times at most. See
            /// [`Reconcile`](crate::Reconcile).
            pub fn reconcile<F, L>(self, lookup: F) -> $crate::Reconcile<Self, F>
            where
                F: FnMut($crate::UnknownOutcome) -> L,
                L: Future<Output = Result<$crate::WriteStatus<$output>, $crate::Error>>,
            {
                $crate::Reconcile::new($crate::operation_builder::write_operation!(@one_key self $($keyed)?), lookup)
            }
        }

        impl $crate::page::Sealed for $builder {}
        impl $crate::Write for $builder {
            type Output = $output;

            #[cfg(feature = "blocking")]
            fn operation(&self) -> &'static $crate::Operation {
                Self::OPERATION
            }

            fn write(self) -> impl Future<Output = Result<$crate::Response<$output>, $crate::Error>> + Send {
                self.send()
            }
        }
    };

    (@keyed) => {
        /// Sets the `Idempotency-Key` of this write, by which the vendor recognizes a request that it has received before.
        /// Default: a [random](crate::IdempotencyKey::random) one for each `send`.
        ///
        /// Set your own if the write may be sent by a later run of your program: two calls with the same key are one write.
        pub fn with_idempotency_key(mut self, key: impl Into<$crate::IdempotencyKey>) -> Self {
            self.client.options_mut().set_idempotency_key(&key.into());
            self
        }
    };

    // A write that is sent again after a lookup is the same write, and keeps its key.
    (@one_key $write:ident) => { $write };
    (@one_key $write:ident keyed) => {{
        let mut write = $write;
        write.client.options_mut().add_idempotency_key();
        write
    }};
}
pub(crate) use write_operation;
