//! Matches paths against templates such as `/orders/{id}/notes`.

/// The segments of a path that stand in place of `{...}` in a template, if the path matches it.
pub(crate) fn captures<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut segments = path.split('/');
    let mut captured = Vec::new();
    for expected in template.split('/') {
        let segment = segments.next()?;
        if expected.starts_with('{') && expected.ends_with('}') {
            captured.push(segment);
        } else if segment != expected {
            return None;
        }
    }
    segments.next().is_none().then_some(captured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matching_path_yields_its_variable_segments() {
        assert_eq!(captures("/orders/{id}/lines/{id}", "/orders/7/lines/x"), Some(vec!["7", "x"]));
        assert_eq!(captures("/orders", "/orders"), Some(Vec::new()));
    }

    #[test]
    fn a_shorter_longer_or_different_path_does_not_match() {
        for path in ["/orders", "/orders/7/lines", "/devices/7", "orders/7", "/orders/7/"] {
            assert_eq!(captures("/orders/{id}", path), None, "{path}");
        }
    }
}
