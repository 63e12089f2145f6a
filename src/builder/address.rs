//! Names and addresses that a token may be sent to.

use url::{Host, Url};

use crate::error::Error;

/// The longest label of a host name.
const LABEL: usize = 63;

/// A tenant's name as a label of a host name. Anything else could make the host another one.
pub(super) fn label(name: String) -> Result<String, Error> {
    let hyphen_outside = name.starts_with('-') || name.ends_with('-');
    let fits = !name.is_empty() && name.len() <= LABEL && !hyphen_outside;
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(name.to_ascii_lowercase());
    }
    let reason = format!(
        "{name:?} is no tenant: give the first part of its host name alone, such as acme of acme.fixably.com \
         (letters a to z, digits and inner hyphens, at most {LABEL})"
    );
    Err(Error::config("tenant", reason))
}

/// The key of a tenant as a label of a host name. One that is not so already could be another tenant's too: hosts do
/// not tell `Acme` from `acme`, and keys do.
pub(super) fn label_of_key(key: &str) -> Result<String, Error> {
    match label(key.to_owned()) {
        Ok(label) if label == key => Ok(label),
        _ => Err(Error::config(
            "tenant",
            format!("is missing, and the key {key:?} does not say it: name the tenant with .with_tenant(..)"),
        )),
    }
}

/// A base URL that a token may be sent to, without the slash at its end.
pub(super) fn base(text: &str) -> Result<Url, Error> {
    let refused = |reason: &str| Error::config("base_url", reason.to_owned());
    let mut url = Url::parse(text)
        .map_err(|error| refused(&format!("is no URL ({error}); give one such as https://acme.example")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("holds a user name or a password; credentials belong into Credentials"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("cannot hold a query or a fragment"));
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => {}
        ("http", Some(host)) if is_loopback(&host) => {}
        ("http", _) => {
            return Err(refused("would send the token in the clear: use https, or http to this machine only"));
        }
        _ => return Err(refused("has to begin with https://")),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
