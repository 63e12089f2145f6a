//! Lists: what they are narrowed to, how they are sorted, and which window of them is sent.

use serde_json::{Map, Value, json};

use super::params::{flag, number, numbers};
use super::refusal::Refusal;

/// Whether an item is one of those that a filter wants.
pub(super) type Test = Box<dyn Fn(&Value) -> bool>;

/// Answers a list under a name. `filter` makes a test of a filter's name and value, or nothing of one that is unknown or
/// wrong; `sorts` are the fields that the list can be sorted by.
pub(super) fn list(
    root: &str,
    mut items: Vec<Value>,
    params: &Map<String, Value>,
    filter: impl Fn(&str, &Value) -> Option<Test>,
    sorts: &[&str],
) -> Result<Value, Refusal> {
    // Null is no filter: every member is nullable.
    for (name, wanted) in object(params, "unified_filters")?.iter().filter(|(_, wanted)| !wanted.is_null()) {
        let test = filter(name, wanted).ok_or_else(|| Refusal::invalid(name, "invalid"))?;
        items.retain(test);
    }
    for (field, direction) in object(params, "unified_sorting")?.iter().filter(|(_, value)| !value.is_null()) {
        let ascending = flag(direction).filter(|_| sorts.contains(&field.as_str()));
        let ascending = ascending.ok_or_else(|| Refusal::invalid(field, "invalid"))?;
        items.sort_by_cached_key(|item| key(item.get(field)));
        if !ascending {
            items.reverse();
        }
    }
    let count = items.len();
    let limit = object(params, "limit")?;
    if !limit.is_empty() {
        let part = |name: &str, least: i64| {
            let given = limit.get(name).and_then(number).filter(|given| *given >= least);
            given.and_then(|given| usize::try_from(given).ok()).ok_or_else(|| Refusal::invalid("limit", "invalid"))
        };
        let (start, size) = (part("start", 0)?, part("count", 1)?);
        items = items.into_iter().skip(start).take(size).collect();
    }
    Ok(json!({root: items, "count": count}))
}

/// The item's field is the number, or one of the numbers, that are wanted.
pub(super) fn by_number(field: &'static str, wanted: &Value) -> Option<Test> {
    let wanted = numbers(wanted)?;
    Some(Box::new(move |item| item.get(field).and_then(Value::as_i64).is_some_and(|number| wanted.contains(&number))))
}

/// The item's field is the truth value that is wanted.
pub(super) fn by_flag(field: &'static str, wanted: &Value) -> Option<Test> {
    let wanted = flag(wanted)?;
    Some(Box::new(move |item| item.get(field).and_then(Value::as_bool).unwrap_or(false) == wanted))
}

/// One of the item's fields holds the words, in any case.
pub(super) fn by_text(fields: &'static [&'static str], wanted: &Value) -> Option<Test> {
    let wanted = wanted.as_str()?.to_lowercase();
    Some(Box::new(move |item| {
        let mut texts = fields.iter().filter_map(|field| item.get(*field)?.as_str());
        texts.any(|text| text.to_lowercase().contains(&wanted))
    }))
}

/// Nothing is filtered.
pub(super) fn unfiltered(_: &str, _: &Value) -> Option<Test> {
    None
}

fn object(params: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, Refusal> {
    match params.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object.clone()),
        Some(_) => Err(Refusal::invalid(name, "invalid")),
    }
}

fn key(value: Option<&Value>) -> (i64, String) {
    match value {
        Some(Value::Number(number)) => (number.as_i64().unwrap_or_default(), String::new()),
        Some(Value::String(text)) => (0, text.to_lowercase()),
        _ => (0, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(params: Value) -> Result<Vec<i64>, u16> {
        let items = [(1, "b", true), (2, "C", false), (3, "a", true)];
        let items = items.map(|(id, name, hidden)| json!({"id": id, "name": name, "hidden": hidden}));
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "hidden" => by_flag("hidden", wanted),
            "fulltext" => by_text(&["name"], wanted),
            _ => None,
        };
        let params = params.as_object().cloned().expect("an object");
        let answer =
            list("items", items.to_vec(), &params, filter, &["name"]).map_err(|refusal| refusal.status.as_u16())?;
        let ids = answer["items"].as_array().expect("a list").iter().filter_map(|item| item["id"].as_i64());
        Ok(ids.collect())
    }

    #[test]
    fn filters_narrow_and_null_does_not() {
        for (filters, ids) in [
            (json!({"hidden": true}), vec![1, 3]),
            (json!({"hidden": "false"}), vec![2]),
            (json!({"id": [1, 2], "hidden": true}), vec![1]),
            (json!({"id": "2,3"}), vec![2, 3]),
            (json!({"fulltext": "c"}), vec![2]),
            (json!({"hidden": null, "colour": null}), vec![1, 2, 3]),
        ] {
            assert_eq!(asked(json!({"unified_filters": filters})), Ok(ids), "{filters}");
        }
    }

    #[test]
    fn sorting_goes_both_ways_whatever_the_case() {
        assert_eq!(asked(json!({"unified_sorting": {"name": true}})), Ok(vec![3, 1, 2]));
        assert_eq!(asked(json!({"unified_sorting": {"name": "false"}})), Ok(vec![2, 1, 3]));
    }

    #[test]
    fn a_window_is_whole_or_refused() {
        assert_eq!(asked(json!({"limit": {"start": 1, "count": 1}})), Ok(vec![2]));
        assert_eq!(asked(json!({"limit": {"start": "0", "count": "2"}})), Ok(vec![1, 2]));
        assert_eq!(asked(json!({"limit": {"start": 9, "count": 2}})), Ok(vec![]));
        for limit in [
            json!({"start": 1}),
            json!({"count": 1}),
            json!({"start": -1, "count": 1}),
            json!({"start": 0, "count": 0}),
            json!(5),
        ] {
            assert_eq!(asked(json!({"limit": limit})), Err(422), "{limit}");
        }
    }

    #[test]
    fn what_a_list_does_not_know_is_refused() {
        assert_eq!(asked(json!({"unified_filters": {"colour": 1}})), Err(422));
        assert_eq!(asked(json!({"unified_filters": {"hidden": "maybe"}})), Err(422));
        assert_eq!(asked(json!({"unified_sorting": {"id": true}})), Err(422));
    }
}
