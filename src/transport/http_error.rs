//! A request without a whole response: what happened, and whether the request may have arrived.

use std::error::Error as StdError;
use std::fmt;

use h2::Reason;
use http::StatusCode;

use crate::error::BoxError;

/// A request without a whole response.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The request was not sent: it had no connection, or the server refused it before any of it was processed.
    NotSent(BoxError),
    /// The request may have arrived. The connection broke, perhaps after the head of the response with this status.
    Broken(Option<StatusCode>, BoxError),
    /// The request may have arrived. No whole response came in time.
    TimedOut,
    /// The response exceeds a limit, and would again.
    TooLarge(TooLarge),
}

/// The part of a response that exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooLarge {
    /// The head has more fields, or more bytes, than are read.
    Head,
    /// The body is larger than `max_body`. The head arrived, with this successful status.
    Body(StatusCode, BodySize),
}

/// What is known about the size of a body that is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodySize {
    /// The head announces this number of bytes.
    Announced(u64),
    /// It does not announce the length, and more than `max_body` bytes arrived.
    Unannounced,
    /// The body arrived as this number of compressed bytes.
    Compressed(usize),
}

impl HttpError {
    /// The error of a request that got no head of a response. `started` says whether a connection began to write the
    /// request.
    pub(super) fn of_request(error: reqwest::Error, started: bool) -> Self {
        // HTTP/2 writes the head of a request before the body is asked for. So a request with a stream may have been sent.
        let was_queued = !started && h2_error(&error).is_none();
        let is_not_sent = was_queued || error.is_connect() || error.is_builder() || is_refused_stream(&error);
        if !is_not_sent && is_head_too_large(&error) {
            return Self::TooLarge(TooLarge::Head);
        }
        let error = Box::new(error.without_url());
        if is_not_sent { Self::NotSent(error) } else { Self::Broken(None, error) }
    }

    /// The error of a request whose deadline passed before the head of a response arrived.
    pub(super) fn of_deadline(started: bool) -> Self {
        if started { Self::TimedOut } else { Self::NotSent(Box::new(NoConnectionInTime)) }
    }

    /// The `error.type` of spans.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Broken(..) => "broken",
            Self::TimedOut => "timeout",
            Self::TooLarge(_) => "too_large",
        }
    }

    /// The status of the response, if its head arrived.
    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Broken(status, _) => *status,
            Self::TooLarge(TooLarge::Body(status, _)) => Some(*status),
            Self::NotSent(_) | Self::TimedOut | Self::TooLarge(TooLarge::Head) => None,
        }
    }
}

/// The time of an attempt was over before a connection, or a stream of one, was free for the request.
#[derive(Debug)]
pub(crate) struct NoConnectionInTime;

impl fmt::Display for NoConnectionInTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection was ready before the time of the attempt was over")
    }
}

impl StdError for NoConnectionInTime {}

/// The innermost cause of an HTTP client that cannot be built. The error itself may name the URL of a proxy.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let cause = std::iter::successors(error.source(), |&error| error.source()).last();
    cause.map_or_else(|| "the HTTP client does not say why".to_owned(), ToString::to_string)
}

/// Whether the server says that it processed nothing of the request (RFC 9113, section 8.7): it refused the stream, or it
/// closes the connection and names an earlier stream as the last one that it processed. h2 reports a GOAWAY frame to later
/// streams only.
///
/// Only what the server says counts. h2 uses the same codes for errors of its own.
fn is_refused_stream(error: &reqwest::Error) -> bool {
    h2_error(error).is_some_and(|error| {
        error.is_remote()
            && (error.is_go_away() || (error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM)))
    })
}

/// Whether the head of the response exceeds a limit of this client.
fn is_head_too_large(error: &reqwest::Error) -> bool {
    match h2_error(error) {
        // h2 reports a head that breaks HTTP/2's rules in the same way. It would break them again.
        Some(error) => error.is_library() && error.is_reset() && error.reason() == Some(Reason::PROTOCOL_ERROR),
        // hyper says it only in words. `an_http1_head_beyond_the_bounds_..` in tests/it/sockets.rs notices other words.
        None => sources(error).last().is_some_and(|error| error.to_string() == "message head is too large"),
    }
}

/// Whether there is no connection because the TLS library does not trust the server's certificate. The libraries have errors
/// of their own for it, which share one word; so do alerts of a server that wants a certificate of the client.
pub(crate) fn is_untrusted_certificate(error: &(dyn StdError + 'static)) -> bool {
    sources(error).map(ToString::to_string).any(|text| text.contains("certificate") && !text.contains("alert"))
}

/// Whether there is no connection because no host has this name, as the system's resolver says. Each system has words of its own
/// for it. A resolver that cannot be reached says something else, but on Windows.
pub(crate) fn is_unknown_host(error: &(dyn StdError + 'static)) -> bool {
    const WORDS: [&str; 5] = [
        "Name or service not known",           // glibc
        "No address associated with hostname", // glibc
        "servname provided, or not known",     // macOS and BSD
        "Name does not resolve",               // musl
        "(os error 11001)",                    // Windows, in the user's language
    ];
    sources(error).map(ToString::to_string).any(|text| WORDS.iter().any(|words| text.contains(words)))
}

fn h2_error(error: &reqwest::Error) -> Option<&h2::Error> {
    sources(error).find_map(|error| error.downcast_ref())
}

fn sources<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_unknown_host_is_found_in_the_words_of_every_system() {
        let lookup = "failed to lookup address information";
        for (text, expected) in [
            (format!("{lookup}: Name or service not known"), true),
            (format!("{lookup}: nodename nor servname provided, or not known"), true),
            (format!("{lookup}: Name does not resolve"), true),
            (format!("{lookup}: No address associated with hostname"), true),
            ("Der angegebene Host ist unbekannt. (os error 11001)".to_owned(), true),
            (format!("{lookup}: Temporary failure in name resolution"), false),
            ("tcp connect error: Connection refused (os error 111)".to_owned(), false),
        ] {
            assert_eq!(is_unknown_host(&io::Error::other(text.clone())), expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_found_in_the_words_of_every_tls_library() {
        for (text, expected) in [
            ("invalid peer certificate: UnknownIssuer", true),
            ("invalid peer certificate: certificate not valid for name \"a.example\"", true),
            ("error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed", true),
            ("The certificate was not trusted.", true),
            ("a certificate chain terminated in a root certificate which is not trusted by the trust provider", true),
            ("received fatal alert: CertificateRequired", false),
            (
                "error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:SSL alert number 116",
                false,
            ),
            ("tcp connect error", false),
        ] {
            assert_eq!(is_untrusted_certificate(&io::Error::other(text)), expected, "{text}");
        }
    }
}
