//! What a fault does to an answer.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value};

use crate::testing::reply::{self, Ending, Reply};

/// What goes wrong, for whichever request it is.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    AddField(String, Value),
    Answer {
        status: StatusCode,
        content_type: &'static str,
        body: Bytes,
    },
    /// Before the request is handled.
    Drop,
    Empty,
    /// After the request was handled.
    Lose,
    Nothing,
    Pad(usize),
    SetField(String, Value),
    Truncate,
}

impl Effect {
    /// The reply that stands in for handling the request, if there is one.
    pub(super) fn replacement(&self) -> Option<Reply> {
        match self {
            Self::Answer { status, content_type, body } => {
                Some(Reply::new(reply::raw(*status, content_type, body.clone())))
            }
            Self::Drop => {
                let mut reply = Reply::new(reply::raw(StatusCode::SERVICE_UNAVAILABLE, "", ""));
                reply.ending = Ending::Dropped;
                Some(reply)
            }
            _ => None,
        }
    }

    pub(super) fn spoil(&self, reply: &mut Reply) {
        let body = reply.response.body_mut();
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
            Self::Lose => reply.ending = Ending::Dropped,
            Self::Pad(size) => {
                let mut padded = body.to_vec();
                padded.resize(padded.len().max(*size), b' ');
                *body = padded.into();
            }
            Self::Truncate => reply.ending = Ending::Truncated,
            Self::Answer { .. } | Self::Drop | Self::Nothing => {}
        }
    }
}

/// Applies a change to every object in a JSON body, however deep; leaves a body that is not JSON alone.
fn edit(body: &mut Bytes, change: impl Fn(&mut Map<String, Value>)) {
    if let Ok(mut value) = serde_json::from_slice(body) {
        edit_value(&mut value, &change);
        *body = value.to_string().into();
    }
}

/// Inner objects come first, so that a value which the change puts in is not itself changed.
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

    fn spoiled(effect: &Effect, body: &Value) -> Reply {
        let mut reply = Reply::new(reply::json(StatusCode::OK, body));
        effect.spoil(&mut reply);
        reply
    }

    fn spoiled_json(effect: &Effect, body: &Value) -> Value {
        serde_json::from_slice(spoiled(effect, body).response.body()).expect("JSON")
    }

    #[test]
    fn a_field_is_overwritten_wherever_it_occurs_and_added_nowhere() {
        let body = json!({"type": "ISSUE", "notes": [{"id": 1, "type": "INTERNAL"}, {"id": 2}]});
        let body = spoiled_json(&Effect::SetField("type".into(), json!(7)), &body);
        assert_eq!(body, json!({"type": 7, "notes": [{"id": 1, "type": 7}, {"id": 2}]}));
    }

    #[test]
    fn an_extra_field_goes_into_every_object_with_an_id_once() {
        let effect = Effect::AddField("a".into(), json!({"id": 0}));
        let body = spoiled_json(&effect, &json!({"items": [{"id": 1, "queue": {"href": "x"}}]}));
        assert_eq!(body, json!({"items": [{"id": 1, "a": {"id": 0}, "queue": {"href": "x"}}]}));
    }

    #[test]
    fn an_oversized_body_has_the_size_and_stays_json() {
        let reply = spoiled(&Effect::Pad(10_000), &json!({"id": 1}));
        assert_eq!(reply.response.body().len(), 10_000);
        let body: Value = serde_json::from_slice(reply.response.body()).expect("JSON");
        assert_eq!(body, json!({"id": 1}));
    }

    #[test]
    fn a_body_that_is_not_json_is_left_alone() {
        let mut reply = Reply::new(reply::raw(StatusCode::OK, "text/html", "<p>"));
        Effect::SetField("id".into(), json!(1)).spoil(&mut reply);
        assert_eq!(reply.response.body(), "<p>");
    }

    #[test]
    fn a_lost_response_has_no_replacement_because_the_request_is_handled() {
        assert!(Effect::Lose.replacement().is_none());
        assert_eq!(spoiled(&Effect::Lose, &json!({})).ending, Ending::Dropped);
        assert_eq!(Effect::Drop.replacement().map(|reply| reply.ending), Some(Ending::Dropped));
    }
}
