//! The key by which a vendor recognizes a request that it has received before.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};

/// The name of the header.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The value of the header `Idempotency-Key`: a vendor that supports it applies requests with the same key once.
///
/// A call has one key for all its attempts. Make a new one for each write, and keep it with the job if the job may run again:
/// that is what makes the second run harmless.
///
/// # Example
///
/// ```
/// use servicebay::IdempotencyKey;
///
/// let key = IdempotencyKey::random();
/// assert_ne!(key, IdempotencyKey::random());
/// // Your own, if it names this write and no other:
/// let key = IdempotencyKey::from("invoice-2026-0117");
/// assert_eq!(key.as_str(), "invoice-2026-0117");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// A random key in the form of a UUID (version 4).
    pub fn random() -> Self {
        // The hasher's keys are made of random bytes of the operating system: unlike a generator that is seeded with the time, two
        // machines never agree. After a fork the keys of both processes go on from the same bytes, but the processes differ.
        let random = || {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u32(std::process::id());
            hasher.finish()
        };
        Self(uuid(u128::from(random()) << 64 | u128::from(random())))
    }

    /// The key as it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for IdempotencyKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

impl From<String> for IdempotencyKey {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Random bits as a UUID (version 4).
pub(crate) fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let digits = format!("{bits:032x}");
    let part = |range| &digits[range];
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn a_random_key_is_a_uuid_of_version_4() {
        for _ in 0..1000 {
            let key = IdempotencyKey::random().to_string();
            let parts: Vec<&str> = key.split('-').collect();
            assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{key}");
            assert!(
                parts.iter().all(|part| part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))),
                "{key}"
            );
            assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{key}");
        }
    }

    #[test]
    fn no_two_random_keys_are_equal_on_any_thread() {
        let make = || Vec::from_iter((0..5000).map(|_| IdempotencyKey::random()));
        let threads = [(); 4].map(|()| thread::spawn(make));
        let keys: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(HashSet::<_>::from_iter(&keys).len(), keys.len());
        // Every bit that is not fixed is set in about half of them.
        let first = keys.iter().filter(|key| key.as_str().as_bytes()[0] >= b'8').count();
        assert!((9_000..11_000).contains(&first), "{first}");
    }
}
