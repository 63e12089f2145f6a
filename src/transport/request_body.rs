//! The body of a call, of which each attempt sends a copy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use futures_util::stream;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::body::Body;
use crate::error::BoxError;

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// The body of a call.
#[derive(Clone)]
pub(crate) enum RequestBody {
    Bytes(Bytes),
    /// Pieces that follow each other, with files among them. Each attempt reads the files anew.
    Pieces(Arc<[Piece]>),
    /// A stream, which only one attempt can send.
    Stream(Arc<OneTimeBody>),
}

/// A piece of a body. `Debug` shows its length alone.
#[derive(Clone)]
pub(crate) enum Piece {
    Bytes(Bytes),
    File(FilePiece),
}

/// A file that is sent.
#[derive(Clone)]
pub(crate) struct FilePiece {
    path: PathBuf,
    length: u64,
}

impl RequestBody {
    pub(crate) fn stream(body: Body) -> Self {
        let length = body.length();
        Self::Stream(Arc::new(OneTimeBody { body: Mutex::new(Some(body)), length }))
    }

    pub(crate) fn file(file: FilePiece) -> Self {
        Self::Pieces(Arc::new([Piece::File(file)]))
    }

    /// The content, if all of it is in memory.
    pub(crate) fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Pieces(_) | Self::Stream(_) => None,
        }
    }

    /// The file that is the whole body, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Pieces(pieces) => match &**pieces {
                [Piece::File(file)] => Some(&file.path),
                _ => None,
            },
            Self::Bytes(_) | Self::Stream(_) => None,
        }
    }

    /// The length in bytes, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::Pieces(pieces) => Some(pieces.iter().map(Piece::length).sum()),
            Self::Stream(stream) => stream.length,
        }
    }

    /// Whether an attempt can send the whole body: a stream is gone once a connection has begun to read it.
    pub(crate) fn can_be_sent(&self) -> bool {
        match self {
            Self::Bytes(_) | Self::Pieces(_) => true,
            Self::Stream(stream) => stream.body().is_some(),
        }
    }

    /// Why the files of the body cannot be sent, if they cannot.
    pub(crate) async fn problem(&self) -> Option<String> {
        let Self::Pieces(pieces) = self else { return None };
        for piece in pieces.iter() {
            let Piece::File(file) = piece else { continue };
            let path = file.path.display();
            match tokio::fs::metadata(&file.path).await {
                Ok(metadata) if metadata.len() == file.length => {}
                Ok(_) => return Some(format!("{path} has another length than when it was chosen: choose it again")),
                Err(error) => return Some(format!("{path} cannot be read: {error}")),
            }
        }
        None
    }

    /// The body of one attempt.
    pub(super) fn open(&self) -> Body {
        match self {
            Self::Bytes(bytes) => bytes.clone().into(),
            Self::Pieces(pieces) => Body::from_stream(read(Arc::clone(pieces)), self.length()),
            Self::Stream(stream) => Body::wrap(OneTimeAttempt { source: Arc::clone(stream), taken: None }),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "{length} bytes"),
            None => f.write_str("a stream"),
        }
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl Piece {
    /// The content, if it is in memory.
    pub(crate) fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }

    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(file) => file.length,
        }
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.as_bytes().is_some() { "" } else { "file of " };
        write!(f, "{kind}{} bytes", self.length())
    }
}

impl FilePiece {
    /// Looks up the file and its length.
    pub(crate) fn find(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
        }
        Ok(Self { path: path.to_owned(), length: metadata.len() })
    }

    async fn open(&self) -> io::Result<File> {
        let file = File::open(&self.path).await?;
        if file.metadata().await?.len() == self.length { Ok(file) } else { Err(self.changed()) }
    }

    fn changed(&self) -> io::Error {
        io::Error::other(format!("{} changed while it was being sent", self.path.display()))
    }
}

/// Where the reading of pieces stands.
struct Reading {
    pieces: Arc<[Piece]>,
    next: usize,
    file: Option<OpenFile>,
}

struct OpenFile {
    file: File,
    piece: FilePiece,
    left: u64,
}

/// Reads all pieces.
fn read(pieces: Arc<[Piece]>) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(Reading { pieces, next: 0, file: None }, async |mut reading| {
        let chunk = reading.next_chunk().await?;
        Ok(chunk.map(|chunk| (chunk, reading)))
    })
}

impl Reading {
    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(OpenFile { file, piece, left }) = &mut self.file
                && *left > 0
            {
                let mut chunk = BytesMut::with_capacity(CHUNK.min(usize::try_from(*left).unwrap_or(CHUNK)));
                let read = file.take(*left).read_buf(&mut chunk).await? as u64;
                if read == 0 {
                    return Err(piece.changed());
                }
                *left -= read;
                return Ok(Some(chunk.freeze()));
            }
            self.file = None;
            let Some(piece) = self.pieces.get(self.next) else { return Ok(None) };
            self.next += 1;
            match piece {
                Piece::Bytes(bytes) => return Ok(Some(bytes.clone())),
                Piece::File(piece) => {
                    self.file = Some(OpenFile { file: piece.open().await?, piece: piece.clone(), left: piece.length });
                }
            }
        }
    }
}

/// A body that one attempt can send. It stays here until a connection asks that attempt for its content.
pub(crate) struct OneTimeBody {
    body: Mutex<Option<Body>>,
    length: Option<u64>,
}

impl OneTimeBody {
    fn body(&self) -> MutexGuard<'_, Option<Body>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an attempt, which takes its content from the call when it is first asked for it.
struct OneTimeAttempt {
    source: Arc<OneTimeBody>,
    taken: Option<Body>,
}

impl HttpBody for OneTimeAttempt {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.taken.is_none() {
            let taken = self.source.body().take();
            self.taken = taken;
        }
        match &mut self.taken {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(Some(Err("the stream has been sent before".into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.taken, self.source.length) {
            (Some(body), _) => HttpBody::size_hint(body),
            (None, Some(length)) => SizeHint::with_exact(length),
            (None, None) => SizeHint::new(),
        }
    }
}
