//! The parameters of a request, in each of the forms that clients of the vendor use.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The parameters of a query: the object in `json`, those with brackets, and the flat ones, all in one object.
pub(super) fn read(query: &str) -> Result<Map<String, Value>, Refusal> {
    let mut params = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "json" {
            match serde_json::from_str(&value) {
                Ok(Value::Object(object)) => params.extend(object),
                _ => return Err(Refusal::invalid("json", "invalid")),
            }
        } else {
            let place: Vec<_> = name.split('[').map(|part| part.trim_end_matches(']')).collect();
            put(&mut params, &place, Value::String(value.into_owned()));
        }
    }
    Ok(params)
}

/// Puts a value where a name with brackets points: `a[b]` is a member, `a[]` the next item of a list.
fn put(params: &mut Map<String, Value>, place: &[&str], value: Value) {
    match place {
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
                put(object, inner, value);
            }
        }
        [] => {}
    }
}

/// A number, also as the text that a query without JSON makes of it.
pub(super) fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A truth value, also as text.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => value.as_bool(),
    }
}

/// Numbers: a list of them, one alone, or several as one text with commas.
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
    fn every_form_of_a_query_says_the_same() {
        let expected =
            json!({"unified_filters": {"hidden": false, "tag_ids": [1, 2]}, "limit": {"start": 0, "count": 5}});
        let json: String = url::form_urlencoded::byte_serialize(expected.to_string().as_bytes()).collect();
        assert_eq!(Value::Object(read(&format!("json={json}")).unwrap()), expected);

        let brackets = "unified_filters%5Bhidden%5D=false&unified_filters[tag_ids][]=1&unified_filters[tag_ids][]=2\
                        &limit[start]=0&limit[count]=5";
        let params = read(brackets).unwrap();
        assert_eq!(flag(&params["unified_filters"]["hidden"]), Some(false));
        assert_eq!(numbers(&params["unified_filters"]["tag_ids"]), Some(vec![1, 2]));
        assert_eq!(number(&params["limit"]["count"]), Some(5));
    }

    #[test]
    fn a_query_that_is_no_object_is_refused() {
        for query in ["json=", "json=[]", "json={", "json=7"] {
            assert_eq!(read(query).expect_err(query).status, 422, "{query}");
        }
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn numbers_with_commas_are_several() {
        assert_eq!(numbers(&json!("1,2")), Some(vec![1, 2]));
        assert_eq!(numbers(&json!(3)), Some(vec![3]));
        assert_eq!(numbers(&json!("1,x")), None);
    }
}
