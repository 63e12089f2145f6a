//! A hash that is stable across machines, versions and processes, for what cursors store.

use std::fmt::{self, Write};

/// Every JSON implementation represents integers of 53 bits exactly.
const BITS: u32 = 53;

/// FNV-1a, folded to 53 bits. Never change it: stored cursors contain its results.
#[derive(Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Adds a part. Where parts end matters: `"ab"` and `"c"` differ from `"a"` and `"bc"`.
    pub(crate) fn with(mut self, part: impl fmt::Display) -> Self {
        // Infallible: `write_str` below returns `Ok`.
        let _ = write!(self, "{part}");
        // Does not occur in UTF-8.
        self.add(0xff);
        self
    }

    pub(crate) fn finish(self) -> u64 {
        (self.0 >> BITS) ^ (self.0 & ((1 << BITS) - 1))
    }

    fn add(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

impl Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.add(byte));
        Ok(())
    }
}

/// The hash of an id.
pub(crate) fn key(id: impl fmt::Display) -> u64 {
    Fingerprint::new().with(id).finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_hash_is_stable() {
        assert_eq!([key(20000010), key("wo-12345"), key("")], STORED);
    }

    /// Never change it: cursors with these hashes are stored by users.
    const STORED: [u64; 3] = [5949472336219763, 5641789704068298, 1251572898262549];

    #[test]
    fn a_million_ids_have_a_million_keys() {
        let keys: HashSet<u64> = (20_000_000..21_000_000).map(key).collect();
        assert_eq!(keys.len(), 1_000_000);
        assert!(keys.iter().all(|key| *key < 1 << BITS));
    }

    #[test]
    fn where_parts_end_matters() {
        let hash = |parts: [&str; 2]| parts.iter().fold(Fingerprint::new(), |hash, part| hash.with(part)).finish();
        assert_ne!(hash(["ab", "c"]), hash(["a", "bc"]));
    }
}
