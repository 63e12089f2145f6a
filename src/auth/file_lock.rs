//! An exclusive lock on a file, among the processes of one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fs4::TryLockError;
use tokio::sync::OwnedMutexGuard;

use super::file_io::{blocking, failed, private};
use crate::error::StoreError;

/// How often a lock that another process holds is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// Takes a lock of the operating system on an open file, without waiting.
pub(super) type TryLock = fn(&File) -> Result<(), TryLockError>;

/// The lock of the operating system. On Unix it is `flock`, which belongs to the open file and not to the process.
pub(super) const SYSTEM: TryLock = fs4::FileExt::try_lock;

type LocalMutex = tokio::sync::Mutex<()>;

/// The locks within this process.
static MUTEXES: Mutex<BTreeMap<PathBuf, Weak<LocalMutex>>> = Mutex::new(BTreeMap::new());

/// A file under an exclusive lock, which ends when this is dropped, and with the process.
#[derive(Debug)]
pub(super) struct FileLock {
    // Before the local lock, so that the file is unlocked when the next user in this process tries.
    file: File,
    _local: OwnedMutexGuard<()>,
    path: PathBuf,
    excludes_processes: bool,
}

impl FileLock {
    /// Whether the locked file is still the one at its path. If it was removed, another process may have created and locked
    /// a new one.
    pub(super) fn is_current(&self) -> bool {
        is_at(&self.file, &self.path)
    }

    /// Whether the lock excludes other processes, and not only the other users in this one.
    pub(super) fn excludes_processes(&self) -> bool {
        self.excludes_processes
    }
}

/// Waits for the lock on a file, and creates the file if it does not exist.
pub(super) async fn lock(path: PathBuf) -> Result<FileLock, StoreError> {
    lock_with(path, SYSTEM).await
}

/// As [`lock`], with another way to lock.
///
/// The lock is tried again and again. A thread that waits inside the operating system could not be stopped, and the end of
/// the program would wait for it.
pub(super) async fn lock_with(path: PathBuf, try_lock: TryLock) -> Result<FileLock, StoreError> {
    let local = {
        let path = path.clone();
        blocking(move || Ok(local_mutex(canonical(&path)))).await?
    };
    let local = local.lock_owned().await;
    loop {
        let file = {
            let path = path.clone();
            blocking(move || {
                open_private(&path).map_err(|error| failed("the lock file cannot be opened", &path, error))
            })
            .await?
        };
        let excludes_processes = loop {
            match try_lock(&file) {
                Ok(()) => break true,
                Err(TryLockError::WouldBlock) => tokio::time::sleep(TRY_AGAIN).await,
                Err(TryLockError::Error(error)) if is_unsupported(&error) => {
                    report_unsupported(&path, &error);
                    break false;
                }
                Err(TryLockError::Error(error)) => {
                    return Err(failed("the lock file cannot be locked", &path, error));
                }
            }
        };
        // The file may have been removed after it was opened, and then the lock excludes no other process.
        if is_at(&file, &path) {
            return Ok(FileLock { file, _local: local, path, excludes_processes });
        }
        // Some file systems never agree on what a file is; then the caller's timeout ends this.
        drop(file);
        tokio::time::sleep(TRY_AGAIN).await;
    }
}

/// Opens a file that only its owner can read, and creates it if it does not exist.
fn open_private(path: &Path) -> io::Result<File> {
    private().create(true).truncate(false).open(path)
}

/// The same path for every spelling of it.
fn canonical(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}

/// The lock within this process, which also excludes on file systems without locks.
fn local_mutex(path: PathBuf) -> Arc<LocalMutex> {
    let mut mutexes = MUTEXES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(mutex) = mutexes.get(&path).and_then(Weak::upgrade) {
        return mutex;
    }
    mutexes.retain(|_, mutex| mutex.strong_count() > 0);
    let mutex = Arc::default();
    mutexes.insert(path, Arc::downgrade(&mutex));
    mutex
}

/// Whether an open file is the one at this path.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        match (file.metadata(), fs::metadata(path)) {
            (Ok(open), Ok(there)) => (open.dev(), open.ino()) == (there.dev(), there.ino()),
            _ => false,
        }
    }
    // Without the number of a file, only its absence is known.
    #[cfg(not(unix))]
    {
        file.metadata().is_ok() && path.exists()
    }
}

/// Whether the file system has no locks at all.
fn is_unsupported(error: &io::Error) -> bool {
    // Network file systems without a lock service report this one, which has no kind of its own.
    #[cfg(unix)]
    let has_no_service = error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error());
    #[cfg(not(unix))]
    let has_no_service = false;
    error.kind() == io::ErrorKind::Unsupported || has_no_service
}

