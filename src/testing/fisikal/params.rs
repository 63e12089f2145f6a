//! Query parameters, in each of the forms that clients of the vendor use.

use serde_json::{Map, Value};

use super::error_response::invalid;
use crate::testing::error_response::ErrorResponse;

/// Parses a query into one object: the object in `json`, the parameters with brackets, and the flat ones.
pub(super) fn parse(query: &str) -> Result<Map<String, Value>, ErrorResponse> {
    let mut params = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "json" {
            match serde_json::from_str(&value) {
                Ok(Value::Object(object)) => params.extend(object),
                _ => return Err(invalid("json")),
            }
        } else {
            let path: Vec<_> = name.split('[').map(|part| part.trim_end_matches(']')).collect();
            insert(&mut params, &path, Value::String(value.into_owned()));
        }
    }
    Ok(params)
}

/// Inserts a value at the path of a name with brackets: `a[b]` is a member, `a[]` the next item of a list.
fn insert(params: &mut Map<String, Value>, path: &[&str], value: Value) {
    match path {
        [name] => {
            params.insert((*name).to_owned(), value);
        }
        [name, ""] => {
            let list = params.entry(*name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        }
        [name, inner @ ..] => {
            let object = params.entry(*name).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = object {
                insert(object, inner, value);
            }
        }
        [] => {}
    }
}

/// A number, which a query without `json` sends as text.
pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A boolean, which a query without `json` sends as text.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => value.as_bool(),
    }
}

/// A list of numbers, a single number, or text with numbers separated by commas.
pub(super) fn numbers(value: &Value) -> Option<Vec<i64>> {
    match value {
        Value::Array(items) => items.iter().map(number).collect(),
        Value::String(text) => text.split(',').map(|part| part.parse().ok()).collect(),
        _ => number(value).map(|number| vec![number]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_and_brackets_parse_to_the_same_parameters() {
        let expected =
            json!({"unified_filters": {"hidden": false, "tag_ids": [1, 2]}, "limit": {"start": 0, "count": 5}});
        let json: String = url::form_urlencoded::byte_serialize(expected.to_string().as_bytes()).collect();
        assert_eq!(Value::Object(parse(&format!("json={json}")).unwrap()), expected);

        let brackets = "unified_filters%5Bhidden%5D=false&unified_filters[tag_ids][]=1&unified_filters[tag_ids][]=2\
                        &limit[start]=0&limit[count]=5";
        let params = parse(brackets).unwrap();
        assert_eq!(boolean(&params["unified_filters"]["hidden"]), Some(false));
        assert_eq!(numbers(&params["unified_filters"]["tag_ids"]), Some(vec![1, 2]));
        assert_eq!(number(&params["limit"]["count"]), Some(5));
    }

    #[test]
    fn a_json_parameter_that_is_not_an_object_is_rejected() {
        for query in ["json=", "json=[]", "json={", "json=7"] {
            assert_eq!(parse(query).expect_err(query).status, 422, "{query}");
        }
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn commas_separate_numbers() {
        assert_eq!(numbers(&json!("1,2")), Some(vec![1, 2]));
        assert_eq!(numbers(&json!(3)), Some(vec![3]));
        assert_eq!(numbers(&json!("1,x")), None);
    }
}
