//! How a download is resumed: what names the version of the file, and which response continues it.

use http::header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{Method, StatusCode};

use super::{announced, encoding};
use crate::request::Request;
use crate::response::Response;

/// What names the version of a file: a strong `ETag`, or else `Last-Modified`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Resumption {
    version: String,
}

impl Resumption {
    /// How to resume a download that began with this response; `None` if it cannot be.
    pub(super) fn of(request: &Request, response: &Response<()>) -> Option<Self> {
        // A caller that asks for a part gets that part.
        let is_whole = response.status() == StatusCode::OK && !request.has_header(&RANGE);
        (is_whole && *request.method() == Method::GET).then(|| version(response.headers())).flatten()
    }

    /// The request for the rest of the file.
    pub(super) fn request(&self, request: &Request, received: u64) -> Request {
        let mut request = request.again();
        if received > 0 {
            let options = request.client.options_mut();
            options.set_header(RANGE.as_str(), &format!("bytes={received}-"));
            options.set_header(IF_RANGE.as_str(), &self.version);
        }
        request
    }

    /// Whether a part of a file comes from another version. A part repeats the `ETag` of the whole, and may leave out
    /// `Last-Modified` (RFC 9110, section 15.3.7).
    fn is_contradicted(&self, headers: &HeaderMap) -> bool {
        let is_etag = self.version.starts_with('"');
        let sent = headers.get(if is_etag { ETAG } else { LAST_MODIFIED });
        sent.map_or(is_etag, |sent| sent.as_bytes() != self.version.as_bytes())
    }

    /// How many bytes of this response were received before, if it continues the download; or why it does not.
    pub(super) fn accept(
        &self,
        response: &Response<()>,
        received: u64,
        length: Option<u64>,
    ) -> Result<u64, &'static str> {
        let headers = response.headers();
        if encoding(headers).is_some() {
            return Err("the rest of the file is compressed, which its beginning was not: start again");
        }
        match response.status() {
            StatusCode::PARTIAL_CONTENT if !self.is_contradicted(headers) => {
                let range = headers.get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                match range.and_then(content_range) {
                    Some((first, total)) if first == received && is_known(total, length) => Ok(0),
                    _ => Err("the server sent another part of the file than the rest: start again"),
                }
            }
            StatusCode::OK if version(headers).as_ref() == Some(self) && agrees(announced(headers), length) => {
                Ok(received)
            }
            _ => Err("the file changed while it was being downloaded: start again"),
        }
    }
}

/// Whether the length of the whole file is known, and the same as before.
fn is_known(total: Option<u64>, length: Option<u64>) -> bool {
    agrees(total, length) && total.or(length).is_some()
}

fn agrees(total: Option<u64>, length: Option<u64>) -> bool {
    total.is_none() || length.is_none() || total == length
}

/// The version that the headers name. A weak `ETag` does not name bytes.
fn version(headers: &HeaderMap) -> Option<Resumption> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let strong = text(ETAG).filter(|etag| etag.starts_with('"'));
    let version = strong.or_else(|| text(LAST_MODIFIED))?.to_owned();
    Some(Resumption { version })
}

/// The first byte of a part, and the length of the whole if it is known: `bytes 5-9/10`. A part may be shorter than what was asked
/// for.
fn content_range(range: &str) -> Option<(u64, Option<u64>)> {
    let (unit, range) = range.trim().split_once(' ')?;
    let (range, total) = range.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    let is_inside = total.is_none_or(|total: u64| last < total);
    (unit.eq_ignore_ascii_case("bytes") && first <= last && is_inside).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_part_is_read() {
        for (range, expected) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("Bytes 0-9/*", Some((0, None))),
            ("bytes 5-8/10", Some((5, Some(10)))),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes */10", None),
            ("lines 5-9/10", None),
            ("bytes 5-18446744073709551615/10", None),
            ("bytes 5-9", None),
            ("", None),
        ] {
            assert_eq!(content_range(range), expected, "{range}");
        }
    }

    #[test]
    fn a_weak_etag_names_no_bytes() {
        let headers = |pairs: &[(http::HeaderName, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(name, http::HeaderValue::from_static(value));
            }
            version(&headers).map(|resumption| resumption.version)
        };
        assert_eq!(headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, "b")]).as_deref(), Some("\"a\""));
        assert_eq!(headers(&[(ETAG, "W/\"a\""), (LAST_MODIFIED, "b")]).as_deref(), Some("b"));
        assert_eq!(headers(&[(ETAG, "W/\"a\"")]), None);
    }
}