/// Warns once for each folder.
fn report_unsupported(path: &Path, error: &io::Error) {
    static REPORTED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let folder = path.parent().unwrap_or(path);
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned()) {
        tracing::warn!(
            name: "servicebay.no_file_locks",
            folder = %folder.display(),
            %error,
            "the file system has no locks: tokens are stored, but let only one process use this folder"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::auth::folder::Folder;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_lock_file_that_is_removed_before_it_is_locked_is_opened_again() {
        let folder = Folder::new();
        let path = folder.path().join("a.lock");
        // Its holder and a waiter have the same file open when it is removed.
        let held = lock_with(path.clone(), SYSTEM).await.unwrap();
        let waiter = File::open(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!held.is_current());
        drop(held);
        let next = lock_with(path.clone(), SYSTEM).await.unwrap();
        assert!(next.is_current());
        assert!(!is_at(&waiter, &path), "the waiter must open the new file");

        static REMOVED: AtomicU32 = AtomicU32::new(0);
        static PATH: Mutex<Option<PathBuf>> = Mutex::new(None);
        drop(next);
        *PATH.lock().unwrap() = Some(path.clone());
        let lock_after_removal: TryLock = |file| {
            if REMOVED.fetch_add(1, Ordering::SeqCst) < 3 {
                fs::remove_file(PATH.lock().unwrap().as_ref().unwrap()).unwrap();
            }
            SYSTEM(file)
        };
        let lock = lock_with(path.clone(), lock_after_removal).await.unwrap();
        assert!(lock.is_current());
        assert_eq!(REMOVED.load(Ordering::SeqCst), 4, "three files were removed, and the fourth is locked");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_lock_is_lost_when_its_file_is_removed_or_replaced() {
        let folder = Folder::new();
        let path = folder.path().join("a.lock");
        let lock = lock_with(path.clone(), SYSTEM).await.unwrap();
        assert!(lock.is_current() && lock.excludes_processes());
        fs::remove_file(&path).unwrap();
        assert!(!lock.is_current());
        File::create(&path).unwrap();
        assert!(!lock.is_current());
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_system_without_locks_still_excludes_within_the_process_and_by_any_spelling_of_the_path() {
        let folder = Folder::new();
        let errors: [TryLock; 2] = [
            |_| Err(TryLockError::Error(io::ErrorKind::Unsupported.into())),
            #[cfg(unix)]
            |_| Err(TryLockError::Error(rustix::io::Errno::NOLCK.into())),
            #[cfg(not(unix))]
            |_| Err(TryLockError::Error(io::ErrorKind::Unsupported.into())),
        ];
        for (number, none) in errors.into_iter().enumerate() {
            fs::create_dir(folder.path().join(number.to_string())).unwrap();
            let path = folder.path().join(format!("{number}/a.lock"));
            let same = folder.path().join(format!("{number}/../{number}/./a.lock"));
            let held = lock_with(path.clone(), none).await.unwrap();
            assert!(!held.excludes_processes());
            assert!(tokio::time::timeout(MINUTE, lock_with(path.clone(), none)).await.is_err());
            assert!(tokio::time::timeout(MINUTE, lock_with(same.clone(), none)).await.is_err());
            assert!(tokio::time::timeout(MINUTE, lock_with(path.with_extension("lease"), none)).await.is_ok());
            drop(held);
            assert!(lock_with(same, none).await.unwrap().is_current());
        }
    }

    #[tokio::test]
    async fn another_error_of_a_lock_names_the_file() {
        let folder = Folder::new();
        let path = folder.path().join("a.lock");
        let broken: TryLock = |_| Err(TryLockError::Error(io::Error::other("the device is gone")));
        let error = lock_with(path.clone(), broken).await.unwrap_err();
        let expected = format!("the lock file cannot be locked: {}: the device is gone", path.display());
        assert_eq!(error.reason(), expected);
    }

    #[tokio::test]
    async fn locks_that_ended_are_forgotten() {
        let folder = Folder::new();
        for number in 0..10 {
            drop(lock_with(folder.path().join(number.to_string()), SYSTEM).await.unwrap());
        }
        let path = canonical(&folder.path().join("0"));
        let (first, second) = (local_mutex(path.clone()), local_mutex(path.clone()));
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        let _next = local_mutex(canonical(&folder.path().join("next")));
        let mutexes = MUTEXES.lock().unwrap();
        let known = mutexes.keys().filter(|known| known.parent() == path.parent());
        assert_eq!(known.filter_map(|known| known.file_name()).collect::<Vec<_>>(), ["next"]);
    }

    #[tokio::test]
    async fn a_file_system_without_locks_is_reported_once_for_each_folder() {
        #[derive(Clone, Default)]
        struct Output(Arc<Mutex<Vec<u8>>>);

        impl io::Write for Output {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let output = Output::default();
        let writer = output.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _subscriber = tracing::subscriber::set_default(subscriber);
        // With a single subscriber, `tracing` caches whether an event is enabled as seen by the first thread that emits it,
        // which may belong to another test. A second subscriber makes it ask again.
        let _second = tracing::Dispatch::new(tracing_subscriber::registry());
        let none: TryLock = |_| Err(TryLockError::Error(io::ErrorKind::Unsupported.into()));
        let (one, other) = (Folder::new(), Folder::new());
        for folder in [&one, &other, &one] {
            for name in ["a.lock", "a.lease", "b.lock"] {
                drop(lock_with(folder.path().join(name), none).await.unwrap());
            }
        }
        let text = String::from_utf8(output.0.lock().unwrap().clone()).unwrap();
        for folder in [&one, &other] {
            let lines = text.lines().filter(|line| line.contains(&folder.path().display().to_string()));
            let lines: Vec<_> = lines.collect();
            assert_eq!(lines.len(), 1, "{text}");
            assert!(lines[0].contains("WARN") && lines[0].contains("let only one process use this folder"), "{text}");
        }
    }
}
