//! Decodes the body of a successful response, and describes one that does not fit.

use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::Track;

use crate::envelope::Envelope;
use crate::error::Error;
use crate::json_repair;
use crate::lenient::{self, FastPass, ReadReport};
use crate::pipeline::RetryContext;
use crate::transport::HttpResponse;

/// Decodes the content of the response, inside the envelope that the operation or the vendor puts around it.
pub(crate) fn content<T: DeserializeOwned>(response: &HttpResponse, context: &RetryContext<'_>) -> Result<T, Error> {
    let envelope = match (context.call().operation.root(), context.pipeline().vendor.content) {
        (Some(name), _) => Envelope::Named(name),
        (None, Some(content)) => Envelope::Unnamed(content),
        (None, None) => Envelope::None,
    };
    decode(response, envelope, context)
}

/// Decodes the whole body.
pub(crate) fn document<T: DeserializeOwned>(response: &HttpResponse, context: &RetryContext<'_>) -> Result<T, Error> {
    decode(response, Envelope::None, context)
}

/// Returns the body as it is.
pub(crate) fn bytes(response: &HttpResponse, _: &RetryContext<'_>) -> Result<Bytes, Error> {
    Ok(response.body.clone())
}

/// Decodes the response, unless the vendor says that the caller has the current version.
pub(crate) fn if_modified<T>(
    decode: impl FnOnce(&HttpResponse, &RetryContext<'_>) -> Result<T, Error>,
) -> impl FnOnce(&HttpResponse, &RetryContext<'_>) -> Result<Option<T>, Error> {
    |response, context| match response.status {
        StatusCode::NOT_MODIFIED => Ok(None),
        _ => decode(response, context).map(Some),
    }
}

/// Ignores the body: a response that needs no content cannot have a wrong one.
pub(crate) fn nothing(_: &HttpResponse, _: &RetryContext<'_>) -> Result<(), Error> {
    Ok(())
}

/// Decodes a body. Only if that fails does the slow path follow: repair the JSON, or find out what is wrong with it.
fn decode<T: DeserializeOwned>(
    response: &HttpResponse,
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Result<T, Error> {
    // An empty body is null to the decoder: a type that can be absent accepts it.
    let document: &[u8] = if response.body.is_empty() { b"null" } else { &response.body };
    let content = envelope.inside(document);
    let pass = FastPass::begin();
    // Returned right here, because every step that passes a large value on copies it.
    if let Some(content) = content
        && let Some(value) = read(content, envelope)
        && !pass.has_lost_digits()
    {
        return Ok(value);
    }
    drop(pass);
    if let Some(value) = content.and_then(|content| read_again(content, envelope)) {
        return Ok(value);
    }
    decode_repaired(document, envelope)
        .ok_or_else(|| decode_error::<T>(response, content.unwrap_or(document), envelope, context))
}

/// Reads a body that is JSON as it should be.
///
/// The whole of it is checked to be UTF-8 once, which costs a fraction of checking each text in it.
fn read<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Option<T> {
    let mut deserializer = serde_json::Deserializer::from_str(std::str::from_utf8(body).ok()?);
    let value = envelope.read(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(value)
}

/// The fast pass over a body without an envelope, for the bench that measures what it costs.
#[cfg(feature = "testing")]
pub(crate) fn read_fast<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let _pass = FastPass::begin();
    read(body, Envelope::None)
}

/// Reads a body whose fast pass lost digits, or failed: perhaps at a number that no float holds, in a field of text.
#[cold]
fn read_again<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Option<T> {
    // The values that were skipped are skipped once more.
    ReadReport::take();
    read(body, envelope)
}

#[cold]
fn decode_repaired<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Option<T> {
    let repaired = json_repair::repair(body);
    let content = envelope.inside(repaired.as_bytes())?;
    lenient::report_repaired();
    read(content, envelope).or_else(|| {
        // By way of a `Value`, in which the last of several members of one name wins.
        let content: Value = serde_json::from_slice(content).ok()?;
        lenient::report_repaired();
        envelope.read(content).ok()
    })
}

#[cold]
fn decode_error<T: DeserializeOwned>(
    response: &HttpResponse,
    body: &[u8],
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Error {
    if response.body.is_empty() {
        return context.decode_error(response, "the response has no body", None, None);
    }
    if response.is_html() {
        let reason = "the response is a web page instead of JSON: check the base URL";
        return context.decode_error(response, reason, None, None);
    }
    if let Envelope::Named(name) = envelope
        && serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get(name).is_some_and(Value::is_null))
        && let Some(error) = context.null_object(response)
    {
        return error;
    }
    let encodings = response.headers.get_all(CONTENT_ENCODING).into_iter();
    let encodings: Vec<_> = encodings.filter_map(|value| value.to_str().ok()).collect();
    if !encodings.is_empty() {
        let encoding = context.shown(&encodings.join(", "));
        let reason =
            format!("the response is encoded as {encoding}, which cannot be read: it is damaged, or was not asked for");
        return context.decode_error(response, reason, None, None);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    match envelope.read::<_, T>(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track)) {
        Err(error) => {
            let path = track.path().to_string();
            let reason = match error.classify() {
                Category::Data => "the response has an unexpected shape",
                Category::Eof => "the response is truncated",
                _ if error.to_string().starts_with("recursion limit") => "the response is nested too deeply",
                _ => "the response is not JSON",
            };
            let path = (error.is_data() && path != ".").then_some(path);
            context.decode_error(response, reason, path, Some(Box::new(error)))
        }
        Ok(_) => context.decode_error(response, "the response continues after its JSON document", None, None),
    }
}
