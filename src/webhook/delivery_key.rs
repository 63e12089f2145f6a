//! What a delivery is recognized by, and who handles it.

use std::fmt;

use sha2::{Digest, Sha256};

/// What a delivery is recognized by: a hash, so that it has one length and contains nothing that a stranger wrote.
///
/// `Display` and [`to_string`](ToString::to_string) write 64 hexadecimal digits, for a key in a database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey([u8; 32]);

impl DeliveryKey {
    /// The key of the id that the vendor gave a delivery.
    pub(super) fn of_id(vendor: &str, id: &str) -> Self {
        Self::of([vendor.as_bytes(), b"id", id.as_bytes()])
    }

    /// The key of what a vendor signed. No vendor signs the id of a delivery, so a replay can have another one.
    pub(super) fn of_content(vendor: &str, timestamp: &str, body: &[u8]) -> Self {
        Self::of([vendor.as_bytes(), b"content", timestamp.as_bytes(), body])
    }

    fn of<const N: usize>(parts: [&[u8]; N]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            // With its length, so that no two lists of parts are the same text.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// The bytes of the hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for DeliveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeliveryKey({self})")
    }
}

/// The claim of one [`Delivery`](super::Delivery), random among all processes: who may release a key.
///
/// `Display` writes 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(u128);

impl ClaimId {
    pub(super) fn random() -> Self {
        Self(fastrand::u128(..))
    }
}

impl fmt::Display for ClaimId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_contents_have_keys_of_their_own() {
        let keys = [
            DeliveryKey::of_id("repairy", "1"),
            DeliveryKey::of_id("repairy", "2"),
            DeliveryKey::of_id("other", "1"),
            DeliveryKey::of_content("repairy", "1", b"2"),
            DeliveryKey::of_content("repairy", "12", b""),
            DeliveryKey::of_content("repairy", "", b"12"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(keys.iter().position(|other| other == key), Some(index), "{key}");
            assert_eq!((key.to_string().len(), key.as_bytes().len()), (64, 32));
        }
        assert_eq!(DeliveryKey::of_id("repairy", "1"), keys[0]);
    }

    #[test]
    fn no_two_claims_are_the_same() {
        let (one, other) = (ClaimId::random(), ClaimId::random());
        assert_ne!(one, other);
        assert_eq!(one.to_string().len(), 32);
    }
}
