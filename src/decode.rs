//! Reads the body of a successful response as a type, and reports what is wrong with one that does not fit.

use http::header::CONTENT_ENCODING;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_path_to_error::Track;

use crate::envelope::Envelope;
use crate::error::Error;
use crate::pipeline::RetryContext;
use crate::salvage;
use crate::transport::HttpResponse;

/// Reads what the body is about as `T`. Only when that fails is it read again, slowly: to save what can be saved, or to
/// tell where.
pub(crate) fn decode<T: DeserializeOwned>(
    answer: &HttpResponse,
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Result<T, Error> {
    // Some operations answer nothing; for a type that can be absent, that is an answer.
    let whole: &[u8] = if answer.body.is_empty() { b"null" } else { &answer.body };
    let body = envelope.inside(whole);
    // Returned from here: a value may be large, and each step it takes copies it.
    if let Some(body) = body
        && let Ok(value) = read(body, envelope)
    {
        return Ok(value);
    }
    saved(whole, envelope).ok_or_else(|| undecodable::<T>(answer, body.unwrap_or(whole), envelope, context))
}

fn read<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = envelope.read(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

#[cold]
fn saved<T: DeserializeOwned>(body: &[u8], envelope: Envelope) -> Option<T> {
    let mended = salvage::mended(body);
    // As a value first: of a field that comes twice, the later counts.
    let value: Value = serde_json::from_slice(envelope.inside(mended.as_bytes())?).ok()?;
    let saved = envelope.read(value).ok()?;
    tracing::warn!(name: "servicebay.mended_body", bytes = body.len(), "a body was not quite JSON and was mended");
    Some(saved)
}

#[cold]
fn undecodable<T: DeserializeOwned>(
    answer: &HttpResponse,
    body: &[u8],
    envelope: Envelope,
    context: &RetryContext<'_>,
) -> Error {
    if answer.body.is_empty() {
        return context.unreadable(answer, "the answer has no body", None, None);
    }
    if answer.is_html() {
        return context.unreadable(answer, "the answer is a web page and not JSON; check the base URL", None, None);
    }
    if let Envelope::Named(name) = envelope
        && serde_json::from_slice::<Value>(body).is_ok_and(|body| body.get(name).is_some_and(Value::is_null))
        && let Some(absent) = context.absent(answer)
    {
        return absent;
    }
    if let Some(encoding) = answer.headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()) {
        let reason = format!("the answer is encoded as {encoding}, which was not asked for");
        return context.unreadable(answer, reason, None, None);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let mut track = Track::new();
    match envelope.read::<_, T>(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track)) {
        Err(error) => {
            let path = track.path().to_string();
            let reason = match error.classify() {
                Category::Data => "the answer has another shape than expected",
                Category::Eof => "the answer is cut off",
                _ if error.to_string().starts_with("recursion limit") => "the answer is nested too deeply",
                _ => "the answer is not JSON",
            };
            let path = (error.is_data() && path != ".").then_some(path);
            context.unreadable(answer, reason, path, Some(Box::new(error)))
        }
        Ok(_) => context.unreadable(answer, "the answer goes on after its JSON", None, None),
    }
}
