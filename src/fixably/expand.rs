//! The `expand` parameter: which relations the response contains as objects.

use std::borrow::Cow;
use std::fmt;

use crate::request::Param;

/// The relations that a response contains as objects instead of links.
///
/// Build it from names, or pass the vendor's own syntax as a string. On a list, names refer to the relations of the list's
/// items; a string is sent unchanged.
///
/// # Example
///
/// ```
/// use servicebay::fixably::Expand;
///
/// let expand = Expand::new()
///     .with("customer")
///     .with_nested("status", Expand::new().with("queue"))
///     .with_many("lines", Expand::new().with("product"));
/// assert_eq!(expand.to_string(), "customer,status(queue),lines(items(product))");
///
/// let raw: Expand = "customer,lines(items(product))".into();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expand {
    relations: Vec<Relation>,
    raw: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Relation {
    name: String,
    many: bool,
    inner: Expand,
}

impl Expand {
    /// No relations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a relation to one object, such as `customer`.
    pub fn with(self, name: impl Into<String>) -> Self {
        self.and(name, false, Self::new())
    }

    /// Adds a relation to one object, and relations of that object.
    pub fn with_nested(self, name: impl Into<String>, inner: Self) -> Self {
        self.and(name, false, inner)
    }

    /// Adds a relation to many objects, such as `lines`, and relations of each of them; `Expand::new()` for none.
    pub fn with_many(self, name: impl Into<String>, inner: Self) -> Self {
        self.and(name, true, inner)
    }

    fn and(mut self, name: impl Into<String>, many: bool, inner: Self) -> Self {
        self.relations.push(Relation { name: name.into(), many, inner });
        self
    }

    /// The same relations for each item of a list. A string stays unchanged.
    pub(crate) fn of_items(self) -> Self {
        match self.raw {
            Some(_) => self,
            None => {
                Self { raw: None, relations: vec![Relation { name: "items".to_owned(), many: false, inner: self }] }
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(raw) = &self.raw {
            return balanced(raw);
        }
        for Relation { name, inner, .. } in &self.relations {
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                return Err(format!("{name:?} is not the name of a relation: letters, digits, and underscores only"));
            }
            inner.check()?;
        }
        Ok(())
    }
}

fn balanced(raw: &str) -> Result<(), String> {
    let mut depth = 0_i32;
    for byte in raw.bytes() {
        depth += match byte {
            b'(' => 1,
            b')' => -1,
            _ => 0,
        };
        if depth < 0 {
            break;
        }
    }
    if depth == 0 { Ok(()) } else { Err(format!("{raw:?} has unbalanced parentheses")) }
}

impl From<&str> for Expand {
    fn from(raw: &str) -> Self {
        raw.to_owned().into()
    }
}

impl From<String> for Expand {
    fn from(raw: String) -> Self {
        Self { raw: Some(raw), relations: Vec::new() }
    }
}

impl fmt::Display for Expand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(raw) = &self.raw {
            return f.write_str(raw);
        }
        for (index, Relation { name, many, inner }) in self.relations.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(name)?;
            match (many, inner.relations.is_empty() && inner.raw.is_none()) {
                (true, true) => f.write_str("(items)")?,
                (true, false) => write!(f, "(items({inner}))")?,
                (false, true) => {}
                (false, false) => write!(f, "({inner})")?,
            }
        }
        Ok(())
    }
}

impl Param for Expand {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        self.check()?;
        Ok(match &self.raw {
            Some(raw) => raw.into(),
            None => self.to_string().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relation_to_many_is_written_with_an_items_level() {
        let expand = Expand::new().with_many("lines", Expand::new()).with("customer");
        assert_eq!(expand.to_string(), "lines(items),customer");
    }

    #[test]
    fn on_a_list_names_refer_to_the_relations_of_its_items() {
        let expand = Expand::new().with("status").with_many("lines", Expand::new());
        assert_eq!(expand.of_items().to_string(), "items(status,lines(items))");
        assert_eq!(Expand::new().of_items().to_string(), "items");
        assert_eq!(Expand::from("items(status)").of_items().to_string(), "items(status)");
    }

    #[test]
    fn invalid_names_and_unbalanced_parentheses_are_refused() {
        for name in ["", "a,b", "a(b", "a b", "ü"] {
            assert!(Expand::new().with(name).encode().is_err(), "{name:?}");
            assert!(Expand::new().with_many("lines", Expand::new().with(name)).encode().is_err(), "{name:?}");
        }
        for raw in ["lines(items", "lines)items(", ")("] {
            assert!(Expand::from(raw).encode().is_err(), "{raw:?}");
        }
    }
}
