//! Loads any bytes as a file of a `FileStore`: an error or tokens, which read the same after they are stored again.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use servicebay::{CompareAndSwap, FileStore, TokenKey, TokenSet, TokenStore as _};
use servicebay_fuzz::run;

/// A folder for each process, because several may run at once.
static FOLDER: LazyLock<PathBuf> =
    LazyLock::new(|| std::env::temp_dir().join(format!("servicebay-fuzz-{}", std::process::id())));
static STORE: LazyLock<FileStore> = LazyLock::new(|| FileStore::new(&*FOLDER).expect("the folder can be created"));

fuzz_target!(|file: &[u8]| {
    let key = TokenKey::new("fuzz");
    let store = &*STORE;
    // Both files of the key: the current record, and the next one, which may be half written.
    let (place, next) = (FOLDER.join("fuzz.json"), FOLDER.join("fuzz.new"));
    fs::write(&place, file).expect("the file can be written");
    let _ = fs::remove_file(&next);
    run(async {
        let loaded = match store.load(&key).await {
            Ok(loaded) => loaded.expect("a file is never taken for no file"),
            Err(error) => {
                assert!(error.reason().contains("fuzz.json"), "{error}");
                assert!(store.compare_and_swap(&key, 0, &TokenSet::new("other")).await.is_err());
                assert_eq!(fs::read(&place).expect("the file is there"), file, "a damaged file is kept");
                return;
            }
        };
        fs::rename(&place, &next).expect("the file can be renamed");
        let beside = store.load(&key).await.expect("a whole record is read").expect("a record that is whole counts");
        assert_eq!(fields(&beside), fields(&loaded));
        let swap = store.compare_and_swap(&key, loaded.revision(), &loaded).await.expect("the store can be written");
        assert!(matches!(swap, CompareAndSwap::Stored), "{swap:?}");
        let stored = store.load(&key).await.expect("a stored file is read").expect("it was stored");
        assert_eq!(fields(&stored), fields(&loaded));
    });
});

fn fields(tokens: &TokenSet) -> Value {
    serde_json::to_value(tokens).expect("tokens can be written")
}
