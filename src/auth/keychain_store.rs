//! A token store in the keychain of the operating system, for programs that a person runs on a desktop.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};

use super::file_io::blocking;
use super::lease::Lease;
use super::store::{CompareAndSwap, TokenKey, TokenStore};
use super::token_set::TokenSet;
use super::{file_lock, file_store};
use crate::error::StoreError;

/// A token store in the keychain of the operating system, for a program that a person runs on a desktop. The processes of one
/// user on one machine can share it.
///
/// It uses the default credential store of the crate [`keyring-core`](https://docs.rs/keyring-core), which your program sets
/// once, before it makes a `KeychainStore`: the keychain of macOS, the Credential Manager of Windows, or the Secret Service
/// on Linux. The crate [`keyring`](https://docs.rs/keyring) sets the one of the platform with
/// `keyring::Entry::store_status()`.
///
/// Each [key](TokenKey) is one entry, whose service is the name of the program and whose user is the text of the key. Keychains have
/// no locks, so the store locks files in a folder; these contain no tokens.
///
/// # Limits
///
/// * **Windows** accepts 2,560 bytes per entry. Two long access tokens, such as JWTs with many claims, do not fit; the error
///   says so. Use a [`FileStore`](crate::FileStore) then.
/// * **Linux** has a Secret Service in a desktop session only. On servers, in containers and over SSH every operation fails,
///   and so do locked keychains if no person is there to unlock them. Use a [`FileStore`](crate::FileStore) there.
/// * **macOS** asks the person for permission if another build of the program stored the entry. A client waits 10 s for a
///   store, and calls fail with a retryable [`Error::Store`](crate::Error::Store) until permission is granted.
///
/// # Example
///
/// ```
/// use servicebay::KeychainStore;
///
/// # let home = std::env::temp_dir().join(format!("servicebay-keychain-{}", std::process::id()));
/// # let locks = home.join("locks");
/// # fn platform_store() -> std::sync::Arc<keyring_core::CredentialStore> { keyring_core::mock::Store::new().unwrap() }
/// keyring_core::set_default_store(platform_store()); // or: keyring::Entry::store_status()
/// let store = KeychainStore::with_lock_folder("acme-sync", locks)?;
/// # std::fs::remove_dir_all(home).unwrap();
/// # Ok::<(), servicebay::StoreError>(())
/// ```
#[derive(Clone)]
pub struct KeychainStore {
    service: String,
    locks: PathBuf,
    credentials: Arc<CredentialStore>,
}

impl KeychainStore {
    /// A store for the entries of a program, with locks in the
    /// [default folder](crate::FileStore::in_default_folder) of the program.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if no default credential store is set, if there is no home folder, or if `program` is not the name of a
    /// folder.
    pub fn new(program: &str) -> Result<Self, StoreError> {
        Self::with_lock_folder(program, file_store::default_folder(program)?.join("locks"))
    }

    /// A store for the entries of a program, with locks in this folder. All processes that use the entries must use the
    /// same folder. Creates it if it does not exist, accessible to its owner only.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if no default credential store is set, or if the folder cannot be created or
    /// [other users could change it](crate::FileStore#which-folder).
    pub fn with_lock_folder(program: &str, folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let credentials = keyring_core::get_default_store().ok_or_else(|| store_error(Error::NoDefaultStore))?;
        let locks = folder.into();
        file_store::create_private(&locks)?;
        Ok(Self { service: program.to_owned(), locks, credentials })
    }

    fn lock_file(&self, key: &TokenKey, extension: &str) -> PathBuf {
        self.locks.join(format!("{}.{extension}", key.file_name()))
    }

    /// Runs an operation on the entry of a key while no other user of the store accesses it. Not every keychain supports
    /// concurrent access to one entry.
    async fn with_entry<T: Send + 'static>(
        &self,
        key: &TokenKey,
        operation: impl FnOnce(&Entry) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lock = file_lock::lock(self.lock_file(key, "lock")).await?;
        let (store, key) = (self.clone(), key.clone());
        blocking(move || {
            let _lock = lock;
            let entry = Entry::new_in_store(&store.credentials, &store.service, key.as_str()).map_err(store_error)?;
            operation(&entry)
        })
        .await
    }
}

