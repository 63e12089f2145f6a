//! The files of one key: the current record, the next one while it is written, and two lock files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::file_io::{failed, private};
use crate::auth::store::{CompareAndSwap, TokenKey};
use crate::auth::token_set::TokenSet;
use crate::error::StoreError;

/// The version of the format of a file.
const FORMAT: u64 = 1;
const DAMAGED: &str = "is damaged, or not a file of this store; move it away";

/// The files of one key.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    name: String,
    key: TokenKey,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    servicebay: u64,
    key: String,
    tokens: TokenSet,
}

impl Files {
    pub(super) fn new(folder: &Path, key: TokenKey) -> Self {
        Self { folder: folder.to_owned(), name: key.file_name(), key }
    }

    /// Locked while the other files change.
    pub(super) fn lock(&self) -> PathBuf {
        self.path("lock")
    }

    /// Locked while a client refreshes.
    pub(super) fn lease(&self) -> PathBuf {
        self.path("lease")
    }

    /// The newest whole record: the current one, or one that was written when a process crashed before it became current.
    pub(super) fn newest(&self) -> Result<Option<TokenSet>, StoreError> {
        // In this order: reading takes no lock, and a record that becomes current in between is read twice instead of never.
        let beside = self.beside()?;
        let in_place = self.in_place()?;
        Ok([in_place, beside].into_iter().flatten().max_by_key(TokenSet::generation))
    }

    /// Stores tokens, unless a record with another revision than `expected` is there.
    pub(super) fn swap(&self, expected: u64, tokens: &TokenSet) -> Result<CompareAndSwap, StoreError> {
        match self.settled()? {
            Some(stored) if stored.revision() != expected => return Ok(CompareAndSwap::Conflict(stored)),
            _ => {}
        }
        self.write(tokens)?;
        Ok(CompareAndSwap::Stored)
    }

    /// Removes the record, if this store wrote it.
    pub(super) fn remove(&self) -> Result<(), StoreError> {
        self.settled()?;
        // In this order: a crash in between leaves no record, or the newest one.
        for path in [self.path("json"), self.path("new")] {
            removed(&path).map_err(|error| failed("the tokens cannot be removed", &path, error))?;
        }
        self.sync_folder();
        Ok(())
    }

    /// The newest record, after it has become current: the next write replaces the other file.
    fn settled(&self) -> Result<Option<TokenSet>, StoreError> {
        let (beside, in_place) = (self.beside()?, self.in_place()?);
        match beside {
            Some(beside) if in_place.as_ref().is_none_or(|in_place| beside.generation() >= in_place.generation()) => {
                self.put_in_place()?;
                Ok(Some(beside))
            }
            _ => Ok(in_place),
        }
    }

    fn in_place(&self) -> Result<Option<TokenSet>, StoreError> {
        let path = self.path("json");
        let Some(text) = text(&path)? else { return Ok(None) };
        // Without the parser's error, which could quote the file and with it a token.
        let value = serde_json::from_slice(&text).map_err(|_| refused(&path, DAMAGED))?;
        self.own(value, &path).map(Some)
    }

    /// The next record. One that is not whole was never finished, and does not count.
    fn beside(&self) -> Result<Option<TokenSet>, StoreError> {
        let path = self.path("new");
        let value = text(&path)?.and_then(|text| serde_json::from_slice(&text).ok());
        value.map(|value| self.own(value, &path)).transpose()
    }

    /// The record in a whole file, if it is this key's.
    fn own(&self, value: Value, path: &Path) -> Result<TokenSet, StoreError> {
        // First, because the rest of another version's file is unknown here.
        if value.get("servicebay").and_then(Value::as_u64).is_some_and(|format| format != FORMAT) {
            return Err(refused(path, "was written by another version of this crate; use that one, or move it away"));
        }
        let stored: Stored = serde_json::from_value(value).map_err(|_| refused(path, DAMAGED))?;
        if stored.key != self.key.as_str() {
            return Err(refused(path, "contains the tokens of another key; move it away"));
        }
        Ok(stored.tokens)
    }

    fn write(&self, tokens: &TokenSet) -> Result<(), StoreError> {
        let stored = Stored { servicebay: FORMAT, key: self.key.as_str().to_owned(), tokens: tokens.clone() };
        let text = serde_json::to_vec_pretty(&stored)
            .map_err(|error| StoreError::new("the tokens cannot be written as JSON").with_source(error))?;
        let path = self.path("new");
        let written = removed(&path).and_then(|()| create_private(&path)).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        if let Err(error) = written {
            // Half a file is of no use, and takes space on a disk that may be full.
            let _ = removed(&path);
            return Err(failed("the tokens cannot be written", &path, error));
        }
        self.put_in_place()
    }

