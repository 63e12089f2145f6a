//! Access to the inside of a client for the benches of this crate. Not part of the API.

use crate::repairy::Client;

/// Reads the cached token as a call does, without a call. Returns whether there is one.
#[must_use]
pub fn take_token(client: &Client) -> bool {
    client.inner().has_token()
}
