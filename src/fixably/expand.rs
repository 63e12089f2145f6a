//! Which relations to send whole instead of as links.

use std::borrow::Cow;
use std::fmt;

use crate::request::Param;

/// Which relations an answer holds whole instead of as links.
///
/// Built from names, or taken as the vendor's own string. On a list, names that were built mean the relations of its
/// items; a string is sent as it is.
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
    parts: Vec<Part>,
    raw: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    relation: String,
    many: bool,
    inner: Expand,
}

impl Expand {
    /// No relation.
    pub fn new() -> Self {
        Self::default()
    }

    /// A relation to one object, such as `customer`.
    pub fn with(self, relation: impl Into<String>) -> Self {
        self.and(relation, false, Self::new())
    }

    /// A relation to one object, and in it further ones.
    pub fn with_nested(self, relation: impl Into<String>, inner: Self) -> Self {
        self.and(relation, false, inner)
    }

    /// A relation to many objects, such as `lines`, and in each of them further ones; `Expand::new()` for none.
    pub fn with_many(self, relation: impl Into<String>, inner: Self) -> Self {
        self.and(relation, true, inner)
    }

    fn and(mut self, relation: impl Into<String>, many: bool, inner: Self) -> Self {
        self.parts.push(Part { relation: relation.into(), many, inner });
        self
    }

    /// The same for each item of a list. What was given as a string stays as it is.
    pub(crate) fn of_items(self) -> Self {
        match self.raw {
            Some(_) => self,
            None => Self { raw: None, parts: vec![Part { relation: "items".to_owned(), many: false, inner: self }] },
        }
    }

    fn check(&self) -> Result<(), String> {
        if let Some(raw) = &self.raw {
            return balanced(raw);
        }
        for part in &self.parts {
            if part.relation.is_empty()
                || !part.relation.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                return Err(format!("{:?} is no name of a relation", part.relation));
            }
            part.inner.check()?;
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
    if depth == 0 { Ok(()) } else { Err(format!("{raw:?} has parentheses that do not match")) }
}

impl From<&str> for Expand {
    fn from(raw: &str) -> Self {
        raw.to_owned().into()
    }
}

impl From<String> for Expand {
    fn from(raw: String) -> Self {
        Self { raw: Some(raw), parts: Vec::new() }
    }
}

impl fmt::Display for Expand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(raw) = &self.raw {
            return f.write_str(raw);
        }
        for (index, Part { relation, many, inner }) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(relation)?;
            match (many, inner.parts.is_empty() && inner.raw.is_none()) {
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
    fn relations_to_many_get_their_items_level() {
        let expand = Expand::new().with_many("lines", Expand::new()).with("customer");
        assert_eq!(expand.to_string(), "lines(items),customer");
    }

    #[test]
    fn on_a_list_names_mean_the_relations_of_its_items() {
        let expand = Expand::new().with("status").with_many("lines", Expand::new());
        assert_eq!(expand.of_items().to_string(), "items(status,lines(items))");
        assert_eq!(Expand::new().of_items().to_string(), "items");
        assert_eq!(Expand::from("items(status)").of_items().to_string(), "items(status)");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a,b", "a(b", "a b", "ü"] {
            assert!(Expand::new().with(name).encode().is_err(), "{name:?}");
            assert!(Expand::new().with_many("lines", Expand::new().with(name)).encode().is_err(), "{name:?}");
        }
        for raw in ["lines(items", "lines)items(", ")("] {
            assert!(Expand::from(raw).encode().is_err(), "{raw:?}");
        }
    }
}
