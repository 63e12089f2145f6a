//! A token store in files, which outlives the process and is shared by the processes of one machine.

mod access;
mod default_folder;
mod files;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use self::files::Files;
use super::file_io::{blocking, failed};
use super::file_lock::{self, FileLock, TryLock};
use super::lease::Lease;
use super::store::{CompareAndSwap, TokenKey, TokenStore};
use super::token_set::TokenSet;
use crate::error::StoreError;

/// A token store with one file per key, in its own folder. The processes of one machine can share it.
///
/// Only the owner can read the files (mode 0600 on Unix), and the folder if the store creates it (0700). New tokens are written
/// to a second file and synced to disk before they replace the old ones, so that a crash at any moment leaves complete tokens;
/// the next process also finds tokens that were written but have not replaced the old ones yet. A lock of the operating system
/// lets one process on the machine refresh at a time; it ends with its process.
///
/// A file that is damaged, or that this store did not write, is never overwritten or removed; the error names it. The empty
/// files beside the tokens are locks: do not remove them while a program runs. A client whose lock file is removed notices
/// before it refreshes.
///
/// # Which folder
///
/// On Unix, the store refuses a folder that belongs to another user than the program's or root, or that other users can write
/// to, such as `/tmp` or a volume that is mounted for a group: they could replace the tokens. Give it a folder of its own
/// in there, which it creates.
///
/// On a file system without locks, such as some network file systems, tokens are stored all the same, and a lease excludes
/// the clients of this process only. A warning, `servicebay.no_file_locks`, is logged once. Let only one process use
/// such a folder: two could present the same refresh token, which can end the login.
///
/// # Example
///
/// ```no_run
/// use servicebay::FileStore;
///
/// let store = FileStore::new("/var/lib/acme-sync/tokens")?;
/// # Ok::<(), servicebay::StoreError>(())
/// ```
#[derive(Clone)]
pub struct FileStore {
    folder: PathBuf,
    try_lock: TryLock,
}

impl FileStore {
    /// A store in this folder. Creates the folder if it does not exist, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created, or if [other users could change it](Self#which-folder).
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        create_private(&folder)?;
        Ok(Self { folder, try_lock: file_lock::SYSTEM })
    }

    /// A store in the folder that the platform has for the files of a program, for a program that a person runs:
    ///
    /// | platform | folder |
    /// | --- | --- |
    /// | Linux and other Unix | `$XDG_STATE_HOME/<program>/tokens`, by default `~/.local/state/<program>/tokens` |
    /// | macOS | `~/Library/Application Support/<program>/tokens` |
    /// | Windows | `%LOCALAPPDATA%\<program>\tokens` |
    ///
    /// None of them is copied to other machines, where tokens would be refreshed a second time.
    ///
    /// `program` is the name of one folder, such as `acme-sync`: letters, digits, `-`, `_`, `.` and spaces.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if there is no home folder, as for a service: give [`new`](Self::new) a folder then. Also if `program` is
    /// not the name of a folder, and as for [`new`](Self::new).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use servicebay::FileStore;
    ///
    /// let store = FileStore::in_default_folder("acme-sync")?;
    /// # Ok::<(), servicebay::StoreError>(())
    /// ```
    pub fn in_default_folder(program: &str) -> Result<Self, StoreError> {
        Self::new(default_folder::find(program)?.join("tokens"))
    }

    fn files(&self, key: &TokenKey) -> Files {
        Files::new(&self.folder, key.clone())
    }

    /// Waits for a lock in the folder.
    async fn lock(&self, path: PathBuf) -> Result<FileLock, StoreError> {
        let folder = self.folder.clone();
        // Each time: the folder may have been replaced since the store was made.
        blocking(move || access::check(&folder)).await?;
        file_lock::lock_with(path, self.try_lock).await
    }
}

impl TokenStore for FileStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        let (folder, files) = (self.folder.clone(), self.files(key));
        blocking(move || {
            access::check(&folder)?;
            files.newest()
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let (files, tokens) = (self.files(key), tokens.clone());
        let lock = self.lock(files.lock()).await?;
        // The closure owns the lock, so that it is held until the work is done, even if the caller drops this future.
        blocking(move || {
            let _lock = lock;
            files.swap(expected, &tokens)
        })
        .await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        let files = self.files(key);
        let lock = self.lock(files.lock()).await?;
        blocking(move || {
            let _lock = lock;
            files.remove()
        })
        .await
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        // Another file than the lock, because the holder of the lease takes the lock for each write.
        self.lock(self.files(key).lease()).await.map(Lease::of_lock)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Creates a folder that only its owner can use, or checks that an existing one is safe.
pub(super) fn create_private(folder: &Path) -> Result<(), StoreError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| failed("the folder cannot be created", folder, error))?;
    access::check(folder)
}

