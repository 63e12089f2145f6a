//! A token store in files, which outlives the process and is shared by the processes of one machine.

mod files;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::TryLockError;
use futures_core::future::BoxFuture;

use self::files::Files;
use super::store::{CompareAndSwap, Lease, StoreError, TokenKey, TokenStore};
use super::token_set::TokenSet;

/// How often a lock that somebody else holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// A token store with one file per key, in its own folder. The processes of one machine can share it.
///
/// Only the owner can read the files (mode 0600 on Unix), and the folder if the store creates it (0700). New tokens are written
/// to a second file and synced to disk before they replace the old ones, so that a crash at any moment leaves complete tokens;
/// the next process also finds tokens that were written but have not replaced the old ones yet. A lock of the operating system
/// lets one process on the machine refresh at a time; it ends with its process.
///
/// A file that is damaged, or that this store did not write, is never overwritten or removed; the error names it. The empty
/// files beside the tokens are locks: do not remove them while a program runs.
///
/// # Example
///
/// ```no_run
/// use servicebay::FileStore;
///
/// let store = FileStore::new("/var/lib/acme-sync/tokens")?;
/// # Ok::<(), servicebay::StoreError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    folder: PathBuf,
}

impl FileStore {
    /// A store in this folder. Creates the folder if it does not exist, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the folder cannot be created.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| failed("the folder cannot be made", &folder, error))?;
        Ok(Self { folder })
    }

    fn files(&self, key: &TokenKey) -> Files {
        Files::new(&self.folder, key.clone())
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        let files = self.files(key);
        Box::pin(blocking(move || files.newest()))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        let (files, tokens) = (self.files(key), tokens.clone());
        Box::pin(async move {
            let lock = locked(files.lock()).await?;
            // The lock goes along, so that it holds until the work is done, even if nobody waits for that any more.
            blocking(move || {
                let _lock = lock;
                files.swap(expected, &tokens)
            })
            .await
        })
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        let files = self.files(key);
        Box::pin(async move {
            let lock = locked(files.lock()).await?;
            blocking(move || {
                let _lock = lock;
                files.remove()
            })
            .await
        })
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let files = self.files(key);
        // Another file than the lock: whoever holds the lease for the length of a renewal takes the lock in it.
        Box::pin(async move { locked(files.lease()).await.map(Lease::new) })
    }
}

/// A file under an exclusive lock, which ends when it is closed. On Unix this is `flock`, which belongs to the open file
/// and not to the process, so that two stores of one process keep each other out too.
///
/// It is asked for again and again, and not waited for inside the system: a thread that waits there cannot be called
/// back, and the end of the program would wait for it.
async fn locked(path: PathBuf) -> Result<File, StoreError> {
    let (file, path) = blocking(move || match files::open_private(&path) {
        Ok(file) => Ok((file, path)),
        Err(error) => Err(failed("the lock cannot be opened", &path, error)),
    })
    .await?;
    loop {
        // Spelled out, for newer toolchains have a method of their own by this name.
        match fs4::FileExt::try_lock(&file) {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => tokio::time::sleep(ASK_AGAIN).await,
            Err(TryLockError::Error(error)) => return Err(failed("the lock cannot be taken", &path, error)),
        }
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => Err(StoreError::new("the runtime ended while the store was at work").with_source(ended)),
    }
}

