//! The query of a request.

/// The parameters of one request, each known to its operation and given once.
#[derive(Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string, or says what is wrong with it.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, String> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(format!("There is no parameter `{name}` here."));
            }
            if params.iter().any(|(other, _)| *other == name) {
                return Err(format!("The parameter `{name}` is given twice."));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(params))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_refused_by_name() {
        for (query, message) in [
            ("sort=id", "There is no parameter `sort` here."),
            ("limit=1&limit=2", "The parameter `limit` is given twice."),
        ] {
            assert_eq!(Query::read(Some(query), &["limit"]).expect_err(query), message);
        }
    }

    #[test]
    fn a_parameter_is_read_unescaped() {
        let query = Query::read(Some("q=a%2Cb+c"), &["q"]).expect("valid");
        assert_eq!((query.get("q"), query.get("r")), (Some("a,b c"), None));
    }
}
