//! The handle to a mock server that every vendor offers: addresses, faults, clock, log, and its use as a transport.
//!
//! Each vendor's `mock_server.rs` defines its `MockServer` with these macros and adds what only that vendor has.

/// Defines `MockServer`, the handle to a mock server of one vendor. Takes the vendor's `VendorServer` and the docs.
macro_rules! mock_server {
    ($vendor:ty, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone)]
        pub struct MockServer {
            base_url: std::sync::Arc<str>,
            pub(super) server: std::sync::Arc<$crate::testing::test_server::TestServer<$vendor>>,
            wiremock: Option<std::sync::Arc<wiremock::MockServer>>,
        }

        impl MockServer {
            /// Where the API begins: scheme, host, port and path, without a slash at the end.
            #[must_use]
            pub fn base_url(&self) -> &str {
                &self.base_url
            }

            /// Adds a fault for the requests to come. Faults apply in the order in which they were added.
            ///
            /// # Panics
            ///
            /// If the fault is [limited to an operation](crate::testing::Fault::on_operation) that this vendor does not
            /// have. The message lists similar names.
            #[track_caller]
            pub fn fault(&self, fault: $crate::testing::fault::Fault) {
                if let Err(message) = self.server.add_fault(fault) {
                    panic!("{message}");
                }
            }

            /// Removes all pending faults.
            pub fn clear_faults(&self) {
                self.server.state().faults.clear();
            }

            /// How many faults are pending, or have not been applied as often as they should. Zero at the end of a test
            /// means that every fault of the test has happened.
            #[must_use]
            pub fn pending_faults(&self) -> usize {
                self.server.state().faults.len()
            }

            /// Shifts the clock that the server shows: the `Date` header, the reset of the rate limit, and the
            /// timestamps of new data. Rate-limit windows and the expiry of tokens keep the true time.
            pub fn skew(&self, by: jiff::SignedDuration) {
                self.server.state().skew = by;
            }

            /// The server's true time, without its skew.
            #[must_use]
            pub fn now(&self) -> jiff::Timestamp {
                self.server.now()
            }

            /// The totals of the requests so far.
            #[must_use]
            pub fn counters(&self) -> $crate::testing::counters::Counters {
                self.server.state().log.counters().clone()
            }

            /// The latest requests, oldest first, at most 10,000 of them.
            #[must_use]
            pub fn requests(&self) -> Vec<$crate::testing::request_log::RecordedRequest> {
                self.server.state().log.latest().cloned().collect()
            }

            /// The wiremock server under this mock server, to mount your own mocks; `None` for a server in memory.
            ///
            /// Your mocks come first, whatever their priority below 255. The mock server responds to all other
            /// requests. Do not [reset](wiremock::MockServer::reset) the wiremock server: that would unmount the mock
            /// server too.
            #[must_use]
            pub fn server(&self) -> Option<&wiremock::MockServer> {
                self.wiremock.as_deref()
            }

            /// Starts a server on a port of its own.
            pub(super) async fn listen(
                clock: $crate::testing::clock::Clock,
                options: <$vendor as $crate::testing::test_server::VendorServer>::Options,
            ) -> Self {
                let wiremock = $crate::testing::sockets::listen().await;
                let server = Self::at(&wiremock.uri(), clock, options);
                let handler = std::sync::Arc::clone(&server.server);
                $crate::testing::sockets::mount(&wiremock, handler).await;
                Self { wiremock: Some(std::sync::Arc::new(wiremock)), ..server }
            }

            /// Creates a server without a port.
            pub(super) fn unbound(
                clock: $crate::testing::clock::Clock,
                options: <$vendor as $crate::testing::test_server::VendorServer>::Options,
            ) -> Self {
                let origin = <$vendor as $crate::testing::test_server::VendorServer>::ORIGIN_IN_MEMORY;
                Self::at(origin, clock, options)
            }

            fn at(
                origin: &str,
                clock: $crate::testing::clock::Clock,
                options: <$vendor as $crate::testing::test_server::VendorServer>::Options,
            ) -> Self {
                let server = $crate::testing::test_server::TestServer::<$vendor>::new(clock, origin, options);
                let base_url = $crate::testing::test_server::VendorServer::base_url(&server.state().vendor).into();
                Self { base_url, server: std::sync::Arc::new(server), wiremock: None }
            }

            /// Points a client at this server. A server without a port becomes the client's transport.
            pub(super) fn connect<C>(&self, client: $crate::ClientBuilder<C>) -> $crate::ClientBuilder<C> {
                let client = client.with_base_url(self.base_url());
                if self.wiremock.is_some() { client } else { client.with_transport(self.clone()) }
            }

            /// Handles one request without a network.
            pub(super) fn handle(&self, request: &http::Request<bytes::Bytes>) -> $crate::testing::response::MockResponse {
                $crate::testing::sockets::Handler::handle(&*self.server, request)
            }
        }

        #[cfg(test)]
        impl MockServer {
            /// Sends one request with these headers to a path below the base URL. Returns the status and the JSON body.
            #[allow(dead_code, reason = "not every vendor's tests need it")]
            pub(super) fn request_with(
                &self,
                headers: &[(&str, &str)],
                method: &str,
                path: &str,
                body: Option<serde_json::Value>,
            ) -> (http::StatusCode, serde_json::Value) {
                let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base_url));
                for (name, value) in headers {
                    request = request.header(*name, *value);
                }
                let request = request
                    .header("content-type", "application/json")
                    .body(body.map(|body| bytes::Bytes::from(body.to_string())).unwrap_or_default())
                    .expect("a request");
                let response = self.handle(&request).response;
                (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
            }
        }

        impl $crate::transport::Transport for MockServer {
            fn send(
                &self,
                request: http::Request<$crate::Body>,
            ) -> futures_core::future::BoxFuture<
                '_,
                Result<http::Response<$crate::Body>, $crate::transport::TransportError>,
            > {
                Box::pin(async move {
                    let request = $crate::testing::body::received(request).await?;
                    self.handle(&request).deliver().await
                })
            }

            fn environment(&self) -> Option<&dyn $crate::transport::Environment> {
                Some(self)
            }
        }

        impl $crate::transport::Environment for MockServer {
            fn identity(&self) -> usize {
                std::sync::Arc::as_ptr(&self.server).addr()
            }

            fn wall(&self) -> jiff::Timestamp {
                self.now()
            }
        }

        impl std::fmt::Debug for MockServer {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct("MockServer").field("base_url", &self.base_url()).finish_non_exhaustive()
            }
        }
    };
}