    fn put_in_place(&self) -> Result<(), StoreError> {
        let place = self.path("json");
        fs::rename(self.path("new"), &place)
            .map_err(|error| failed("the tokens cannot be moved into place", &place, error))?;
        self.sync_folder();
        Ok(())
    }

    /// Syncs the names of the files to disk. Not every system can open a folder for that.
    fn sync_folder(&self) {
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.folder.join(format!("{}.{ending}", self.name))
    }
}

/// The error of a file that is left as it is.
fn refused(path: &Path, why: &str) -> StoreError {
    StoreError::new(format!("{} {why}", path.display()))
}

/// The content of a file; `None` if there is no file.
fn text(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("the tokens cannot be read", path, error)),
    }
}

/// Removes a file, if there is one.
fn removed(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates a file that only its owner can read. Fails if there is one, which other users might be able to read, or which
/// might be a link to another file.
fn create_private(path: &Path) -> io::Result<File> {
    private().create_new(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;
    use crate::auth::folder::Folder;

    fn files(folder: &Folder) -> Files {
        Files::new(folder.path(), TokenKey::new("fentu/acme"))
    }

    /// A record whose revision is its generation.
    fn pair(generation: u64) -> TokenSet {
        let fields = json!({
            "access_token": format!("acc3ss-{generation}"),
            "access_expires_at": null,
            "refresh_token": format!("r3fresh-{generation}"),
            "refresh_expires_at": null,
            "obtained_at": null,
            "generation": generation,
            "revision": generation,
        });
        serde_json::from_value(fields).unwrap()
    }

    /// The content of a whole file.
    fn whole(files: &Files, generation: u64) -> String {
        let key = files.key.as_str().to_owned();
        serde_json::to_string(&Stored { servicebay: FORMAT, key, tokens: pair(generation) }).unwrap()
    }

    /// The content of a whole file that notes a presentation.
    fn noted(files: &Files, generation: u64) -> String {
        let tokens = pair(generation).with_presented_at(Some(Timestamp::UNIX_EPOCH)).with_new_revision();
        let key = files.key.as_str().to_owned();
        serde_json::to_string(&Stored { servicebay: FORMAT, key, tokens }).unwrap()
    }

    fn newest(files: &Files) -> Option<(u64, String)> {
        let tokens = files.newest().unwrap()?;
        Some((tokens.generation(), tokens.access_token().expose_secret().to_owned()))
    }

    fn holds(files: &Files, generation: u64) {
        assert_eq!(newest(files), Some((generation, format!("acc3ss-{generation}"))));
    }

    /// Checks that every operation fails with this error, names this path, and does not change it.
    fn refuses(files: &Files, path: &Path, reason: &str) {
        let before = fs::read(path).ok();
        let errors = [
            files.newest().unwrap_err(),
            files.swap(0, &pair(1)).unwrap_err(),
            files.swap(7, &pair(8)).unwrap_err(),
            files.remove().unwrap_err(),
        ];
        for error in errors {
            let shown = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(error.reason().contains(reason), "{error}");
            assert!(error.reason().contains(&path.display().to_string()), "{error}");
            assert!(!shown.contains("acc3ss") && !shown.contains("r3fresh"), "{shown}");
        }
        assert!(path.exists());
        assert_eq!(fs::read(path).ok(), before);
    }

    #[test]
    fn a_record_is_written_to_another_file_and_then_renamed() {
        let folder = Folder::new();
        let files = files(&folder);
        files.swap(0, &pair(1)).unwrap();
        // A reader that has the old file open still reads the whole old record.
        let mut old = File::open(files.path("json")).unwrap();
        files.swap(1, &pair(2)).unwrap();
        let mut text = String::new();
        io::Read::read_to_string(&mut old, &mut text).unwrap();
        assert!(text.contains("acc3ss-1"), "{text}");
        assert!(!files.path("new").exists());
        holds(&files, 2);
    }

    #[test]
    fn a_record_that_was_written_but_not_renamed_is_found_if_it_is_whole_and_newer() {
        let folder = Folder::new();
        let files = files(&folder);
        fs::write(files.path("new"), whole(&files, 1)).unwrap();
        holds(&files, 1);
        fs::write(files.path("json"), whole(&files, 2)).unwrap();
        holds(&files, 2);
        fs::write(files.path("new"), whole(&files, 3)).unwrap();
        holds(&files, 3);
        // A note of a presentation leaves the generation as it is.
        fs::write(files.path("json"), whole(&files, 3)).unwrap();
        fs::write(files.path("new"), noted(&files, 3)).unwrap();
        assert_eq!(files.newest().unwrap().unwrap().presented_at(), Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn a_record_that_was_partly_written_does_not_count() {
        let folder = Folder::new();
        let files = files(&folder);
        let newer = whole(&files, 3);
        for kept in 0..newer.len() {
            fs::write(files.path("new"), &newer[..kept]).unwrap();
            assert_eq!(newest(&files), None, "{kept}");
        }
        fs::write(files.path("new"), [0; 512]).unwrap();
        assert_eq!(newest(&files), None);
        files.swap(0, &pair(1)).unwrap();
        fs::write(files.path("new"), &newer[..40]).unwrap();
        holds(&files, 1);
        files.swap(1, &pair(2)).unwrap();
        holds(&files, 2);
    }

    #[test]
    fn a_record_that_was_written_but_not_renamed_becomes_current_before_the_next_write() {
        let folder = Folder::new();
        let files = files(&folder);
        fs::write(files.path("json"), whole(&files, 1)).unwrap();
        fs::write(files.path("new"), whole(&files, 2)).unwrap();
        assert!(matches!(files.swap(1, &pair(2)), Ok(CompareAndSwap::Conflict(stored)) if stored.generation() == 2));
        assert!(!files.path("new").exists());
        assert!(fs::read_to_string(files.path("json")).unwrap().contains("acc3ss-2"));
        fs::write(files.path("new"), noted(&files, 2)).unwrap();
        assert!(
            matches!(files.swap(2, &pair(3)), Ok(CompareAndSwap::Conflict(stored)) if stored.presented_at().is_some())
        );
    }

    #[test]
    fn remove_removes_a_record_that_was_written_but_not_renamed_too() {
        let folder = Folder::new();
        let files = files(&folder);
        for (in_place, beside) in [(1, 2), (2, 1)] {
            fs::write(files.path("json"), whole(&files, in_place)).unwrap();
            fs::write(files.path("new"), whole(&files, beside)).unwrap();
            files.remove().unwrap();
            assert_eq!(newest(&files), None);
        }
        fs::write(files.path("new"), "{").unwrap();
        files.remove().unwrap();
        assert!(!files.path("new").exists());
    }

    #[test]
    fn a_damaged_file_is_named_and_kept() {
        let folder = Folder::new();
        let files = files(&folder);
        let text = whole(&files, 1);
        let path = files.path("json");
        let no_pair = json!({"servicebay": FORMAT, "key": "fentu/acme", "tokens": {"access_token": "acc3ss"}});
        for damaged in ["", "{", &text[..text.len() - 1], "[1]", "null", "acc3ss", "\0\0\0\0", &no_pair.to_string()] {
            fs::write(&path, damaged).unwrap();
            refuses(&files, &path, "is damaged, or not a file of this store; move it away");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        refuses(&files, &path, "move it away");
    }

    #[test]
    fn a_record_that_was_written_but_not_renamed_survives_a_damaged_file() {
        let folder = Folder::new();
        let files = files(&folder);
        fs::write(files.path("json"), "{").unwrap();
        fs::write(files.path("new"), whole(&files, 2)).unwrap();
        refuses(&files, &files.path("json"), "move it away");
        fs::rename(files.path("json"), folder.path().join("away")).unwrap();
        holds(&files, 2);
    }

    #[test]
    fn a_file_of_another_version_is_named_and_kept_whatever_else_it_contains() {
        let folder = Folder::new();
        let files = files(&folder);
        for ending in ["json", "new"] {
            let path = files.path(ending);
            for other in [json!({"servicebay": 2, "tokens": "acc3ss"}), json!({"servicebay": 0})] {
                fs::write(&path, other.to_string()).unwrap();
                refuses(&files, &path, "was written by another version of this crate");
            }
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_file_with_the_tokens_of_another_key_is_named_and_kept() {
        let folder = Folder::new();
        let files = files(&folder);
        let other = Files::new(folder.path(), TokenKey::new("fentu/globex"));
        for ending in ["json", "new"] {
            fs::write(files.path(ending), whole(&other, 1)).unwrap();
            refuses(&files, &files.path(ending), "contains the tokens of another key; move it away");
            fs::remove_file(files.path(ending)).unwrap();
        }
    }

    #[test]
    fn a_folder_in_place_of_a_file_is_named_and_kept() {
        let folder = Folder::new();
        let files = files(&folder);
        for ending in ["json", "new"] {
            let path = files.path(ending);
            fs::create_dir(&path).unwrap();
            refuses(&files, &path, "the tokens cannot be read");
            fs::remove_dir(&path).unwrap();
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_place_of_the_next_file_is_not_followed() {
        let folder = Folder::new();
        let files = files(&folder);
        let target = folder.path().join("other");
        fs::write(&target, "untouched").unwrap();
        std::os::unix::fs::symlink(&target, files.path("new")).unwrap();
        files.swap(0, &pair(1)).unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "untouched");
        assert!(!fs::symlink_metadata(files.path("json")).unwrap().is_symlink());
        holds(&files, 1);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_a_written_file_even_if_others_could_read_the_one_before() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let files = files(&folder);
        for (generation, ending) in [(0, "new"), (1, "json")] {
            fs::write(files.path(ending), if generation == 0 { "{".to_owned() } else { whole(&files, 1) }).unwrap();
            fs::set_permissions(files.path(ending), PermissionsExt::from_mode(0o666)).unwrap();
            files.swap(generation, &pair(generation + 1)).unwrap();
            let mode = fs::metadata(files.path("json")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{mode:o}");
        }
    }

    /// A limit on the size of files makes a write fail in the middle, as on a full disk, for root too. It applies to a
    /// process, so this test runs itself again under such a limit.
    #[cfg(unix)]
    #[test]
    fn a_disk_that_fills_up_during_a_write_leaves_the_old_record_whole() {
        const FOLDER: &str = "SERVICEBAY_TEST_FULL_FOLDER";
        let large = pair(2).with_refresh_token("r3fresh".repeat(10_000));
        if let Some(full) = std::env::var_os(FOLDER) {
            let files = Files::new(Path::new(&full), TokenKey::new("fentu/acme"));
            let error = files.swap(1, &large).unwrap_err();
            assert!(error.reason().contains(&files.path("new").display().to_string()), "{error}");
            assert!(error.reason().ends_with("; free some space"), "{error}");
            assert!(!format!("{error:?}").contains("r3fresh"), "{error:?}");
            holds(&files, 1);
            assert!(!files.path("new").exists());
            return;
        }
        let folder = Folder::new();
        let files = files(&folder);
        files.swap(0, &pair(1)).unwrap();
        let name = concat!(module_path!(), "::a_disk_that_fills_up_during_a_write_leaves_the_old_record_whole");
        let (_, name) = name.split_once("::").unwrap();
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", "trap '' XFSZ && ulimit -f 1 && exec \"$0\" --exact \"$1\" --nocapture"])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(FOLDER, folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
        holds(&files, 1);
        files.swap(1, &large).unwrap();
        assert_eq!(newest(&files).unwrap().0, 2);
    }

    #[test]
    fn keys_that_look_like_paths_stay_in_the_folder_and_are_distinct() {
        let long = "x".repeat(300);
        let keys = [
            "",
            ".",
            "..",
            "../",
            "../../etc/passwd",
            "/etc/passwd",
            "C:\\tokens",
            "a/b",
            "a_2fb",
            "a\0b",
            "a",
            "A",
            "ä",
            "Ä",
            "a ",
            " a",
            "a.json",
            "a.new",
            "\n",
            "~",
            "$HOME",
            "*",
            &long,
            &format!("{long}y"),
            &format!("{long}z"),
            &long.to_uppercase(),
        ];
        let outer = Folder::new();
        let folder = outer.path().join("tokens");
        fs::create_dir(&folder).unwrap();
        for (number, key) in (1..).zip(keys) {
            let files = Files::new(&folder, TokenKey::new(key));
            assert_eq!(newest(&files), None, "{key:?}");
            files.swap(0, &pair(number)).unwrap();
        }
        for (number, key) in (1..).zip(keys) {
            holds(&Files::new(&folder, TokenKey::new(key)), number);
        }
        assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 1);
        let in_small: BTreeSet<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_lowercase())
            .collect();
        assert_eq!(in_small.len(), keys.len());
    }

    proptest! {
        #[test]
        fn no_key_has_a_file_name_with_a_special_meaning(key in any::<String>()) {
            let name = TokenKey::new(&key).file_name();
            prop_assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_')), "{name}");
            prop_assert!(name.len() <= 200);
        }

        #[test]
        fn different_keys_have_different_file_names(one in ".{0,80}", other in ".{0,80}") {
            prop_assert_eq!(one == other, TokenKey::new(&one).file_name() == TokenKey::new(&other).file_name());
        }
    }
}
