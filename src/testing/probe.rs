//! Access to the inside of a client for the benches of this crate. Not part of the API.

use serde::de::DeserializeOwned;

use crate::decode;
#[cfg(feature = "repairy")]
use crate::repairy::Client;

/// Reads a body without an envelope as a client reads the body of a response. `None` if it does not fit.
#[must_use]
pub fn read_body<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    decode::read_fast(body)
}

/// Reads the cached token as a call does, without a call. Returns whether there is one.
#[cfg(feature = "repairy")]
#[must_use]
pub fn take_token(client: &Client) -> bool {
    client.inner().has_token()
}
