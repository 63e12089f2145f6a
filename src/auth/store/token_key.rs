//! Identifies tokens in a store.

use std::fmt;

/// The longest file name of a key before it is shortened; file systems accept 255 bytes.
const MAX_NAME: usize = 180;

/// Identifies tokens in a store: vendor, host, tenant and account. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey(String);

impl TokenKey {
    /// A key with this text.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A file name for the key, without an extension: lowercase letters, digits, `-` and `_`, at most 200 bytes. Different
    /// keys have different names, on file systems that ignore case too.
    pub fn file_name(&self) -> String {
        let mut name = String::new();
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(byte.into()),
                // In hex, so that no key leads to another folder or to the file of another key.
                _ => name.push_str(&format!("_{byte:02x}")),
            }
        }
        if name.len() > MAX_NAME {
            name.truncate(MAX_NAME);
            name.push_str(&format!("_{:016x}", fingerprint(&self.0)));
        }
        name
    }
}

/// Tells long keys apart that begin alike (FNV-1a).
fn fingerprint(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
