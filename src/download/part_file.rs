//! A file that appears when it is complete.

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// The content of a file until it is complete, in another file of the same folder. That one is removed if it is not finished.
#[derive(Debug)]
pub(super) struct PartFile {
    file: Option<File>,
    part: PathBuf,
    target: PathBuf,
}

impl PartFile {
    pub(super) async fn create(target: &Path) -> io::Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
        };
        if fs::metadata(target).await.is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "what is there is no regular file"));
        }
        // Through a link, to the file that it names.
        let target = &fs::canonicalize(target).await.unwrap_or_else(|_| target.to_owned());
        let part = target.with_file_name(format!(".{}.{:016x}.part", name.to_string_lossy(), fastrand::u64(..)));
        // In one step, because a caller that goes away in between would leave the file behind.
        let file = File::from_std(std::fs::File::create_new(&part)?);
        Ok(Self { file: Some(file), part, target: target.to_owned() })
    }

    pub(super) async fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(chunk).await,
            None => Ok(()),
        }
    }

    /// Gives the file its name, once its content is on the disk.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.flush().await?;
            file.sync_all().await?;
        }
        fs::rename(&self.part, &self.target).await?;
        self.file = None;
        Ok(())
    }
}

impl Drop for PartFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing can be done if it cannot be removed.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}
