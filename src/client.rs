//! What the client of every vendor can do besides calling operations.

/// Defines a vendor's `Client`.
macro_rules! client {
    ($vendor:ident, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Debug)]
        pub struct Client {
            inner: $crate::client_inner::ClientInner,
        }

        impl Client {
            /// A builder for a client with these credentials.
            pub fn builder(credentials: Credentials) -> $crate::ClientBuilder<Self> {
                $crate::ClientBuilder::new(&$vendor, credentials.into_auth_config(), |inner| Self { inner })
            }

            /// The same client with other options, for one call or for many. Connections, credentials and the budget
            /// stay shared.
            pub fn with_options(&self, options: $crate::CallOptions) -> Self {
                Self { inner: self.inner.with_options(options) }
            }

            /// Begins a request to an endpoint that this crate does not model: same credentials, pacing, retries and
            /// errors. `path` is relative to the base URL; see [`RawRequest`](crate::RawRequest).
            pub fn request(&self, method: ::http::Method, path: &str) -> $crate::RawRequest {
                $crate::RawRequest::new(&self.inner, method, path)
            }

            /// Makes a request of a call that was [put off](crate::RateLimitedError::postpone) because the limit was spent. It
            /// is sent as it was, with the credentials, pacing and retries of this client; its answer is the vendor's as
            /// it is, for which [`serde_json::Value`] always fits. A call to another vendor or tenant is refused when it
            /// is sent.
            pub fn resume(&self, postponed: &$crate::Postponed) -> $crate::RawRequest {
                $crate::RawRequest::resumed(&self.inner, $vendor.name, postponed)
            }

            /// How long the credentials last.
            pub fn auth_status(&self) -> $crate::AuthStatus {
                self.inner.auth_status()
            }

            /// Renews tokens in time even while nobody calls, so that a refresh token that ends with disuse never does.
            /// Spawn it. It goes on for as long as the credentials give tokens, and ends with the error that calls
            /// then get: a person has to log in again. With a token made by hand it waits until that expires.
            pub fn keep_alive(&self) -> impl Future<Output = $crate::Error> + Send + use<> {
                self.inner.clone().keep_alive()
            }

            /// What is known of the tenant's rate limit, from all calls that this process makes to it.
            pub fn rate_limit(&self) -> $crate::RateLimit {
                self.inner.rate_limit()
            }

            /// The address below which the client calls.
            pub fn base_url(&self) -> &::url::Url {
                self.inner.base_url()
            }

            pub(crate) fn inner(&self) -> &$crate::client_inner::ClientInner {
                &self.inner
            }
        }
    };
}

pub(crate) use client;
