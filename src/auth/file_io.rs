//! Work on files that blocks, and its errors.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// Runs blocking work on a thread for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::new("the runtime ended during the operation").with_source(error)),
    }
}

/// The error of an operation on a file, with what to do about it if that is known.
#[cold]
pub(super) fn failed(what: &str, path: &Path, error: io::Error) -> StoreError {
    use io::ErrorKind as Kind;
    let remedy = match error.kind() {
        Kind::FileTooLarge | Kind::QuotaExceeded | Kind::StorageFull => "; free some space",
        Kind::IsADirectory => "; move it away",
        Kind::NotADirectory | Kind::NotFound => "; give the store a folder that exists and stays",
        Kind::PermissionDenied => {
            "; allow this program's user to read and write there, or give the store another folder"
        }
        Kind::ReadOnlyFilesystem => "; mount the file system writable, or give the store another folder",
        _ => "",
    };
    StoreError::new(format!("{what}: {}: {error}{remedy}", path.display())).with_source(error)
}

/// Options for a file that only its owner can read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_do() {
        use io::ErrorKind as Kind;
        for (kind, remedy) in [
            (Kind::StorageFull, "free some space"),
            (Kind::QuotaExceeded, "free some space"),
            (Kind::ReadOnlyFilesystem, "give the store another folder"),
            (Kind::PermissionDenied, "give the store another folder"),
            (Kind::NotFound, "give the store a folder that exists and stays"),
            (Kind::IsADirectory, "move it away"),
        ] {
            let error = failed("the tokens cannot be written", Path::new("/var/tokens"), kind.into());
            assert!(error.reason().starts_with("the tokens cannot be written: /var/tokens: "), "{error}");
            assert!(error.reason().ends_with(remedy), "{error}");
        }
    }
}