/// What went wrong with a file, and what to do about it where that is known.
#[cold]
fn failed(what: &str, path: &Path, error: io::Error) -> StoreError {
    use io::ErrorKind as Kind;
    let remedy = match error.kind() {
        Kind::FileTooLarge | Kind::QuotaExceeded | Kind::StorageFull => "; make room for it",
        Kind::IsADirectory => "; move it away",
        Kind::NotADirectory | Kind::NotFound => "; give the store a folder that is there, and stays",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
            "; let this program's user read and write there, or give the store another folder"
        }
        _ => "",
    };
    StoreError::new(format!("{what}: {}: {error}{remedy}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::folder::Folder;

    fn key() -> TokenKey {
        TokenKey::new("fentu/acme")
    }

    fn pair(generation: u64) -> TokenSet {
        TokenSet::new("acc3ss").with_refresh_token("r3fresh").with_generation(generation)
    }

    #[tokio::test]
    async fn a_pair_outlives_the_store() {
        let folder = Folder::new();
        FileStore::new(folder.path()).unwrap().compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let found = FileStore::new(folder.path()).unwrap().load(&key()).await.unwrap();
        assert_eq!(found.unwrap().generation(), 1);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_that_the_store_makes_and_all_in_it_are_its_owners_alone() {
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
    fn a_folder_that_cannot_be_made_is_named_with_what_to_do() {
        let folder = Folder::new();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("tokens")] {
            let error = FileStore::new(&path).unwrap_err();
            assert!(error.reason().starts_with("the folder cannot be made: "), "{error}");
            assert!(error.reason().contains(&path.display().to_string()), "{error}");
        }
    }

    #[tokio::test]
    async fn a_folder_that_went_is_named_with_what_to_do_and_served_again_once_it_is_back() {
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
            assert!(error.reason().ends_with("; give the store a folder that is there, and stays"), "{error}");
            assert!(store.lease(&key()).await.is_err() && store.remove(&key()).await.is_err());
        }
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        assert!(matches!(store.compare_and_swap(&key(), 0, &pair(1)).await, Ok(CompareAndSwap::Stored)));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_folder_that_can_only_be_read_is_read_and_named_when_it_should_be_written() {
        use std::os::unix::fs::PermissionsExt;

        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o500)).unwrap();
        assert_eq!(store.load(&key()).await.unwrap().unwrap().generation(), 1);
        // Whom modes do not hold, `root`, gets the pair stored.
        let is_held = File::create(folder.path().join("probe")).is_err();
        let swap = store.compare_and_swap(&key(), 1, &pair(2)).await;
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        let generation = store.load(&key()).await.unwrap().unwrap().generation();
        match swap {
            Err(error) if is_held => {
                assert!(error.reason().contains("let this program's user read and write there"), "{error}");
                assert!(error.reason().contains(&folder.path().display().to_string()), "{error}");
                assert_eq!(generation, 1);
            }
            swap => assert_eq!((is_held, generation), (false, 2), "{swap:?}"),
        }
    }

    #[test]
    fn an_error_says_what_to_do_about_what_it_names() {
        use io::ErrorKind as Kind;
        for (kind, remedy) in [
            (Kind::StorageFull, "make room for it"),
            (Kind::QuotaExceeded, "make room for it"),
            (Kind::ReadOnlyFilesystem, "give the store another folder"),
            (Kind::PermissionDenied, "give the store another folder"),
            (Kind::NotFound, "give the store a folder that is there, and stays"),
            (Kind::IsADirectory, "move it away"),
        ] {
            let error = failed("the tokens cannot be written", Path::new("/var/tokens"), kind.into());
            assert!(error.reason().starts_with("the tokens cannot be written: /var/tokens: "), "{error}");
            assert!(error.reason().ends_with(remedy), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_pair_is_read_but_not_changed_while_another_store_has_the_lock() {
        let folder = Folder::new();
        let (one, other) = (FileStore::new(folder.path()).unwrap(), FileStore::new(folder.path()).unwrap());
        one.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let lock = locked(one.files(&key()).lock()).await.unwrap();
        let minute = Duration::from_secs(60);
        assert!(other.load(&key()).await.unwrap().is_some());
        assert!(tokio::time::timeout(minute, other.compare_and_swap(&key(), 1, &pair(2))).await.is_err());
        assert!(tokio::time::timeout(minute, other.remove(&key())).await.is_err());
        // Whoever gave up waiting has left nothing that comes after.
        drop(lock);
        assert_eq!(other.load(&key()).await.unwrap().unwrap().generation(), 1);
        assert!(matches!(other.compare_and_swap(&key(), 1, &pair(2)).await, Ok(CompareAndSwap::Stored)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_not_the_lock_so_that_its_holder_can_store() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        let _lease = store.lease(&key()).await.unwrap();
        let swap = tokio::time::timeout(Duration::from_secs(60), store.compare_and_swap(&key(), 0, &pair(1))).await;
        assert!(matches!(swap, Ok(Ok(CompareAndSwap::Stored))), "{swap:?}");
    }

    #[tokio::test]
    async fn no_debug_of_a_store_or_an_error_shows_a_token() {
        let folder = Folder::new();
        let store = FileStore::new(folder.path()).unwrap();
        let swap = store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let newer = store.compare_and_swap(&key(), 0, &pair(1)).await.unwrap();
        let shown = format!("{store:?} {swap:?} {newer:?}");
        assert!(!shown.contains("acc3ss") && !shown.contains("r3fresh"), "{shown}");
    }
}
