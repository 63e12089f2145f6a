//! The methods that every vendor's client has besides its operations.

/// Defines a vendor's `Client`.
macro_rules! client {
    ($vendor:ident, $(#[$docs:meta])*) => {
        $(#[$docs])*
        #[derive(Clone, Debug)]
        pub struct Client {
            inner: $crate::client_inner::ClientInner,
        }

        impl Client {
            /// Returns a builder for a client with these credentials.
            pub fn builder(credentials: Credentials) -> $crate::ClientBuilder<Self> {
                $crate::ClientBuilder::new(&$vendor, credentials.into_auth_config(), |inner| Self { inner })
            }

            /// Returns the same client with other options, for one call or for many. It shares the connections, the
            /// tokens and the rate limit of this one.
            pub fn with_options(&self, options: $crate::CallOptions) -> Self {
                Self { inner: self.inner.with_options(options) }
            }

            /// Returns a request to an endpoint that this crate does not model. It uses the credentials, rate limit,
            /// retries and errors of every call. `path` is relative to the base URL, such as `orders/1`; see
            /// [`RawRequest`](crate::RawRequest).
            pub fn request(&self, method: ::http::Method, path: &str) -> $crate::RawRequest {
                $crate::RawRequest::new(&self.inner, method, path)
            }

            /// Returns the request of a call that was [postponed](crate::RateLimitedError::postpone) because the rate
            /// limit was exhausted. It is sent unchanged, with the credentials, rate limit and retries of this client.
            /// [`serde_json::Value`] fits every response.
            ///
            /// Sending it fails with [`Error::InvalidRequest`](crate::Error::InvalidRequest) if the call belongs to
            /// another vendor or tenant.
            pub fn resume(&self, postponed: &$crate::Postponed) -> $crate::RawRequest {
                $crate::RawRequest::resume(&self.inner, $vendor.name, postponed)
            }

            /// Gets a token now, unless there is a valid one, and returns how long the credentials last: proves that they work before
            /// the first call. It waits as long as a call may: see
            /// [`with_max_wait`](crate::ClientBuilder::with_max_wait).
            ///
            /// For a token or a key that a person created there is nothing to ask the vendor for: only its expiration is
            /// checked, and a call shows whether the vendor accepts it.
            ///
            /// # Errors
            ///
            /// [`Error::ReauthRequired`](crate::Error::ReauthRequired) if the vendor refuses the credentials,
            /// [`Error::Unauthorized`](crate::Error::Unauthorized) if the token has expired,
            /// [`Error::Connect`](crate::Error::Connect) without a connection, and the other errors of a token request.
            pub async fn log_in(&self) -> Result<$crate::AuthStatus, $crate::Error> {
                self.inner.log_in().await
            }

            /// Does what [`log_in`](Self::log_in) does, and blocks this thread until it is done. Not in async code: see
            /// [`blocking`](crate::blocking).
            ///
            /// # Errors
            ///
            /// As [`log_in`](Self::log_in); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn log_in_blocking(&self) -> Result<$crate::AuthStatus, $crate::Error> {
                $crate::blocking::block_on("log_in", "log_in", self.log_in())
            }

            /// Returns a valid token, as the vendor issued it, without a scheme such as `Bearer`: for a request that must go past this
            /// client. Waits for it as [`log_in`](Self::log_in) does. Ask for it each time, and send it to the vendor only.
            ///
            /// # Errors
            ///
            /// As [`log_in`](Self::log_in); [`Error::InvalidRequest`](crate::Error::InvalidRequest) if requests carry no token.
            pub async fn current_token(&self) -> Result<::secrecy::SecretString, $crate::Error> {
                self.inner.current_token().await
            }

            /// Does what [`current_token`](Self::current_token) does, and blocks this thread until it is done. Not in async code: see
            /// [`blocking`](crate::blocking).
            ///
            /// # Errors
            ///
            /// As [`current_token`](Self::current_token); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn current_token_blocking(&self) -> Result<::secrecy::SecretString, $crate::Error> {
                $crate::blocking::block_on("current_token", "current_token", self.current_token())
            }

            /// Returns how long the credentials last: a snapshot, for health checks.
            pub fn auth_status(&self) -> $crate::AuthStatus {
                self.inner.auth_status()
            }

            /// Refreshes tokens in time even if the client makes no calls, so that no refresh token expires unused.
            ///
            /// Spawn the returned future. It runs for as long as the credentials yield tokens, and returns the error that
            /// calls get from then on: a person has to log in again. With a token that was created by hand it waits
            /// until that expires. When the client or a clone of it is [closed](Self::close), it ends at once with
            /// [`Error::InvalidRequest`](crate::Error::InvalidRequest).
            pub fn keep_alive(&self) -> impl Future<Output = $crate::Error> + Send + use<> {
                self.inner.clone().keep_alive()
            }

            /// Does what [`keep_alive`](Self::keep_alive) does, and blocks this thread: give it one of its own. Not in async code:
            /// see [`blocking`](crate::blocking).
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn keep_alive_blocking(&self) -> $crate::Error {
                let kept_alive = async { Err::<std::convert::Infallible, _>(self.keep_alive().await) };
                let Err(error) = $crate::blocking::block_on("keep_alive", "keep_alive", kept_alive);
                error
            }

            /// Waits until no tokens are under way: a refresh, the exchange of a code, a new login or a revocation has completed,
            /// and new tokens are stored.
            ///
            /// Call it where the process may be frozen or ended afterwards, such as at the end of an invocation of a serverless
            /// function. If nothing is under way it returns at once. Dropping the future ends the wait, not the refresh.
            ///
            /// A refresh usually takes less than a second. At worst, each of its steps takes as long as it may: 3 minutes until
            /// another client gives up its lease, 93 s for a token request with its retries, and 10 s for each operation of the
            /// token store. So a refresh takes at most 10 minutes, and the revocation of several logins at most 20. Calls that
            /// start refreshes meanwhile prolong the wait. For a shorter limit, use `tokio::time::timeout`.
            ///
            /// # Errors
            ///
            /// [`Error::Store`](crate::Error::Store) if the newest tokens cannot be stored, after three tries: they are in memory
            /// only, and are lost if the process ends now.
            pub async fn settle(&self) -> Result<(), $crate::Error> {
                self.inner.settle().await
            }

            /// Does what [`settle`](Self::settle) does, and blocks this thread until it is done. Not in async code: see
            /// [`blocking`](crate::blocking).
            ///
            /// # Errors
            ///
            /// As [`settle`](Self::settle); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn settle_blocking(&self) -> Result<(), $crate::Error> {
                $crate::blocking::block_on("settle", "settle", self.settle())
            }

            /// Ends the use of this client and its clones: waits as [`settle`](Self::settle) does, and starts no token refresh in
            /// the background any more. Call it before `main` returns. It takes as long as `settle`; a
            /// [`keep_alive`](Self::keep_alive) ends immediately.
            ///
            /// Calls still work: one that finds an expired token refreshes it, and needs another `close`.
            ///
            /// # Errors
            ///
            /// As [`settle`](Self::settle).
            pub async fn close(&self) -> Result<(), $crate::Error> {
                self.inner.close().await
            }

            /// Does what [`close`](Self::close) does, and blocks this thread until it is done. Not in async code: see
            /// [`blocking`](crate::blocking).
            ///
            /// # Errors
            ///
            /// As [`close`](Self::close); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
            #[cfg(feature = "blocking")]
            #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
            pub fn close_blocking(&self) -> Result<(), $crate::Error> {
                $crate::blocking::block_on("close", "close", self.close())
            }

            /// Returns the state of the tenant's rate limit, as far as all clients of this process have learned it: a
            /// snapshot.
            pub fn rate_limit(&self) -> $crate::RateLimit {
                self.inner.rate_limit()
            }

            /// Forgets what is known of the tenant's rate limit and what holds calls back, for all clients of this process:
            /// the next call asks the vendor, and the others follow as its response allows.
            ///
            /// For a person who knows better than the vendor's last word: after a 429 that asked for a day, or when the
            /// limit has been raised. [`rate_limit().held_back()`]($crate::RateLimit::held_back) says what holds calls back.
            pub fn reopen_rate_limit(&self) {
                self.inner.reopen_rate_limit();
            }

            /// Returns the base URL of the client's requests.
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