/// The record of an entry; `None` if there is no entry.
fn read(entry: &Entry) -> Result<Option<TokenSet>, StoreError> {
    match entry.get_secret() {
        // Without the parser's error, which could quote the record and with it a token.
        Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|_| StoreError::new(DAMAGED)),
        Err(Error::NoEntry) => Ok(None),
        Err(error) => Err(store_error(error)),
    }
}

const DAMAGED: &str = "the keychain's entry is damaged, or not of this program; remove it, and log in again";

/// The error of a keychain. Without the original, which can contain the secret.
fn store_error(error: Error) -> StoreError {
    match error {
        Error::NoStorageAccess(cause) => StoreError::new(format!(
            "the keychain cannot be accessed: {cause}; unlock it, or allow this program to use it"
        ))
        .with_source(cause),
        Error::PlatformFailure(cause) => StoreError::new(format!(
            "the keychain failed: {cause}; where there is no desktop session, as on a server, use a `FileStore`"
        ))
        .with_source(cause),
        Error::TooLong(attribute, limit) => StoreError::new(format!(
            "the keychain does not accept so long a {attribute}, which may have {limit} bytes; use a `FileStore`"
        )),
        Error::NoDefaultStore => StoreError::new(
            "no credential store is set; call `keyring_core::set_default_store(..)` with the platform's first",
        ),
        Error::Ambiguous(entries) => StoreError::new(format!(
            "the keychain has {} entries for the same service and user; remove all but one",
            entries.len()
        )),
        Error::BadEncoding(_) | Error::BadDataFormat(..) => StoreError::new(DAMAGED),
        Error::BadStoreFormat(reason) => StoreError::new(format!("the keychain is damaged: {reason}; repair it")),
        Error::Invalid(attribute, reason) => StoreError::new(format!(
            "the keychain does not accept the {attribute}: {reason}; choose another name for the program or the tenant"
        )),
        Error::NotSupportedByStore(reason) => {
            StoreError::new(format!("the credential store is not suitable: {reason}; set the platform's"))
        }
        Error::NoEntry => StoreError::new("another program removed the keychain's entry; try again"),
        _ => StoreError::new("the keychain failed for a reason that this version does not know; update this crate"),
    }
}

impl TokenStore for KeychainStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        self.with_entry(key, read).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let json = serde_json::to_vec(tokens).map_err(|_| StoreError::new("the tokens cannot be written as JSON"))?;
        self.with_entry(key, move |entry| match read(entry)? {
            Some(stored) if stored.revision() != expected => Ok(CompareAndSwap::Conflict(stored)),
            _ => entry.set_secret(&json).map(|()| CompareAndSwap::Stored).map_err(store_error),
        })
        .await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        self.with_entry(key, |entry| match entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(store_error(error)),
        })
        .await
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        Lease::file_lock(self.lock_file(key, "lease")).await
    }
}

