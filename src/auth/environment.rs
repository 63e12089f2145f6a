//! Credentials in environment variables.

use std::env;
use std::ffi::OsString;

use crate::error::Error;

/// The values of environment variables.
///
/// # Errors
///
/// [`Error::Config`] that names the variables that are missing, empty or not text.
pub(crate) fn read_environment<const N: usize>(names: [&'static str; N]) -> Result<[String; N], Error> {
    read(names, env::var_os)
}

fn read<const N: usize>(
    names: [&'static str; N],
    lookup: impl Fn(&'static str) -> Option<OsString>,
) -> Result<[String; N], Error> {
    let values = names.map(|name| lookup(name).filter(|value| !value.is_empty()));
    let missing: Vec<_> =
        names.iter().zip(&values).filter(|(_, value)| value.is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let reason = format!("are incomplete in the environment: set {}", missing.join(" and "));
        return Err(Error::config("credentials", reason));
    }
    let texts = values.map(|value| value.unwrap_or_default().into_string().unwrap_or_default());
    match names.iter().zip(&texts).find(|(_, text)| text.is_empty()) {
        Some((name, _)) => Err(Error::config("credentials", format!("cannot be read: {name} is not UTF-8"))),
        None => Ok(texts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(pairs: &[(&str, &str)]) -> Result<[String; 2], String> {
        let lookup = |name| pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value));
        read(["KEY", "SECRET"], lookup).map_err(|error| error.to_string())
    }

    #[test]
    fn all_variables_are_needed_and_the_missing_ones_are_named() {
        assert_eq!(read_from(&[("SECRET", "s"), ("KEY", "k")]).unwrap(), ["k", "s"]);
        for (pairs, missing) in [
            (&[][..], "set KEY and SECRET"),
            (&[("KEY", "hush")], "set SECRET"),
            (&[("KEY", ""), ("SECRET", "hush")], "set KEY"),
        ] {
            let error = read_from(pairs).unwrap_err();
            assert!(error.starts_with("configuration: credentials: ") && error.ends_with(missing), "{error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_value_that_is_no_text_is_named() {
        use std::os::unix::ffi::OsStringExt as _;

        let error = read(["KEY"], |_| Some(OsString::from_vec(vec![0xff]))).unwrap_err().to_string();
        assert_eq!(error, "configuration: credentials: cannot be read: KEY is not UTF-8");
    }
}
