//! Temporary folders for tests of stores in files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use servicebay::TokenSet;

/// A folder for one test, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("servicebay-it-{}-{number}", std::process::id()));
        // A killed process with the same id may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The one file with tokens in it.
    pub(crate) fn token_file(&self) -> PathBuf {
        let files = fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path());
        let token_files: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
        assert_eq!(token_files.len(), 1, "{token_files:?}");
        token_files[0].clone()
    }

    /// The tokens in it.
    pub(crate) fn tokens(&self) -> TokenSet {
        let text = fs::read_to_string(self.token_file()).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        serde_json::from_value(file["tokens"].clone()).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
