//! What the benches of this crate measure inside a client. Not part of its API.

use crate::repairy::Client;

/// Takes the living token as a call does, without a call; whether there was one.
#[must_use]
pub fn take_token(client: &Client) -> bool {
    client.inner().has_token()
}