/// The methods of a vendor that issues tokens. `$issuer` is the path of the `TokenIssuer` in the vendor's server.
macro_rules! token_methods {
    ($($issuer:ident).+) => {
        impl MockServer {
            /// Revokes all access tokens and leaves the refresh tokens valid. Requests with an access token get 401
            /// from now on.
            pub fn end_access_tokens(&self) {
                self.server.state().vendor.$($issuer).+.revoke_access_tokens();
            }

            /// Revokes the access and refresh tokens of all logins.
            pub fn revoke_all(&self) {
                self.server.state().vendor.$($issuer).+.revoke_all();
            }

            /// The latest requests for tokens, oldest first, at most 10,000 of them.
            #[must_use]
            pub fn token_requests(&self) -> Vec<$crate::testing::token_log::TokenRequest> {
                self.server.state().log.token_requests().cloned().collect()
            }
        }
    };
}

/// The methods of a vendor with a rate limit. The vendor's server has `add_external_requests` and `snapshot`.
macro_rules! rate_limit_methods {
    () => {
        impl MockServer {
            /// Uses up the current window of every rate limit: requests get 429 until the window resets.
            pub fn exhaust_rate_limit(&self) {
                self.add_external_requests(u32::MAX);
            }

            /// Counts requests of other integrations against the current window of every rate limit, as many as fit.
            /// They do not appear in the [counters](Self::counters).
            pub fn add_external_requests(&self, requests: u32) {
                self.server.with_vendor(|vendor, time| vendor.add_external_requests(requests, time.now));
            }
        }
    };
}

/// Reading the server's data without a request. The vendor's server has `snapshot`.
macro_rules! snapshot_method {
    ($(#[$docs:meta])*) => {
        impl MockServer {
            /// The response to a GET of this path, relative to the base URL, with permission to see everything; null if
            /// the request would be refused. It counts as no request, and no fault applies to it.
            $(#[$docs])*
            #[must_use]
            pub fn snapshot(&self, path: &str) -> serde_json::Value {
                let body = self.server.with_vendor(|vendor, time| vendor.snapshot(path, time));
                body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
            }
        }
    };
}

pub(crate) use {mock_server, rate_limit_methods, snapshot_method, token_methods};