/// Without the credential store, whose output is not ours to check.
impl fmt::Debug for KeychainStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeychainStore")
            .field("service", &self.service)
            .field("locks", &self.locks)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use keyring_core::mock;

    use super::*;
    use crate::auth::folder::Folder;

    fn store(folder: &Folder) -> KeychainStore {
        let credentials = mock::Store::new().unwrap();
        KeychainStore { service: "acme-sync".to_owned(), locks: folder.path().to_owned(), credentials }
    }

    fn key() -> TokenKey {
        TokenKey::new("fentu/acme")
    }

    fn entry(store: &KeychainStore) -> Entry {
        Entry::new_in_store(&store.credentials, "acme-sync", "fentu/acme").unwrap()
    }

    #[tokio::test]
    async fn a_record_is_an_entry_of_the_program_with_the_key_as_its_user() {
        let folder = Folder::new();
        let store = store(&folder);
        let tokens = TokenSet::new("acc3ss").with_new_revision();
        store.compare_and_swap(&key(), 0, &tokens).await.unwrap();
        let stored: TokenSet = serde_json::from_slice(&entry(&store).get_secret().unwrap()).unwrap();
        assert_eq!(stored.revision(), tokens.revision());
        store.remove(&key()).await.unwrap();
        assert!(matches!(entry(&store).get_secret(), Err(Error::NoEntry)));
    }

    #[tokio::test]
    async fn a_damaged_entry_is_an_error_that_keeps_it_and_does_not_quote_it() {
        let folder = Folder::new();
        let store = store(&folder);
        for damaged in ["acc3ss", "{\"access_token\": \"acc3ss\"", "{\"access_token\": \"acc3ss\"}", "\"acc3ss\""] {
            entry(&store).set_secret(damaged.as_bytes()).unwrap();
            let errors = [
                store.load(&key()).await.unwrap_err(),
                store.compare_and_swap(&key(), 0, &TokenSet::new("acc3ss")).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.reason(), DAMAGED);
                assert!(error.source().is_none());
            }
            assert_eq!(entry(&store).get_secret().unwrap(), damaged.as_bytes());
        }
    }

    #[tokio::test]
    async fn an_error_of_the_keychain_says_what_to_do_and_contains_no_secret() {
        let folder = Folder::new();
        let store = store(&folder);
        let tokens = TokenSet::new("acc3ss");
        store.compare_and_swap(&key(), 0, &tokens).await.unwrap();
        let secret = || b"acc3ss".to_vec();
        let cause = || Box::new(std::io::Error::other("it is locked"));
        for (error, expected) in [
            (Error::NoStorageAccess(cause()), "cannot be accessed: it is locked; unlock it, or allow this program"),
            (
                Error::PlatformFailure(cause()),
                "failed: it is locked; where there is no desktop session, as on a server",
            ),
            (
                Error::TooLong("secret".to_owned(), 2560),
                "so long a secret, which may have 2560 bytes; use a `FileStore`",
            ),
            (Error::NoDefaultStore, "call `keyring_core::set_default_store(..)`"),
            (Error::Ambiguous(vec![entry(&store), entry(&store)]), "has 2 entries for the same service and user"),
            (Error::BadEncoding(secret()), DAMAGED),
            (Error::BadDataFormat(secret(), cause()), DAMAGED),
            (Error::BadStoreFormat("no header".to_owned()), "the keychain is damaged: no header"),
            (Error::Invalid("user".to_owned(), "too odd".to_owned()), "does not accept the user: too odd"),
            (Error::NotSupportedByStore("read only".to_owned()), "not suitable: read only"),
        ] {
            let mock = entry(&store);
            let mock: &mock::Cred = mock.as_any().downcast_ref().unwrap();
            mock.set_error(error);
            let error = store.load(&key()).await.unwrap_err();
            assert!(error.reason().contains(expected), "{error}");
            let shown = format!("{error} {error:?} {:?}", error.source());
            assert!(!shown.contains("acc3ss") && !shown.contains("[97, 99"), "{shown}");
            assert!(store.load(&key()).await.unwrap().is_some(), "the next operation works");
        }
    }

    #[tokio::test]
    async fn an_error_while_writing_or_removing_leaves_the_record() {
        let folder = Folder::new();
        let store = store(&folder);
        store.compare_and_swap(&key(), 0, &TokenSet::new("acc3ss")).await.unwrap();
        let fail = || {
            let mock = entry(&store);
            let mock: &mock::Cred = mock.as_any().downcast_ref().unwrap();
            mock.set_error(Error::NoStorageAccess(Box::new(std::io::Error::other("it is locked"))));
        };
        fail();
        assert!(store.compare_and_swap(&key(), 0, &TokenSet::new("next")).await.is_err());
        fail();
        assert!(store.remove(&key()).await.is_err());
        assert!(store.load(&key()).await.unwrap().is_some());
    }

    #[test]
    fn no_debug_output_shows_an_entry() {
        let folder = Folder::new();
        let store = store(&folder);
        entry(&store).set_secret(b"acc3ss").unwrap();
        let shown = format!("{store:?}");
        assert!(shown.starts_with("KeychainStore { service: \"acme-sync\"") && !shown.contains("acc3ss"), "{shown}");
    }
}
