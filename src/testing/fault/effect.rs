//! What a fault does to a response.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::testing::response::{self, Delivery, MockResponse};

/// What goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    AddField(String, Value),
    /// Drops the connection instead of handling the request.
    Drop,
    Empty,
    /// Drops the connection after handling the request.
    Lose,
    Nothing,
    Pad(usize),
    /// Puts bytes before the body.
    Prefix(Bytes),
    /// Handles the request, and responds with another status and body.
    Replace(StatusCode, Bytes),
    Respond {
        status: StatusCode,
        content_type: &'static str,
        body: Bytes,
    },
    SetField(String, Value),
    Truncate,
}

impl Effect {
    /// The response that replaces the handling of the request, if there is one.
    pub(super) fn replacement(&self) -> Option<MockResponse> {
        match self {
            Self::Respond { status, content_type, body } => {
                Some(MockResponse::new(response::raw(*status, content_type, body.clone())))
            }
            Self::Drop => {
                let mut response = MockResponse::new(response::raw(StatusCode::SERVICE_UNAVAILABLE, "", ""));
                response.delivery = Delivery::Dropped;
                Some(response)
            }
            _ => None,
        }
    }

    pub(super) fn apply(&self, response: &mut MockResponse) {
        let body = response.response.body_mut();
        match self {
            Self::AddField(name, value) => edit(body, |object| {
                if object.contains_key("id") {
                    object.insert(name.clone(), value.clone());
                }
            }),
            Self::SetField(name, value) => edit(body, |object| {
                if let Some(old) = object.get_mut(name) {
                    *old = value.clone();
                }
            }),
            Self::Empty => *body = Bytes::new(),
            Self::Lose => response.delivery = Delivery::Dropped,
            Self::Pad(size) => {
                let mut padded = body.to_vec();
                padded.resize(padded.len().max(*size), b' ');
                *body = padded.into();
            }
            Self::Prefix(prefix) => *body = [&prefix[..], &body[..]].concat().into(),
            Self::Replace(status, replacement) => {
                *body = replacement.clone();
                *response.response.status_mut() = *status;
            }
            Self::Truncate => response.delivery = Delivery::Truncated,
            Self::Respond { .. } | Self::Drop | Self::Nothing => {}
        }
    }
}

/// Applies a change to every object in a JSON body, at any depth. A body that is not JSON stays as it is.
fn edit(body: &mut Bytes, change: impl Fn(&mut Map<String, Value>)) {
    if let Ok(mut value) = serde_json::from_slice(body) {
        edit_value(&mut value, &change);
        *body = value.to_string().into();
    }
}

/// Inner objects come first, so that the change is not applied to a value that it inserted.
fn edit_value(value: &mut Value, change: &impl Fn(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| edit_value(item, change)),
        Value::Object(object) => {
            object.values_mut().for_each(|field| edit_value(field, change));
            change(object);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(effect: &Effect, body: &Value) -> MockResponse {
        let mut response = MockResponse::new(response::json(StatusCode::OK, body));
        effect.apply(&mut response);
        response
    }

    fn applied_json(effect: &Effect, body: &Value) -> Value {
        serde_json::from_slice(applied(effect, body).response.body()).expect("JSON")
    }

    #[test]
    fn a_field_is_overwritten_wherever_it_occurs_and_added_nowhere() {
        let body = json!({"type": "ISSUE", "notes": [{"id": 1, "type": "INTERNAL"}, {"id": 2}]});
        let body = applied_json(&Effect::SetField("type".into(), json!(7)), &body);
        assert_eq!(body, json!({"type": 7, "notes": [{"id": 1, "type": 7}, {"id": 2}]}));
    }

    #[test]
    fn an_extra_field_goes_into_every_object_with_an_id_once() {
        let effect = Effect::AddField("a".into(), json!({"id": 0}));
        let body = applied_json(&effect, &json!({"items": [{"id": 1, "queue": {"href": "x"}}]}));
        assert_eq!(body, json!({"items": [{"id": 1, "a": {"id": 0}, "queue": {"href": "x"}}]}));
    }

    #[test]
    fn an_oversized_body_has_the_size_and_stays_json() {
        let response = applied(&Effect::Pad(10_000), &json!({"id": 1}));
        assert_eq!(response.response.body().len(), 10_000);
        let body: Value = serde_json::from_slice(response.response.body()).expect("JSON");
        assert_eq!(body, json!({"id": 1}));
    }

    #[test]
    fn a_body_that_is_not_json_is_left_unchanged() {
        let mut response = MockResponse::new(response::raw(StatusCode::OK, "text/html", "<p>"));
        Effect::SetField("id".into(), json!(1)).apply(&mut response);
        assert_eq!(response.response.body(), "<p>");
    }

    #[test]
    fn a_lost_response_has_no_replacement_because_the_request_is_handled() {
        assert!(Effect::Lose.replacement().is_none());
        assert_eq!(applied(&Effect::Lose, &json!({})).delivery, Delivery::Dropped);
        assert_eq!(Effect::Drop.replacement().map(|response| response.delivery), Some(Delivery::Dropped));
    }
}
