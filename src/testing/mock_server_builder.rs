//! The builder of a mock server that every vendor offers: how it starts, and the options that several vendors share.
//!
//! Each vendor's `builder.rs` defines its `MockServerBuilder` with these macros and adds its own options.

/// Defines `MockServerBuilder` with its starters. Takes the vendor's options type and the docs. `MockServer` must be in
/// scope.
macro_rules! mock_server_builder {
    ($options:ty, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Debug)]
        #[must_use = "the mock server starts with `start` or `in_memory`"]
        pub struct MockServerBuilder {
            clock: Option<$crate::testing::clock::Clock>,
            options: $options,
        }

        impl MockServer {
            /// Starts a mock server with all defaults on a free port of the loopback interface. It stops when its last
            /// clone is dropped.
            ///
            /// # Panics
            ///
            /// If no port is free.
            pub async fn start() -> Self {
                Self::builder().start().await
            }

            /// Sets options before the mock server starts.
            pub fn builder() -> MockServerBuilder {
                MockServerBuilder { clock: None, options: Default::default() }
            }
        }

        impl MockServerBuilder {
            /// Starts the mock server on a free port of the loopback interface. It stops when its last clone is
            /// dropped.
            ///
            /// It runs on a thread of its own, in real time. Under a paused clock use [`in_memory`](Self::in_memory).
            ///
            /// # Panics
            ///
            /// If no port is free.
            pub async fn start(self) -> MockServer {
                let clock = self.clock.unwrap_or_else($crate::testing::clock::Clock::starting_now);
                MockServer::listen(clock, self.options).await
            }

            /// Creates the mock server without a socket. Only a client from its
            /// [`client_builder`](MockServer::client_builder) can reach it. In return its delays, rate-limit windows
            /// and token lifetimes follow tokio's paused clock, so that months pass in milliseconds.
            #[must_use]
            pub fn in_memory(self) -> MockServer {
                let clock = self.clock.unwrap_or_else($crate::testing::clock::Clock::starting_now);
                MockServer::unbound(clock, self.options)
            }

            /// Where the mock server reads the time. Default: the wall clock at its start plus the time that tokio's
            /// clock has run since, so that a server in memory follows a paused clock.
            pub fn with_clock(mut self, now: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
                self.clock = Some($crate::testing::clock::Clock::new(now));
                self
            }
        }
    };
}

/// Options that set the status code of one kind of response: the docs, the method, and the field of the options.
macro_rules! status_options {
    ($($(#[$docs:meta])* $method:ident => $field:ident;)+) => {
        impl MockServerBuilder {
            $(
                $(#[$docs])*
                ///
                /// # Panics
                ///
                /// If the number is not a status code (100 to 999).
                #[track_caller]
                pub fn $method(mut self, status: u16) -> Self {
                    self.options.$field = $crate::testing::response::status_code(status);
                    self
                }
            )+
        }
    };
}

/// The option of vendors that check the fields of request bodies.
macro_rules! unknown_field_option {
    () => {
        impl MockServerBuilder {
            /// Ignores unknown fields in request bodies. Default: they are refused, so that a misspelled field is
            /// noticed.
            pub fn with_unknown_fields_ignored(mut self) -> Self {
                self.options.ignores_unknown_fields = true;
                self
            }
        }
    };
}

/// The options of vendors that report their rate limit in headers.
macro_rules! rate_limit_header_options {
    () => {
        impl MockServerBuilder {
            /// The format of `X-RateLimit-Reset`. Default [`ResetFormat::EpochSeconds`]; the vendor's documentation
            /// says only "time".
            ///
            /// [`ResetFormat::EpochSeconds`]: crate::testing::ResetFormat::EpochSeconds
            pub fn with_reset_format(mut self, format: $crate::testing::rate_limit::ResetFormat) -> Self {
                self.options.rate_limit_headers.reset = format;
                self
            }

            /// Adds `Retry-After` in this format to every 429. Default: not sent, because the vendor documents none.
            pub fn with_retry_after(mut self, format: $crate::testing::rate_limit::ResetFormat) -> Self {
                self.options.rate_limit_headers.retry_after = Some(format);
                self
            }

            /// Leaves out `X-RateLimit-Limit`. Default: sent, although the vendor documents none.
            pub fn without_limit_header(mut self) -> Self {
                self.options.rate_limit_headers.sends_limit = false;
                self
            }
        }
    };
}

pub(crate) use {mock_server_builder, rate_limit_header_options, status_options, unknown_field_option};
