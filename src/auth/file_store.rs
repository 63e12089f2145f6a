//! Tokens in files: they outlive the process, and processes on one machine share them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs4::TryLockError;
use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::store::{Lease, StoreError, Swap, TokenKey, TokenStore};
use super::tokens::TokenSet;

/// How often a lease that somebody else holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// The longest name of a file before its ending; the longest that file systems take is 255 bytes.
const LONGEST_NAME: usize = 180;
/// What a file of this store says it is.
const FORMAT: u32 = 1;

/// A store of one file for each pair, in a folder of its own.
///
/// Files can be read by their owner alone (0600 on Unix). A pair is written beside the old one, brought to the disk, and
/// only then put in its place, so that a crash at any moment leaves a whole pair; a pair that was written and not yet
/// put in place is found at the next start. An operating system's lock makes sure that of all processes on the machine
/// one renews at a time; it ends with its process.
///
/// A file that is damaged or not this store's is never overwritten: the error names it.
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

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Stored {
    servicebay: u32,
    key: String,
    tokens: TokenSet,
}

impl FileStore {
    /// A store in this folder, which is made if need be, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`StoreError`] where the folder cannot be made.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&folder).map_err(|error| failed("the folder cannot be made", &folder, error))?;
        Ok(Self { folder })
    }

    /// The file of a key. Every character that could mean something to a file system is written in hex, so that no key
    /// leads out of the folder.
    fn file(&self, key: &TokenKey, ending: &str) -> PathBuf {
        let mut name = String::new();
        for byte in key.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => name.push(byte.into()),
                _ => name.push_str(&format!("_{byte:02x}")),
            }
        }
        if name.len() > LONGEST_NAME {
            name.truncate(LONGEST_NAME);
            name.push_str(&format!("_{:016x}", fingerprint(key.as_str())));
        }
        self.folder.join(format!("{name}.{ending}"))
    }

    /// The newest whole pair of a key: usually that in place, or one that a crash kept from getting there.
    fn read(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        let in_place = read(&self.file(key, "json"), key)?;
        // A file beside it that is not whole was never finished, and says nothing.
        let beside = read(&self.file(key, "new"), key).ok().flatten();
        Ok(match (in_place, beside) {
            (Some(in_place), Some(beside)) if beside.generation() > in_place.generation() => Some(beside),
            (None, Some(beside)) => Some(beside),
            (in_place, _) => in_place,
        })
    }

    fn locked(&self, key: &TokenKey) -> Result<File, StoreError> {
        let lock = self.file(key, "lock");
        let file = open_private(&lock).map_err(|error| failed("the lock cannot be opened", &lock, error))?;
        fs4::FileExt::lock(&file).map_err(|error| failed("the lock cannot be taken", &lock, error))?;
        Ok(file)
    }

    fn remove_both(&self, key: &TokenKey) -> Result<(), StoreError> {
        let _lock = self.locked(key)?;
        for ending in ["new", "json"] {
            let path = self.file(key, ending);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("the tokens cannot be removed", &path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn swap(&self, key: &TokenKey, expected: u64, tokens: &TokenSet) -> Result<Swap, StoreError> {
        let _lock = self.locked(key)?;
        match self.read(key)? {
            Some(stored) if stored.generation() != expected => return Ok(Swap::Newer(stored)),
            _ => {}
        }
        self.write(key, tokens)?;
        Ok(Swap::Stored)
    }

    fn write(&self, key: &TokenKey, tokens: &TokenSet) -> Result<(), StoreError> {
        let (new, place) = (self.file(key, "new"), self.file(key, "json"));
        let stored = Stored { servicebay: FORMAT, key: key.as_str().to_owned(), tokens: tokens.clone() };
        let text = serde_json::to_vec_pretty(&stored)
            .map_err(|error| StoreError::new("the tokens cannot be written as JSON").with_source(error))?;
        let written = open_private(&new).and_then(|mut file| {
            for_its_owner_alone(&file)?;
            file.set_len(0)?;
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(|error| failed("the tokens cannot be written", &new, error))?;
        fs::rename(&new, &place).map_err(|error| failed("the tokens cannot be put in place", &place, error))?;
        // The name is on the disk when its folder is. Not every system lets a folder be opened for that.
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl TokenStore for FileStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(blocking(move || store.read(&key)))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<Swap, StoreError>> {
        let (store, key, tokens) = (self.clone(), key.clone(), tokens.clone());
        Box::pin(blocking(move || store.swap(&key, expected, &tokens)))
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        let (store, key) = (self.clone(), key.clone());
        Box::pin(blocking(move || store.remove_both(&key)))
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let path = self.file(key, "lease");
        Box::pin(async move {
            let file = open_private(&path).map_err(|error| failed("the lease cannot be opened", &path, error))?;
            loop {
                // Spelled out, for newer toolchains have a method of their own by this name.
                match fs4::FileExt::try_lock(&file) {
                    Ok(()) => return Ok(Lease::new(file)),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(ASK_AGAIN).await,
                    Err(TryLockError::Error(error)) => return Err(failed("the lease cannot be taken", &path, error)),
                }
            }
        })
    }
}

/// Reads one file; `None` where there is none.
fn read(path: &Path, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("the tokens cannot be read", path, error)),
    };
    // The parser's error could quote the file, and with it a token.
    let stored: Stored = serde_json::from_slice(&text).map_err(|_| {
        StoreError::new(format!("{} is damaged, or not a file of this store; move it away", path.display()))
    })?;
    if stored.servicebay != FORMAT {
        return Err(StoreError::new(format!("{} was written by another version of this crate", path.display())));
    }
    if stored.key != key.as_str() {
        return Err(StoreError::new(format!("{} holds the tokens of somebody else; move it away", path.display())));
    }
    Ok(Some(stored.tokens))
}

/// Opens a file for writing that only its owner can read.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Takes everybody else's rights away, should the file have been there before.
fn for_its_owner_alone(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Tells long keys apart that begin alike (FNV-1a). The file names its key, so that a chance match is found out.
fn fingerprint(key: &str) -> u64 {
    key.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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

#[cold]
fn failed(what: &str, path: &Path, error: io::Error) -> StoreError {
    StoreError::new(format!("{what}: {}: {error}", path.display())).with_source(error)
}
