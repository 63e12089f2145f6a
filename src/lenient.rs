//! Lenient JSON decoding: a value of an unexpected shape costs its own field, never the page around it.
//!
//! Vendors send numbers as text, text as numbers, and shapes that no client has seen before. A value that converts
//! plainly is converted. Any other value is left out, with a `servicebay.skipped_value` event, and stays readable in the raw body
//! of the response. Broken JSON still fails.
//!
//! Generated structs are read by [`serde_object!`](serde_object). Hand-written types name the functions below in
//! `deserialize_with`, or call them in their own `Deserialize`.

mod list;
mod number;
pub(crate) mod object;
mod pass;
mod resumed_map;
mod scalar;
mod shape;
mod skipped_value;
mod text_seed;
mod visitor;

use std::any::type_name;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error};

pub(crate) use self::list::{FittingList, PositionalList, ScalarList};
pub(crate) use self::object::serde_object;
pub(crate) use self::pass::{FastPass, ReadReport, report_lost_digits, report_repaired};
pub(crate) use self::resumed_map::{FieldName, ResumedMap};
pub(crate) use self::scalar::{KeepsDigits, Numeric, Scalar};
pub(crate) use self::shape::body;
pub use self::skipped_value::SkippedValue;
pub(crate) use self::text_seed::TextSeed;
use self::visitor::{Mismatch, ScalarVisitor, ValueVisitor};

/// The name of a field with its type, if the reader knows it. A reference to the text, which is half as long.
pub(crate) type FieldLabel = Option<&'static &'static str>;

/// Text. A number is kept as its digits, and a boolean as its text.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    ScalarVisitor::new().deserialize(deserializer).map(|text| or_report(text, None))
}

/// A number. Text that holds one is read.
pub(crate) fn number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    Numeric<T>: Scalar,
{
    let number = ScalarVisitor::new().deserialize(deserializer)?;
    Ok(or_report(number, None).map(|Numeric(number)| number))
}

/// A scalar that must be present: for the types that hold whatever a vendor sends.
pub(crate) fn required<'de, D: Deserializer<'de>, T: Scalar>(deserializer: D) -> Result<T, D::Error> {
    let scalar = ScalarVisitor::new().deserialize(deserializer)?;
    scalar.ok().flatten().ok_or_else(|| D::Error::custom("no value that fits"))
}

/// A value of any other type.
pub(crate) fn value<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut value = None;
    ValueVisitor::new(None, |fitting| value = Some(fitting)).deserialize(deserializer)?;
    Ok(value)
}

/// The elements of a list that fit. Anything that is no list has none.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(value(deserializer)?.map_or_else(Vec::new, |FittingList(list)| list))
}

/// The scalar; if the value was none, reports it.
#[inline]
fn or_report<T>(scalar: Result<Option<T>, Mismatch>, field: FieldLabel) -> Option<T> {
    scalar.unwrap_or_else(|Mismatch(found)| {
        report_mismatch::<T>(field, found);
        None
    })
}

