//! List responses: filters, sorting, and the requested window.

use serde_json::{Map, Value, json};

use super::error_response::invalid;
use super::params::{boolean, number, numbers};
use crate::testing::error_response::ErrorResponse;

/// Whether a filter keeps an item.
pub(super) type Predicate = Box<dyn Fn(&Value) -> bool>;

/// Builds a list response with the items under `root`.
///
/// `filter` makes a predicate of a filter's name and value, or `None` if the filter is unknown or its value invalid;
/// `sort_fields` are the fields that the list can be sorted by.
pub(super) fn list(
    root: &str,
    mut items: Vec<Value>,
    params: &Map<String, Value>,
    filter: impl Fn(&str, &Value) -> Option<Predicate>,
    sort_fields: &[&str],
) -> Result<Value, ErrorResponse> {
    // Every filter is nullable, and null filters nothing.
    for (name, wanted) in object(params, "unified_filters")?.iter().filter(|(_, wanted)| !wanted.is_null()) {
        let predicate = filter(name, wanted).ok_or_else(|| invalid(name))?;
        items.retain(predicate);
    }
    for (field, direction) in object(params, "unified_sorting")?.iter().filter(|(_, value)| !value.is_null()) {
        let ascending = boolean(direction).filter(|_| sort_fields.contains(&field.as_str()));
        let ascending = ascending.ok_or_else(|| invalid(field))?;
        items.sort_by_cached_key(|item| sort_key(item.get(field)));
        if !ascending {
            items.reverse();
        }
    }
    let count = items.len();
    let limit = object(params, "limit")?;
    if !limit.is_empty() {
        let part = |name: &str, min: i64| {
            let given = limit.get(name).and_then(number).filter(|given| *given >= min);
            given.and_then(|given| usize::try_from(given).ok()).ok_or_else(|| invalid("limit"))
        };
        let (start, size) = (part("start", 0)?, part("count", 1)?);
        items = items.into_iter().skip(start).take(size).collect();
    }
    Ok(json!({root: items, "count": count}))
}

/// Builds a list response of a list that has no filters and cannot be sorted.
pub(super) fn unfiltered(root: &str, items: Vec<Value>, params: &Map<String, Value>) -> Result<Value, ErrorResponse> {
    list(root, items, params, |_, _| None, &[])
}

/// Keeps the items whose field is the wanted number, or one of the wanted numbers.
pub(super) fn by_number(field: &'static str, wanted: &Value) -> Option<Predicate> {
    let wanted = numbers(wanted)?;
    Some(Box::new(move |item| item.get(field).and_then(Value::as_i64).is_some_and(|number| wanted.contains(&number))))
}

/// Keeps the items whose field is the wanted boolean.
pub(super) fn by_boolean(field: &'static str, wanted: &Value) -> Option<Predicate> {
    let wanted = boolean(wanted)?;
    Some(Box::new(move |item| item.get(field).and_then(Value::as_bool).unwrap_or(false) == wanted))
}

/// Keeps the items with the wanted text in one of the fields, whatever its case.
pub(super) fn by_text(fields: &'static [&'static str], wanted: &Value) -> Option<Predicate> {
    let wanted = wanted.as_str()?.to_lowercase();
    Some(Box::new(move |item| {
        let mut texts = fields.iter().filter_map(|field| item.get(*field)?.as_str());
        texts.any(|text| text.to_lowercase().contains(&wanted))
    }))
}

/// Keeps all items or none, for a filter whose value is valid and whose effect does not depend on the item.
pub(super) fn constant(keep: bool) -> Option<Predicate> {
    Some(Box::new(move |_| keep))
}

fn object(params: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, ErrorResponse> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(invalid(name)),
    }
}

fn sort_key(value: Option<&Value>) -> (i64, String) {
    match value {
        Some(Value::Number(number)) => (number.as_i64().unwrap_or_default(), String::new()),
        Some(Value::String(text)) => (0, text.to_lowercase()),
        _ => (0, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed_ids(params: Value) -> Result<Vec<i64>, u16> {
        let items = [(1, "b", true), (2, "C", false), (3, "a", true)];
        let items = items.map(|(id, name, hidden)| json!({"id": id, "name": name, "hidden": hidden}));
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "hidden" => by_boolean("hidden", wanted),
            "fulltext" => by_text(&["name"], wanted),
            _ => None,
        };
        let params = params.as_object().cloned().expect("an object");
        let response =
            list("items", items.to_vec(), &params, filter, &["name"]).map_err(|error| error.status.as_u16())?;
        let ids = response["items"].as_array().expect("a list").iter().filter_map(|item| item["id"].as_i64());
        Ok(ids.collect())
    }

    #[test]
    fn a_null_filter_keeps_every_item() {
        for (filters, ids) in [
            (json!({"hidden": true}), vec![1, 3]),
            (json!({"hidden": "false"}), vec![2]),
            (json!({"id": [1, 2], "hidden": true}), vec![1]),
            (json!({"id": "2,3"}), vec![2, 3]),
            (json!({"fulltext": "c"}), vec![2]),
            (json!({"hidden": null, "color": null}), vec![1, 2, 3]),
        ] {
            assert_eq!(listed_ids(json!({"unified_filters": filters})), Ok(ids), "{filters}");
        }
    }

    #[test]
    fn sorting_ignores_case_in_both_directions() {
        assert_eq!(listed_ids(json!({"unified_sorting": {"name": true}})), Ok(vec![3, 1, 2]));
        assert_eq!(listed_ids(json!({"unified_sorting": {"name": "false"}})), Ok(vec![2, 1, 3]));
    }

    #[test]
    fn a_limit_needs_a_start_and_a_count() {
        assert_eq!(listed_ids(json!({"limit": {"start": 1, "count": 1}})), Ok(vec![2]));
        assert_eq!(listed_ids(json!({"limit": {"start": "0", "count": "2"}})), Ok(vec![1, 2]));
        assert_eq!(listed_ids(json!({"limit": {"start": 9, "count": 2}})), Ok(vec![]));
        for limit in [
            json!({"start": 1}),
            json!({"count": 1}),
            json!({"start": -1, "count": 1}),
            json!({"start": 0, "count": 0}),
            json!(5),
        ] {
            assert_eq!(listed_ids(json!({"limit": limit})), Err(422), "{limit}");
        }
    }

    #[test]
    fn unknown_filters_and_sort_fields_are_rejected() {
        assert_eq!(listed_ids(json!({"unified_filters": {"color": 1}})), Err(422));
        assert_eq!(listed_ids(json!({"unified_filters": {"hidden": "maybe"}})), Err(422));
        assert_eq!(listed_ids(json!({"unified_sorting": {"id": true}})), Err(422));
    }
}
