//! Matches paths against templates such as `/orders/{id}/notes`.

/// The segments of a path that stand in place of `{...}` in a template, if the path matches it. A segment of a template may
/// have a suffix, as in `{id}.json`.
pub(crate) fn captures<'a>(template: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let mut segments = path.split('/');
    let mut captured = Vec::new();
    for expected in template.split('/') {
        let segment = segments.next()?;
        match expected.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            Some((_, suffix)) => captured.push(segment.strip_suffix(suffix)?),
            None if segment == expected => {}
            None => return None,
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
        assert_eq!(captures("/orders/{id}.json", "/orders/7.json"), Some(vec!["7"]));
        assert_eq!(captures("/orders/{id}.json", "/orders/7"), None);
    }

    #[test]
    fn a_shorter_longer_or_different_path_does_not_match() {
        for path in ["/orders", "/orders/7/lines", "/devices/7", "orders/7", "/orders/7/"] {
            assert_eq!(captures("/orders/{id}", path), None, "{path}");
        }
    }
}
