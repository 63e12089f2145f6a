//! What the tenant of every vendor can do, whatever it knows.

/// Defines a vendor's `MockServer` around the desk of its house. `MockServerBuilder::new` has to be in scope.
macro_rules! mock_server {
    ($house:ty, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone)]
        pub struct MockServer {
            base_url: std::sync::Arc<str>,
            desk: std::sync::Arc<$crate::testing::desk::Desk<$house>>,
            server: Option<std::sync::Arc<wiremock::MockServer>>,
        }

        impl MockServer {
            /// Starts a tenant with all defaults on a port of its own on the loopback interface. It stops when its last
            /// clone is dropped.
            ///
            /// # Panics
            ///
            /// If no port can be had.
            pub async fn start() -> Self {
                Self::builder().start().await
            }

            /// Chooses how the tenant behaves before it starts.
            pub fn builder() -> MockServerBuilder {
                MockServerBuilder::new()
            }

            /// Where the API begins: scheme, host, port and path, without a slash at the end.
            #[must_use]
            pub fn base_url(&self) -> &str {
                &self.base_url
            }

            /// Orders a fault. It waits for a request that it fits, behind the faults ordered before it.
            pub fn fault(&self, fault: $crate::testing::Fault) {
                self.desk.state().faults.order(fault);
            }

            /// Takes back all faults that have not struck.
            pub fn clear_faults(&self) {
                self.desk.state().faults.clear();
            }

            /// How many ordered faults have not struck as often as they may. Zero at the end of a test means that the
            /// test has met everything it asked for.
            #[must_use]
            pub fn pending_faults(&self) -> usize {
                self.desk.state().faults.len()
            }

            /// Sets the tenant's clock off by this much from now on: the `Date` header, the reset of the limit, and the
            /// times of what is written. Windows and the expiry of tokens keep to the true time.
            pub fn skew(&self, by: jiff::SignedDuration) {
                self.desk.state().skew = by;
            }

            /// The true time of the tenant, without its skew.
            #[must_use]
            pub fn now(&self) -> jiff::Timestamp {
                self.desk.now()
            }

            /// The sums of what the tenant has seen.
            #[must_use]
            pub fn counters(&self) -> $crate::testing::Counters {
                self.desk.state().log.counters().clone()
            }

            /// The latest requests that the tenant has seen, oldest first, at most 10,000 of them.
            #[must_use]
            pub fn requests(&self) -> Vec<$crate::testing::RecordedRequest> {
                self.desk.state().log.latest().cloned().collect()
            }

            /// The server that the tenant answers on, to mount your own mocks; `None` for a tenant in memory.
            ///
            /// Yours are asked first, whatever their priority below 255, and the tenant answers the rest. Do not
            /// [reset](wiremock::MockServer::reset) the server: that would take the tenant off it too.
            #[must_use]
            pub fn server(&self) -> Option<&wiremock::MockServer> {
                self.server.as_deref()
            }

            /// A tenant on a port of its own, whose house is told scheme and authority of its address.
            async fn on_a_port(clock: $crate::testing::clock::Clock, house: impl FnOnce(&str) -> $house) -> Self {
                let server = $crate::testing::serve::listen().await;
                let tenant = Self::without_a_port(clock, house(&server.uri()));
                let desk = std::sync::Arc::clone(&tenant.desk);
                $crate::testing::serve::mount(&server, desk).await;
                Self { server: Some(std::sync::Arc::new(server)), ..tenant }
            }

            /// A tenant that only a client which was made for it can reach.
            fn without_a_port(clock: $crate::testing::clock::Clock, house: $house) -> Self {
                let base_url = $crate::testing::desk::House::base_url(&house).into();
                let desk = std::sync::Arc::new($crate::testing::desk::Desk::new(clock, house));
                Self { base_url, desk, server: None }
            }

            /// Answers one request without any wire.
            fn reply(&self, request: &http::Request<bytes::Bytes>) -> $crate::testing::reply::Reply {
                $crate::testing::serve::Answer::answer(&*self.desk, request)
            }
        }

        #[cfg(test)]
        impl MockServer {
            /// One request with this `Authorization` to a path below the base URL: its status and its JSON body.
            #[allow(dead_code, reason = "not every vendor's requests need no more")]
            fn ask_as(
                &self,
                authorization: &str,
                method: &str,
                path: &str,
                body: Option<serde_json::Value>,
            ) -> (http::StatusCode, serde_json::Value) {
                self.ask_with(&[("authorization", authorization)], method, path, body)
            }

            /// One request with these headers to a path below the base URL: its status and its JSON body.
            fn ask_with(
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
                let response = self.reply(&request).response;
                (response.status(), serde_json::from_slice(response.body()).unwrap_or_default())
            }
        }

        impl $crate::testing::Transport for MockServer {
            fn send(
                &self,
                request: http::Request<bytes::Bytes>,
            ) -> futures_core::future::BoxFuture<
                'static,
                Result<http::Response<bytes::Bytes>, $crate::testing::TransportError>,
            > {
                let tenant = self.clone();
                Box::pin(async move { tenant.reply(&request).deliver().await })
            }

            fn identity(&self) -> usize {
                std::sync::Arc::as_ptr(&self.desk).addr()
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

/// What can be chosen about the tenant of every vendor, and how it starts around its house, which is made of scheme and
/// authority of its address, the options, and the time.
macro_rules! options {
    (|$host:ident, $options:ident, $now:pat_param| $house:expr) => {
        impl MockServerBuilder {
            /// Starts the tenant on a port of its own on the loopback interface. It stops when its last clone is dropped.
            ///
            /// It runs on a thread of its own, in real time; under a paused clock take [`in_memory`](Self::in_memory).
            ///
            /// # Panics
            ///
            /// If no port can be had.
            pub async fn start(self) -> MockServer {
                let clock = self.clock.unwrap_or_else($crate::testing::clock::Clock::starting_now);
                let ($options, $now) = (self.options, clock.now());
                MockServer::on_a_port(clock, |$host| $house).await
            }

            /// Where the tenant reads the time from. Default: the wall clock at its start, and tokio's clock from there, so
            /// that a tenant in memory follows paused time.
            pub fn with_clock(mut self, now: impl Fn() -> jiff::Timestamp + Send + Sync + 'static) -> Self {
                self.clock = Some($crate::testing::clock::Clock::new(now));
                self
            }
        }
    };
}

/// What can be chosen about the tenant of every vendor that looks closely at what is written.
macro_rules! field_options {
    () => {
        impl MockServerBuilder {
            /// Lets bodies have fields that nobody knows, and ignores them. Default: refused, so that a misspelt field
            /// shows.
            pub fn with_unknown_fields_ignored(mut self) -> Self {
                self.options.ignores_unknown_fields = true;
                self
            }
        }
    };
}

/// What can be chosen about the tenant of every vendor that tells of its limit.
macro_rules! limit_options {
    () => {
        impl MockServerBuilder {
            /// How `X-RateLimit-Reset` is written. Default [`ResetFormat::EpochSeconds`]; the vendor only says "time".
            ///
            /// [`ResetFormat::EpochSeconds`]: crate::testing::ResetFormat::EpochSeconds
            pub fn with_reset_format(mut self, format: $crate::testing::ResetFormat) -> Self {
                self.options.limit_headers.reset = format;
                self
            }

            /// Adds `Retry-After` to every 429, written like this. Default: not sent, because no page names it.
            pub fn with_retry_after(mut self, format: $crate::testing::ResetFormat) -> Self {
                self.options.limit_headers.retry_after = Some(format);
                self
            }

            /// Leaves `X-RateLimit-Limit` out. Default: sent, though no page names it.
            pub fn without_limit_header(mut self) -> Self {
                self.options.limit_headers.limit = $crate::testing::limit::Limit::Omitted;
                self
            }
        }
    };
}

/// What the tenant of every vendor that gives out tokens can do with them. `$grants` is where its house keeps them.
macro_rules! logins {
    ($($grants:ident).+) => {
        impl MockServer {
            /// Ends all access tokens before their time and leaves refresh tokens as they are: from now on they get 401.
            pub fn end_access_tokens(&self) {
                self.desk.state().house.$($grants).+.end_access();
            }

            /// Ends all that came of any login: access and refresh tokens alike.
            pub fn revoke_all(&self) {
                self.desk.state().house.$($grants).+.end_all();
            }

            /// The latest requests for tokens, oldest first, at most 10,000 of them.
            #[must_use]
            pub fn token_requests(&self) -> Vec<$crate::testing::TokenRequest> {
                self.desk.state().log.token_requests().cloned().collect()
            }
        }
    };
}

pub(crate) use {field_options, limit_options, logins, mock_server, options};
