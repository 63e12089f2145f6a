//! Numbers that stand for texts: the same on every machine, in every version, and after every restart.

use std::fmt::{self, Write};

/// Numbers of 53 bits, which JSON keeps as they are whoever reads and writes it.
const BITS: u32 = 53;

/// FNV-1a, folded. It stays as it is for good: cursors that were written down hold what it made.
#[derive(Debug)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// The same with one more text, whose end counts: "ab" and "c" are not "a" and "bc".
    pub(crate) fn with(mut self, part: impl fmt::Display) -> Self {
        // Writing it down cannot fail.
        let _ = write!(self, "{part}");
        // No text has this byte.
        self.take(0xff);
        self
    }

    pub(crate) fn finish(self) -> u64 {
        (self.0 >> BITS) ^ (self.0 & ((1 << BITS) - 1))
    }

    fn take(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

impl Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.take(byte));
        Ok(())
    }
}

/// The number that stands for an id.
pub(crate) fn key(id: impl fmt::Display) -> u64 {
    Fingerprint::new().with(id).finish()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_key_is_the_same_for_good() {
        assert_eq!([key(20000010), key("wo-12345"), key("")], KEPT);
    }

    /// Written down once. A change here makes every cursor worthless that somebody has stored.
    const KEPT: [u64; 3] = [5949472336219763, 5641789704068298, 1251572898262549];

    #[test]
    fn a_million_ids_have_a_key_each() {
        let keys: HashSet<u64> = (20_000_000..21_000_000).map(key).collect();
        assert_eq!(keys.len(), 1_000_000);
        assert!(keys.iter().all(|key| *key < 1 << BITS));
    }

    #[test]
    fn where_a_text_ends_counts() {
        let of = |parts: [&str; 2]| parts.iter().fold(Fingerprint::new(), |print, part| print.with(part)).finish();
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
    }
}