/// Reports that a vendor sent something other than the type that was expected.
#[cold]
fn report_mismatch<T>(field: FieldLabel, found: &'static str) {
    let (field, expected) = (field.copied(), type_name::<T>());
    tracing::debug!(
        name: "servicebay.skipped_value",
        target: "servicebay",
        field,
        expected,
        found,
        "a value has another shape than expected and is left out"
    );
    pass::report_skipped(SkippedValue { field, expected, found });
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::amount::Amount;
    use crate::open::{Open, open_enum};

    /// A field of each kind.
    #[derive(Clone, Debug, Default, PartialEq)]
    struct Object {
        text: Option<String>,
        integer: Option<i64>,
        float: Option<f64>,
        flag: Option<bool>,
        date: Option<Open<Timestamp>>,
        amount: Option<Amount>,
        color: Option<Color>,
        free: Option<Value>,
        inner: Option<Box<Self>>,
        list: Vec<Self>,
        names: Vec<String>,
    }

    serde_object! {
        Object {
            text: text, integer: number, float: number, flag: flag, date: scalar, amount: scalar, color: value,
            free: value, inner: value, list: list, names: scalars,
        }
    }

    open_enum! {
        enum Color {
            Red = "RED",
        }
    }

    fn read(json: Value) -> Object {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    #[test]
    fn what_fits_is_read() {
        let object =
            read(json!({"text": "a", "integer": 5, "float": 1.5, "flag": true, "inner": {"integer": 1}, "list": [{}]}));
        assert_eq!(object.text.as_deref(), Some("a"));
        assert_eq!((object.integer, object.float, object.flag), (Some(5), Some(1.5), Some(true)));
        assert_eq!(object.inner.unwrap().integer, Some(1));
        assert_eq!(object.list.len(), 1);
    }

    #[test]
    fn numbers_as_text_and_text_as_numbers_are_read() {
        let object = read(json!({"text": 12345, "integer": " 5 ", "float": "1.5", "flag": "true"}));
        assert_eq!(object.text.as_deref(), Some("12345"));
        assert_eq!((object.integer, object.float, object.flag), (Some(5), Some(1.5), Some(true)));
        assert_eq!(read(json!({"integer": 5.0, "flag": 0})).integer, Some(5));
    }

    #[test]
    fn null_is_no_value_everywhere() {
        let nulls = json!({
            "text": null, "integer": null, "float": null, "flag": null, "date": null, "amount": null, "color": null,
            "free": null, "inner": null, "list": null, "names": null,
        });
        assert_eq!(read(nulls), Object::default());
    }

    #[test]
    fn what_does_not_fit_costs_only_its_field() {
        for odd in [json!({"a": [1]}), json!([1, {"b": 2}]), json!([])] {
            let object =
                read(json!({"text": odd, "integer": odd, "float": odd, "flag": odd, "inner": [1, 2], "list": 7}));
            assert_eq!(object, Object::default(), "{odd}");
        }
        assert_eq!(read(json!({"integer": "many", "float": "NaN", "flag": "maybe", "inner": "x"})), Object::default());
    }

    #[test]
    fn an_odd_value_of_any_kind_at_any_place_costs_only_its_field() {
        let sound = json!({
            "text": "a", "integer": 5, "float": 1.5, "flag": true, "date": "2026-03-01T12:00:00Z", "amount": 12.5,
            "color": "RED", "free": {"x": [1]}, "inner": {"integer": 1}, "list": [{"integer": 2}], "names": ["b"],
        });
        let odd_values = [
            json!(null),
            json!(false),
            json!(0),
            json!(-7),
            json!(u64::MAX),
            json!(2.5),
            json!(1e300),
            json!(""),
            json!("odd"),
            json!("\u{e4}\"\n"),
            json!([]),
            json!([null, [[]], {"text": {}}]),
            json!({}),
            json!({"integer": {"integer": []}, "list": 3}),
        ];
        let sound = sound.as_object().unwrap();
        let expected = read(Value::Object(sound.clone()));
        for place in 0..sound.len() {
            for (field, _) in sound {
                for odd in &odd_values {
                    // The fields in turn, so that each stands everywhere, with the odd one among them.
                    let turned = sound.iter().cycle().skip(place).take(sound.len());
                    let value =
                        |name: &str, value: &Value| if name == field { odd.to_string() } else { value.to_string() };
                    let members: Vec<_> = turned.map(|(name, it)| format!("{name:?}:{}", value(name, it))).collect();
                    let json = format!("{{{}}}", members.join(","));
                    let mut object: Object =
                        serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
                    match field.as_str() {
                        "text" => object.text = expected.text.clone(),
                        "integer" => object.integer = expected.integer,
                        "float" => object.float = expected.float,
                        "flag" => object.flag = expected.flag,
                        "date" => object.date = expected.date.clone(),
                        "amount" => object.amount = expected.amount.clone(),
                        "color" => object.color = expected.color.clone(),
                        "free" => object.free = expected.free.clone(),
                        "inner" => object.inner = expected.inner.clone(),
                        "list" => object.list = expected.list.clone(),
                        "names" => object.names = expected.names.clone(),
                        other => panic!("{other} is no field"),
                    }
                    assert_eq!(object, expected, "{json}");
                }
            }
        }
    }

    #[test]
    fn what_a_plain_conversion_keeps_is_kept() {
        for (field, json, kept) in [
            ("date", json!("1 March, noon"), json!({"date": "1 March, noon"})),
            ("date", json!(1772366400), json!({"date": "1772366400"})),
            ("amount", json!("12.50"), json!({"amount": "12.50"})),
            ("amount", json!(100), json!({"amount": 100})),
            ("color", json!("MAUVE"), json!({"color": "MAUVE"})),
            ("text", json!(true), json!({"text": "true"})),
            ("text", json!(2.5), json!({"text": "2.5"})),
            ("integer", json!("17"), json!({"integer": 17})),
            ("free", json!([1, "a"]), json!({"free": [1, "a"]})),
            ("names", json!(["a", 1, null, ["b"], "c"]), json!({"names": ["a", "1", "c"]})),
        ] {
            let object = read(json!({ field: json }));
            assert_eq!(serde_json::to_value(&object).unwrap(), kept, "{field}: {json}");
        }
    }

    #[test]
    fn an_odd_element_does_not_cost_its_list() {
        let object = read(json!({"list": [{"integer": 1}, "odd", null, {"integer": 2}]}));
        let integers: Vec<_> = object.list.iter().filter_map(|object| object.integer).collect();
        assert_eq!(integers, [1, 2]);
    }

    #[test]
    fn an_odd_element_leaves_its_position_empty_if_positions_count() {
        let PositionalList(list) =
            serde_json::from_str::<PositionalList<Object>>(r#"[{"integer": 1}, "odd", null, [], {"integer": 2}]"#)
                .unwrap();
        let integers: Vec<_> = list.iter().map(|object| object.integer).collect();
        assert_eq!(integers, [Some(1), None, None, None, Some(2)]);
    }

    #[test]
    fn numbers_beyond_their_type_are_left_out_and_not_bent() {
        assert_eq!(read(json!({"integer": u64::MAX})).integer, None);
        assert_eq!(read(json!({"integer": 1e300})).integer, None);
        assert_eq!(read(json!({"integer": 1.5})).integer, None);
    }

    #[test]
    fn of_a_repeated_field_the_last_value_counts() {
        let object: Object = serde_json::from_str(
            r#"{"text": "a", "list": [{}], "inner": {}, "text": "b", "list": [], "inner": 7, "flag": true, "flag": []}"#,
        )
        .unwrap();
        assert_eq!(object, Object { text: Some("b".to_owned()), ..Object::default() });
    }

    #[test]
    fn a_value_is_read_the_same_from_a_tree_as_from_text() {
        let json = json!({
            "text": 5, "integer": "5", "date": "soon", "amount": "1.0", "color": "BLUE", "inner": {"list": [{}, 1]},
            "list": [{"text": "a"}, 2], "names": ["a", {}], "free": {"a": 1},
        });
        assert_eq!(serde_json::from_value::<Object>(json.clone()).unwrap(), read(json));
    }

    #[test]
    fn broken_json_fails() {
        for broken in [r#"{"inner": {"integer": 1"#, r#"{"list": [{"#, r#"{"text": }"#, r#"{"inner": {"x" 1}}"#] {
            assert!(serde_json::from_str::<Object>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn sound_json_that_ends_early_fails_wherever_it_ends() {
        let json = json!({"inner": {"list": [{"text": "a"}]}, "free": [1], "date": "x", "list": [{"amount": 1.5}]})
            .to_string();
        for end in 1..json.len() {
            assert!(serde_json::from_str::<Object>(&json[..end]).is_err(), "{}", &json[..end]);
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name = prop_oneof![
                "text", "integer", "float", "flag", "date", "amount", "color", "free", "inner", "list", "names", "x"
            ];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(name.prop_map(String::from), inner, 0..6)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_object_fails_whatever_its_fields_hold(
            fields in prop::collection::hash_map(
                "text|integer|float|flag|date|amount|color|free|inner|list|names", any_json(), 0..8,
            ),
        ) {
            let json: Value = fields.into_iter().collect::<Map<_, _>>().into();
            let read = serde_json::from_str::<Object>(&json.to_string());
            prop_assert!(read.is_ok(), "{:?} {}", read, json);
        }
    }
}
