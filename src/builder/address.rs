//! Checks the tenant names and base URLs that tokens are sent to.

use url::{Host, Url};

use crate::error::Error;
use crate::vendor::Vendor;

/// The longest label of a host name.
const MAX_LABEL: usize = 63;

/// A tenant's name as a label of a host name, in lower case. Any other character could turn the host into another one.
pub(super) fn tenant_label(name: &str, vendor: &Vendor) -> Result<String, Error> {
    if is_label(name) {
        return Ok(name.to_ascii_lowercase());
    }
    let rules = format!("letters a to z, digits and inner hyphens, at most {MAX_LABEL}");
    let reason = match vendor.tenant_domain() {
        Some(domain) => {
            let label = label_before(name, domain).unwrap_or("acme");
            format!("{name:?} is refused: give the name before `{domain}` alone, such as `{label}` ({rules})")
        }
        None => format!(
            "{name:?} is refused: give a short name of your choice for the account, such as `acme` ({rules}); it keeps the \
             tokens and rate limits of your accounts apart"
        ),
    };
    Err(Error::config("tenant", reason))
}

/// The key of a tenant as a label of a host name. A key that is not one exactly as it stands could also be another tenant's:
/// keys are case-sensitive, and host names are not.
pub(super) fn tenant_label_of_key(key: &str, vendor: &Vendor) -> Result<String, Error> {
    match tenant_label(key, vendor) {
        Ok(label) if label == key => Ok(label),
        _ => Err(Error::config(
            "tenant",
            format!("is missing, and the key {key:?} is not a host name in lower case: set it with .with_tenant(..)"),
        )),
    }
}

/// A base URL that tokens may be sent to, without a slash at its end.
pub(super) fn base_url(text: &str, vendor: &Vendor) -> Result<Url, Error> {
    // The refused text is not repeated, because it may contain a password.
    let refused = |problem: &str| Error::config("base_url", format!("{problem}: {}", expected_address(vendor)));
    let mut url = Url::parse(text).map_err(|error| refused(&format!("is not a complete URL ({error})")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("contains a user name or a password, which belong in `Credentials`"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refused("contains a query or a fragment"));
    }
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => {}
        ("http", Some(host)) if is_loopback(&host) => {}
        ("http", _) => {
            return Err(refused("would send the token unencrypted, as http is for this machine only"));
        }
        _ => return Err(refused("does not start with https://")),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// What to give as the base URL of this vendor, as the end of an error message.
fn expected_address(vendor: &Vendor) -> String {
    match vendor.base_url {
        "" => format!("give the address that {} handed out with your credentials, starting with https://", vendor.name),
        address => format!("give one such as `{}`", address.replace("{tenant}", "acme")),
    }
}

/// The label in front of the vendor's domain, in whatever of the tenant's address was given.
fn label_before<'a>(name: &'a str, domain: &str) -> Option<&'a str> {
    let (before, _) = name.trim().split_once(domain)?;
    let label = before.rsplit('/').next()?;
    is_label(label).then_some(label)
}

fn is_label(name: &str) -> bool {
    let has_outer_hyphen = name.starts_with('-') || name.ends_with('-');
    (1..=MAX_LABEL).contains(&name.len())
        && !has_outer_hyphen
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}