/// The folder of the platform for the files of a program.
#[cfg(feature = "keychain")]
pub(super) fn default_folder(program: &str) -> Result<PathBuf, StoreError> {
    default_folder::find(program)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;
    use std::time::Duration;

    use super::*;
    use crate::auth::folder::Folder;

    fn key() -> TokenKey {
        TokenKey::new("fentu/acme")
    }

    /// A record whose revision is its generation.
    fn pair(generation: u64) -> TokenSet {
        let tokens = TokenSet::new("acc3ss").with_refresh_token("r3fresh").with_generation(generation);
        let mut fields = serde_json::to_value(tokens).unwrap();
        fields["revision"] = generation.into();
        serde_json::from_value(fields).unwrap()
    }

    #[tokio::test]
    async fn tokens_outlive_the_store() {
        let folder = Folder::new();
        FileStore::new(folder.path()).unwrap().compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let found = FileStore::new(folder.path()).unwrap().load(&key()).await.unwrap();
        assert_eq!(found.unwrap().generation(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn only_the_owner_can_read_the_folder_that_the_store_creates_and_the_files_in_it() {
        use std::os::unix::fs::PermissionsExt;

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let outer = Folder::new();
        let folder = outer.path().join("deep/tokens");
        let store = FileStore::new(&folder).unwrap();
        let lease = store.lease(&key()).await.unwrap();
        store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        drop(lease);
        assert_eq!((mode(&folder), mode(folder.parent().unwrap())), (0o700, 0o700));
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 3, "{files:?}");
        for file in files {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }

    #[test]
    fn the_error_of_a_folder_that_cannot_be_created_names_it() {
        let folder = Folder::new();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("tokens")] {
            let error = FileStore::new(&path).unwrap_err();
            assert!(error.reason().starts_with("the folder cannot be created: "), "{error}");
            assert!(error.reason().contains(&path.display().to_string()), "{error}");
        }
    }

    #[tokio::test]
    async fn the_error_of_a_removed_folder_names_it_and_the_store_works_again_when_it_is_back() {
        let outer = Folder::new();
        let folder = outer.path().join("tokens");
        let store = FileStore::new(&folder).unwrap();
        fs::remove_dir(&folder).unwrap();
        for in_its_place in [None, Some("a file")] {
            if let Some(text) = in_its_place {
                fs::write(&folder, text).unwrap();
            }
            let error = store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap_err();
            assert!(error.reason().contains(&folder.display().to_string()), "{error}");
            assert!(error.reason().ends_with("; give the store a folder that exists and stays"), "{error}");
            assert!(store.lease(&key()).await.is_err() && store.remove(&key()).await.is_err());
            assert!(store.load(&key()).await.is_err(), "a folder that is gone does not mean that there are no tokens");
        }
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(matches!(store.compare_and_swap(&key(), 0, &pair(1)).await, Ok(CompareAndSwap::Stored)));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_read_only_folder_can_be_read_and_a_write_names_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o500)).unwrap();
        assert_eq!(store.load(&key()).await.unwrap().unwrap().generation(), 1);
        // Permissions do not apply to root, whose write succeeds.
        let is_enforced = File::create(folder.path().join("probe")).is_err();
        let swap = store.compare_and_swap(&key(), 1, &pair(2)).await;
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let generation = store.load(&key()).await.unwrap().unwrap().generation();
        match swap {
            Err(error) if is_enforced => {
                assert!(error.reason().contains("allow this program's user to read and write there"), "{error}");
                assert!(error.reason().contains(&folder.path().display().to_string()), "{error}");
                assert_eq!(generation, 1);
            }
            swap => assert_eq!((is_enforced, generation), (false, 2), "{swap:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_can_be_read_but_not_written_while_another_store_has_the_lock() {
        let folder = Folder::new();
        let (one, other) = (FileStore::new(folder.path()).unwrap(), FileStore::new(folder.path()).unwrap());
        one.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let lock = file_lock::lock(one.files(&key()).lock()).await.unwrap();
        let minute = Duration::from_secs(60);
        assert!(other.load(&key()).await.unwrap().is_some());
        assert!(tokio::time::timeout(minute, other.compare_and_swap(&key(), 1, &pair(2))).await.is_err());
        assert!(tokio::time::timeout(minute, other.remove(&key())).await.is_err());
        // The dropped futures have no effect later.
        drop(lock);
        assert_eq!(other.load(&key()).await.unwrap().unwrap().generation(), 1);
        assert!(matches!(other.compare_and_swap(&key(), 1, &pair(2)).await, Ok(CompareAndSwap::Stored)));
    }

    #[tokio::test(start_paused = true)]
    async fn the_holder_of_a_lease_can_write() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        let _lease = store.lease(&key()).await.unwrap();
        let swap = tokio::time::timeout(Duration::from_secs(60), store.compare_and_swap(&key(), 0, &pair(1))).await;
        assert!(matches!(swap, Ok(Ok(CompareAndSwap::Stored))), "{swap:?}");
    }

    #[tokio::test]
    async fn no_debug_output_shows_a_token() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        let swap = store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let newer = store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let shown = format!("{store:?} {swap:?} {newer:?}");
        assert!(!shown.contains("acc3ss") && !shown.contains("r3fresh"), "{shown}");
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn a_lease_whose_file_is_removed_is_lost_so_that_one_holder_is_left() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        let first = store.lease(&key()).await.unwrap();
        assert!(first.is_held() && !first.can_be_lost());
        fs::remove_file(store.files(&key()).lease()).unwrap();
        assert!(!first.is_held());
        // Another process would be granted a lease now; a client in this one waits for the first in any case.
        drop(first);
        let second = store.lease(&key()).await.unwrap();
        assert!(second.is_held());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_that_others_can_write_to_is_refused_at_once_and_later() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        let store = FileStore::new(folder.path()).unwrap();
        store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        set(0o777);
        let error = FileStore::new(folder.path()).unwrap_err();
        let errors = [
            store.load(&key()).await.unwrap_err(),
            store.compare_and_swap(&key(), 0, &pair(2)).await.unwrap_err(),
            store.remove(&key()).await.unwrap_err(),
            store.lease(&key()).await.unwrap_err(),
        ];
        for error in errors.into_iter().chain([error]) {
            assert!(error.reason().starts_with("other users can write to the folder"), "{error}");
        }
        set(0o700);
        assert_eq!(store.load(&key()).await.unwrap().unwrap().generation(), 1);
    }

    #[test]
    fn a_shared_temporary_folder_is_refused_and_a_folder_in_it_is_not() {
        let temporary = std::env::temp_dir();
        #[cfg(unix)]
        if std::os::unix::fs::MetadataExt::mode(&fs::metadata(&temporary).unwrap()) & 0o002 != 0 {
            let error = FileStore::new(&temporary).unwrap_err();
            assert!(error.reason().contains("give the store a folder of its own in it"), "{error}");
        }
        let folder = Folder::new();
        assert_eq!(folder.path().parent(), Some(&*temporary));
        FileStore::new(folder.path().join("tokens")).unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_system_without_locks_keeps_tokens_and_excludes_within_the_process() {
        let folder = Folder::new();
        let no_locks: TryLock = |_| Err(fs4::TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let store = || FileStore { try_lock: no_locks, ..FileStore::new(folder.path()).unwrap() };
        let (one, other) = (store(), store());
        assert!(matches!(one.compare_and_swap(&key(), 0, &pair(1)).await, Ok(CompareAndSwap::Stored)));
        assert_eq!(other.load(&key()).await.unwrap().unwrap().generation(), 1);
        let lease = one.lease(&key()).await.unwrap();
        assert!(lease.is_held() && lease.can_be_lost());
        assert!(tokio::time::timeout(Duration::from_secs(60), other.lease(&key())).await.is_err());
        drop(lease);
        assert!(other.lease(&key()).await.is_ok());
    }

    #[cfg(feature = "testing")]
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_file_system_without_locks_keeps_the_contract_within_the_process() {
        let folder = Folder::new();
        let no_locks: TryLock = |_| Err(fs4::TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let store = || FileStore { try_lock: no_locks, ..FileStore::new(folder.path()).unwrap() };
        crate::testing::token_store::check(store(), store()).await.unwrap();
    }
}
