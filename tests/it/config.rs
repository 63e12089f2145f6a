//! Options of the builder: what it rejects, and with which message.

use servicebay::{Error, fixably};

use crate::source_code::root;

fn config_error<C: std::fmt::Debug>(result: Result<C, Error>) -> (&'static str, String) {
    match result {
        Err(Error::Config(error)) => (error.field(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_option_of_a_call_has_the_same_documentation_at_the_builder() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let (options, builder) = (read("src/options.rs"), read("src/builder.rs"));
    let setters = options.split("    pub fn with_").skip(1);
    let names: Vec<_> = setters.filter_map(|setter| Some(setter.split_once('(')?.0)).collect();
    assert!(names.contains(&"max_wait") && names.contains(&"priority"), "{names:?}");
    for name in names {
        let documented = format!("    #[doc = option_docs!({name})]\n    pub fn with_{name}(");
        assert!(options.contains(&documented), "CallOptions::with_{name}");
        assert!(builder.contains(&documented), "ClientBuilder::with_{name}");
    }
}

fn with_tenant(tenant: &str) -> Result<fixably::Client, Error> {
    fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant(tenant).build()
}

fn with_base_url(url: &str) -> Result<fixably::Client, Error> {
    fixably::Client::builder(fixably::Credentials::bearer("t")).with_base_url(url).build()
}

fn with_token(token: &str) -> Result<fixably::Client, Error> {
    fixably::Client::builder(fixably::Credentials::bearer(token)).with_tenant("acme").build()
}

#[test]
fn a_tenant_becomes_its_base_url() {
    for (tenant, url) in [
        ("acme", "https://acme.fixably.com/api/v3"),
        ("Acme-2", "https://acme-2.fixably.com/api/v3"),
        ("0", "https://0.fixably.com/api/v3"),
    ] {
        assert_eq!(with_tenant(tenant).unwrap().base_url().as_str(), url);
    }
}

#[test]
fn a_tenant_that_is_not_a_host_label_is_rejected_by_name() {
    let long = "a".repeat(64);
    for tenant in [
        "evil.com/",
        "evil.com",
        "acme.fixably.com",
        "a b",
        " acme",
        "acme ",
        "",
        "-acme",
        "acme-",
        "a_b",
        "ACMÉ",
        "Ä",
        "acme\n",
        "acme#",
        "acme?",
        "acme@evil",
        "acme:80",
        "a/b",
        "%61cme",
        &long,
    ] {
        let (field, message) = config_error(with_tenant(tenant));
        assert_eq!(field, "tenant", "{tenant:?}");
        assert!(message.contains("give the name before `.fixably.com` alone"), "{message}");
    }
}

#[test]
fn without_a_tenant_or_a_base_url_the_builder_asks_for_one() {
    let (field, message) = config_error(fixably::Client::builder(fixably::Credentials::bearer("t")).build());
    assert_eq!(field, "tenant");
    assert!(message.contains("with_tenant"), "{message}");
}

#[test]
fn a_base_url_that_would_leak_the_token_is_rejected() {
    for url in [
        "http://acme.fixably.com/api/v3",
        "http://127.0.0.1.evil.com/",
        "http://localhost.evil.com/",
        "ftp://acme.fixably.com",
        "https://user:pass@acme.fixably.com",
        "https://user@acme.fixably.com",
        "acme.fixably.com",
        "https://acme.fixably.com/api?x=1",
        "https://acme.fixably.com/api#x",
        "",
    ] {
        let (field, message) = config_error(with_base_url(url));
        assert_eq!(field, "base_url", "{url}");
        assert!(!message.contains("pass@"), "{message}");
    }
}

#[test]
fn plain_http_is_accepted_for_loopback_only() {
    for url in ["http://127.0.0.1:8080/api/v3", "http://localhost/api", "http://[::1]:9/", "http://127.8.9.1/"] {
        assert!(with_base_url(url).is_ok(), "{url}");
    }
}

#[test]
fn a_trailing_slash_of_a_base_url_makes_no_difference() {
    let client = with_base_url("http://localhost/api/v3///").unwrap();
    assert_eq!(client.base_url().as_str(), "http://localhost/api/v3");
}

#[test]
fn a_malformed_token_is_rejected_without_being_shown() {
    for token in ["", "two wrds", "line\nbrk", "s3cr3t\n", " s3cr3t", "s3crét", "Bearer s3cr3t", "s3\0cr3t"] {
        let (field, message) = config_error(with_token(token));
        assert_eq!(field, "token", "{token:?}");
        assert!(token.is_empty() || !message.contains(token), "{message}");
    }
}

#[cfg(all(feature = "fentu", feature = "fisikal", feature = "repairy"))]
#[test]
fn every_vendor_refuses_a_malformed_credential_with_the_same_words() {
    use servicebay::{TokenSet, fentu, fisikal, repairy};

    // The message after the field.
    let reason = |(field, message): (&'static str, String)| {
        message.strip_prefix(&format!("configuration: {field}: ")).expect("the message names the field").to_owned()
    };
    for token in ["", "two wrds", "line\nbrk", "s3cr3t\n", " s3cr3t", "s3crét", "Bearer s3cr3t", "s3\0cr3t"] {
        let expected = reason(config_error(with_token(token)));
        let key = fentu::Client::builder(fentu::Credentials::api_key(token)).build();
        assert_eq!(reason(config_error(key)), expected, "{token:?}");
        let tokens = fentu::Credentials::oauth("application", "secret", TokenSet::new(token));
        let (field, message) = config_error(fentu::Client::builder(tokens).build());
        assert_eq!((field, reason((field, message))), ("access_token", expected.clone()), "{token:?}");
        let bearer = fisikal::Client::builder(fisikal::Credentials::bearer(token)).with_tenant("acme").build();
        assert_eq!(reason(config_error(bearer)), expected, "{token:?}");
    }
    for text in ["", " id", "id\n"] {
        let expected = reason(config_error(with_token(text)));
        let fentu = fentu::Client::builder(fentu::Credentials::oauth_stored(text, "secret")).build();
        let fisikal = fisikal::Credentials::password(text, "secret", "user", "password");
        let fisikal = fisikal::Client::builder(fisikal).with_tenant("acme").build();
        assert_eq!(reason(config_error(fentu)), expected, "{text:?}");
        assert_eq!(reason(config_error(fisikal)), expected, "{text:?}");
        for (key, partner) in [(text, "partner"), ("key", text)] {
            let repairy = repairy::Client::builder(repairy::Credentials::app(key, "secret", partner));
            let repairy = repairy.with_base_url("https://partner-api.example").build();
            assert_eq!(reason(config_error(repairy)), expected, "{text:?}");
        }
    }
}

#[test]
fn a_user_agent_that_cannot_be_a_header_is_rejected() {
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    let (field, _) = config_error(builder.with_user_agent("line\nbreak").build());
    assert_eq!(field, "user_agent");
}

#[test]
fn an_http_configuration_that_cannot_be_built_is_rejected() {
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    let (field, message) = config_error(builder.with_http_config(|http| http.user_agent("line\nbreak")).build());
    assert_eq!(field, "http_config");
    assert!(message.contains("the HTTP client cannot be built"), "{message}");
}

#[cfg(feature = "fentu")]
#[test]
fn an_account_needs_a_name_and_a_store_for_many_accounts_needs_a_tenant_or_an_account() {
    use servicebay::{MemoryStore, fentu};

    let builder = || {
        let credentials = fentu::Credentials::oauth_stored("application", "secret");
        fentu::Client::builder(credentials).with_token_store(MemoryStore::new())
    };
    let (field, _) = config_error(builder().with_account("").build());
    assert_eq!(field, "account");
    let (field, message) = config_error(builder().build());
    assert_eq!(field, "token_store");
    assert!(message.contains(".with_tenant(..)") && message.contains(".with_account(..)"), "{message}");
    builder().with_tenant("acme").build().unwrap();
    builder().with_account("ann@acme.example").build().unwrap();
}

/// What a vendor's builder says about a tenant and about a base URL that it refuses.
macro_rules! refused_by {
    ($vendor:ident, $credentials:expr, tenant $tenant:expr) => {
        config_error(servicebay::$vendor::Client::builder($credentials).with_tenant($tenant).build())
    };
    ($vendor:ident, $credentials:expr, base_url $base_url:expr) => {
        config_error(servicebay::$vendor::Client::builder($credentials).with_base_url($base_url).build())
    };
}

#[test]
fn fixably_explains_a_refused_address_with_its_own_domain() {
    let credentials = || fixably::Credentials::bearer("t");
    for (tenant, expected) in [
        ("acme.fixably.com", "give the name before `.fixably.com` alone, such as `acme` "),
        ("https://beta.fixably.com/api/v3", "give the name before `.fixably.com` alone, such as `beta` "),
        ("evil.example", "give the name before `.fixably.com` alone, such as `acme` "),
    ] {
        let (field, message) = refused_by!(fixably, credentials(), tenant tenant);
        assert_eq!(field, "tenant");
        assert!(message.contains(&format!("{tenant:?} is refused: {expected}")), "{message}");
    }
    let (_, message) = refused_by!(fixably, credentials(), base_url "acme.fixably.com");
    assert!(message.ends_with("give one such as `https://acme.fixably.com/api/v3`"), "{message}");
}

#[cfg(feature = "fisikal")]
#[test]
fn fisikal_explains_a_refused_address_with_its_own_domain() {
    let credentials = || servicebay::fisikal::Credentials::bearer("t");
    let (field, message) = refused_by!(fisikal, credentials(), tenant "cuttingedge.fisikal.com");
    assert_eq!(field, "tenant");
    assert!(message.contains("give the name before `.fisikal.com` alone, such as `cuttingedge` "), "{message}");
    let (_, message) = refused_by!(fisikal, credentials(), base_url "http://acme.fisikal.com");
    assert!(message.ends_with("give one such as `https://acme.fisikal.com`"), "{message}");
    let (field, message) = config_error(servicebay::fisikal::Client::builder(credentials()).build());
    assert_eq!(field, "tenant");
    assert!(message.contains(".with_tenant(\"acme\") if your address is `https://acme.fisikal.com`"), "{message}");
}

#[cfg(feature = "fentu")]
#[test]
fn fentu_explains_that_a_tenant_is_a_name_of_your_choice_and_which_address_is_its_own() {
    let credentials = || servicebay::fentu::Credentials::api_key("key");
    let (field, message) = refused_by!(fentu, credentials(), tenant "api.fentu.io");
    assert_eq!(field, "tenant");
    assert!(message.contains("\"api.fentu.io\" is refused: give a short name of your choice"), "{message}");
    let (_, message) = refused_by!(fentu, credentials(), base_url "https://api.fentu.io/v1?key=1");
    assert!(
        message.ends_with("contains a query or a fragment: give one such as `https://api.fentu.io/v1`"),
        "{message}"
    );
}

#[cfg(feature = "repairy")]
#[test]
fn repairy_asks_for_the_address_that_it_hands_out() {
    let credentials = || servicebay::repairy::Credentials::app("key", "secret", "partner");
    let (field, message) =
        config_error(servicebay::repairy::Client::builder(credentials()).with_tenant("acme").build());
    assert_eq!(field, "base_url");
    assert!(message.contains("repairy hands out the address with your credentials"), "{message}");
    let (field, message) = refused_by!(repairy, credentials(), base_url "partner-api.example");
    assert_eq!(field, "base_url");
    assert!(message.contains("give the address that repairy handed out with your credentials"), "{message}");
    let (field, message) = refused_by!(repairy, credentials(), tenant "not a name");
    assert_eq!(field, "tenant");
    assert!(message.contains("give a short name of your choice"), "{message}");
}
