//! A body of several parts, as browsers send forms with files (RFC 7578).

use std::fmt;
use std::io;
use std::path::Path;

use bytes::{BufMut, Bytes, BytesMut};

use crate::transport::{FilePiece, Piece, RequestBody};

/// A body of several parts (`multipart/form-data`): fields, and files with a name and a media type.
///
/// Parts are sent in the order in which they were added. `Debug` shows their number and size alone.
///
/// # Example
///
/// ```
/// use servicebay::Multipart;
///
/// let form = Multipart::new()
///     .text("title", "Before the repair")
///     .file("file", "front.jpg", "image/jpeg", vec![0xff, 0xd8]);
/// assert_eq!(form.len(), 2);
/// ```
#[derive(Clone, Default)]
#[must_use = "a form does nothing until it is passed to `multipart`"]
pub struct Multipart {
    /// The head of each part, and its content.
    parts: Vec<(String, Piece)>,
    /// Why the first file that cannot be read cannot.
    error: Option<String>,
}

impl Multipart {
    /// A form without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub fn text(mut self, name: impl AsRef<str>, value: impl Into<String>) -> Self {
        let head = format!("Content-Disposition: form-data; name=\"{}\"\r\n", escape(name.as_ref()));
        self.parts.push((head, Piece::Bytes(value.into().into())));
        self
    }

    /// Adds a file whose content is in memory: the name of its field, its own name, its media type such as `image/jpeg`, and its
    /// content.
    ///
    /// What cannot be part of a media type is left out of `content_type`; an empty one becomes `application/octet-stream`.
    pub fn file(
        mut self,
        name: impl AsRef<str>,
        file_name: impl AsRef<str>,
        content_type: impl AsRef<str>,
        content: impl Into<Bytes>,
    ) -> Self {
        let head = file_head(name.as_ref(), file_name.as_ref(), content_type.as_ref());
        self.parts.push((head, Piece::Bytes(content.into())));
        self
    }

    /// Adds a file of this machine: the name of its field, its path, and its media type. It is read chunk by chunk while it is
    /// sent, by each attempt anew. Its length is looked up now. If it cannot be read, sending fails with
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest).
    pub fn file_at(mut self, name: impl AsRef<str>, path: impl AsRef<Path>, content_type: impl AsRef<str>) -> Self {
        let path = path.as_ref();
        match FilePiece::find(path) {
            Ok(file) => {
                let file_name = path.file_name().unwrap_or_default().to_string_lossy();
                self.parts.push((file_head(name.as_ref(), &file_name, content_type.as_ref()), Piece::File(file)));
            }
            Err(error) => _ = self.error.get_or_insert_with(|| unreadable(path, &error)),
        }
        self
    }

    /// The number of parts.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is no part.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The media type with its boundary, and the body.
    pub(crate) fn into_body(self) -> Result<(String, RequestBody), String> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let boundary = self.boundary(|| fastrand::u128(..));
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let size: usize =
            self.parts.iter().map(|(head, content)| head.len() + content.as_bytes().map_or(0, Bytes::len) + 48).sum();
        let (mut pieces, mut text) = (Vec::new(), BytesMut::with_capacity(size + 64));
        for (head, content) in self.parts {
            for part in [b"--", boundary.as_bytes(), b"\r\n", head.as_bytes(), b"\r\n"] {
                text.put_slice(part);
            }
            match content {
                Piece::Bytes(bytes) => text.put_slice(&bytes),
                Piece::File(file) => pieces.extend([Piece::Bytes(text.split().freeze()), Piece::File(file)]),
            }
            text.put_slice(b"\r\n");
        }
        for part in [b"--", boundary.as_bytes(), b"--\r\n"] {
            text.put_slice(part);
        }
        if pieces.is_empty() {
            return Ok((content_type, text.freeze().into()));
        }
        pieces.push(Piece::Bytes(text.freeze()));
        Ok((content_type, RequestBody::Pieces(pieces.into())))
    }

    /// A boundary that occurs in no part. The content of files is not searched: 128 random bits do not occur in it.
    fn boundary(&self, mut random: impl FnMut() -> u128) -> String {
        loop {
            let boundary = format!("servicebay-{:032x}", random());
            let occurs = |text: &[u8]| text.windows(boundary.len()).any(|window| window == boundary.as_bytes());
            let is_in = |content: &Piece| content.as_bytes().is_some_and(|bytes| occurs(bytes));
            if !self.parts.iter().any(|(head, content)| occurs(head.as_bytes()) || is_in(content)) {
                return boundary;
            }
        }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.parts.iter().map(|(_, content)| content)).finish()
    }
}

/// Why a file cannot be sent.
pub(crate) fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("cannot be read from {}: {error}", path.display())
}

/// The head of a part that is a file.
fn file_head(name: &str, file_name: &str, content_type: &str) -> String {
    let (name, file_name) = (escape(name), escape(file_name));
    let content_type: String = content_type.chars().filter(|c| matches!(c, ' '..='~')).collect();
    let content_type = match content_type.trim() {
        "" => "application/octet-stream",
        content_type => content_type,
    };
    format!(
        "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\nContent-Type: {content_type}\r\n"
    )
}

/// Escapes what would end a name, as browsers do.
fn escape(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_written_between_boundaries_in_their_order() {
        let form =
            Multipart::new().text("title", "Größe").file("file", "a\"b\r\n.jpg", " image/jpeg\r\nX: 1", vec![0, 255]);
        let (content_type, body) = form.into_body().unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        let mut expected = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nGröße\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"a%22b%0D%0A.jpg\"\r\nContent-Type: image/jpegX: 1\r\n\r\n"
        )
        .into_bytes();
        expected.extend([0, 255]);
        expected.extend(format!("\r\n--{boundary}--\r\n").bytes());
        assert_eq!(body.as_bytes().unwrap(), &expected);
    }

    #[test]
    fn a_boundary_occurs_in_no_part() {
        let taken = format!("servicebay-{:032x}", 1);
        let form = Multipart::new().text("a", format!("--{taken}--")).text(format!("servicebay-{:032x}", 2), "b");
        let mut numbers = 1..;
        assert_eq!(form.boundary(|| numbers.next().unwrap()), format!("servicebay-{:032x}", 3));
    }

    #[test]
    fn a_form_without_parts_is_a_body_too_and_a_type_is_never_empty() {
        let (content_type, body) = Multipart::new().into_body().unwrap();
        let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(body.as_bytes().unwrap(), &format!("--{boundary}--\r\n"));
        let form = Multipart::new().file("f", "n", "\n", "secret");
        assert!(form.parts[0].0.ends_with("Content-Type: application/octet-stream\r\n"));
        assert_eq!((format!("{form:?}"), form.len(), form.is_empty()), ("[6 bytes]".to_owned(), 1, false));
    }
}
