//! Checks credentials before a client is built, for all vendors with the same messages. No message quotes the credential.

use http::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::error::Error;

const EMPTY: &str = "is empty";
const UNTRIMMED: &str = "starts or ends with white space; was it read from a file with a line break at the end?";

/// Checks a token that is sent in a header after `scheme`, if there is one.
pub(crate) fn check_token(field: &'static str, token: &SecretString, scheme: Option<&str>) -> Result<(), Error> {
    let token = token.expose_secret();
    check_text(field, token)?;
    if let Some(scheme) = scheme.filter(|scheme| starts_with_scheme(token, scheme)) {
        return Err(Error::config(field, format!("already starts with \"{scheme}\"; pass the token without it")));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason =
            "contains white space, a control character, or a non-ASCII character; pass it as the vendor showed it";
        return Err(Error::config(field, reason));
    }
    Ok(())
}

/// Checks a text that a person copies from the vendor: an id, a secret, an address.
pub(crate) fn check_text(field: &'static str, text: &str) -> Result<(), Error> {
    check_present(field, text)?;
    if text.trim() != text {
        return Err(Error::config(field, UNTRIMMED));
    }
    Ok(())
}

/// Checks a password: any text but an empty one, because a password may start or end with white space.
pub(crate) fn check_present(field: &'static str, text: &str) -> Result<(), Error> {
    if text.is_empty() {
        return Err(Error::config(field, EMPTY));
    }
    Ok(())
}

/// A text that is no secret, as the value of a header. It may contain spaces.
pub(crate) fn header_value(field: &'static str, text: &str) -> Result<HeaderValue, Error> {
    check_text(field, text)?;
    let reason = "contains a control character or a non-ASCII character; pass it as the vendor showed it";
    // The constructor alone would accept characters outside ASCII.
    let value = HeaderValue::from_str(text).ok().filter(|_| text.is_ascii());
    value.ok_or_else(|| Error::config(field, reason))
}

/// Whether a token was passed with the scheme of its header in front of it, in whatever case.
fn starts_with_scheme(token: &str, scheme: &str) -> bool {
    let start = token.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    start && token.as_bytes().get(scheme.len()) == Some(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with a credential in the field `key`; empty if it passes.
    fn problem<T>(result: Result<T, Error>) -> String {
        match result {
            Ok(_) => String::new(),
            Err(Error::Config(error)) => {
                assert_eq!(error.field(), "key");
                error.reason().to_owned()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_token_is_visible_ascii_without_its_scheme() {
        let check = |token: &str| problem(check_token("key", &token.into(), Some("Bearer")));
        for fine in ["t", "a.b-c_d~e+f/g==", "bearertoken", "Bearer", "!\"#{}"] {
            assert_eq!(check(fine), "", "{fine}");
        }
        for (token, expected) in [
            ("", "is empty"),
            ("s3cr3t\n", "starts or ends with white space"),
            (" s3cr3t", "starts or ends with white space"),
            (" ", "starts or ends with white space"),
            ("Bearer s3cr3t", "already starts with \"Bearer\""),
            ("bearer s3cr3t", "already starts with \"Bearer\""),
            ("two wrds", "contains white space"),
            ("line\nbrk", "contains white space"),
            ("s3cr\0t", "contains white space, a control character"),
            ("s3crét", "contains white space, a control character, or a non-ASCII character"),
        ] {
            let reason = check(token);
            assert!(reason.starts_with(expected), "{token:?}: {reason}");
            assert!(token.trim().is_empty() || !reason.contains(token.trim()), "{reason}");
        }
        assert!(problem(check_token("key", &"Bearer s3cr3t".into(), None)).starts_with("contains white space"));
    }

    #[test]
    fn a_text_may_contain_spaces_but_not_start_or_end_with_one() {
        for fine in ["id", "two words", "schlüssel"] {
            assert_eq!(problem(check_text("key", fine)), "", "{fine}");
        }
        assert_eq!(problem(check_text("key", "")), EMPTY);
        for untrimmed in [" id", "id ", "id\n", "\tid", " "] {
            assert_eq!(problem(check_text("key", untrimmed)), UNTRIMMED, "{untrimmed:?}");
        }
    }

    #[test]
    fn a_password_may_start_and_end_with_white_space() {
        assert_eq!(problem(check_present("key", " pass ")), "");
        assert_eq!(problem(check_present("key", "")), EMPTY);
    }

    #[test]
    fn the_value_of_a_header_may_contain_spaces_and_no_control_character() {
        assert_eq!(header_value("key", "partner 7").unwrap(), "partner 7");
        assert_eq!(problem(header_value("key", "")), EMPTY);
        assert_eq!(problem(header_value("key", "p\n")), UNTRIMMED);
        for odd in ["a\u{7f}b", "a\nb", "größe"] {
            assert!(problem(header_value("key", odd)).starts_with("contains a control character"), "{odd:?}");
        }
    }
}
