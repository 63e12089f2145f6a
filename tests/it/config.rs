//! Options of the builder: what it rejects, and with which message.

use std::time::Duration;

use servicebay::{Error, HttpConfig, fixably};

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

/// The message for an HTTP configuration, which names the setter.
fn http_error(http: HttpConfig) -> String {
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    let (field, message) = config_error(builder.with_http_config(http).build());
    assert_eq!(field, "http_config");
    message
}

#[test]
fn a_proxy_url_that_cannot_be_used_is_rejected_without_its_password() {
    for (url, expected) in [
        ("", "is not valid"),
        ("proxy.example", "is not valid"),
        ("proxy.example:3128", "does not begin with `http://` or `https://`"),
        ("user:hunter2@proxy.example:3128", "does not begin with"),
        ("ftp://user:hunter2@proxy.example", "does not begin with"),
        ("socks5://user:hunter2@proxy.example:1080", "a SOCKS proxy"),
        ("socks5h://proxy.example", "a SOCKS proxy"),
        ("http://", "is not valid"),
        ("http://user:hunter2@proxy.example:port", "is not valid (invalid port number)"),
        ("http://user:hunter/2@proxy.example", "is not valid"),
        ("http://hunter:2/x@proxy.example", "has more than an address"),
        ("http://hunter:2#x@proxy.example", "has more than an address"),
        ("http://proxy.example/path", "has more than an address"),
        ("http://proxy.example?hunter2", "has more than an address"),
    ] {
        let http = HttpConfig::new().with_proxy(url);
        let shown = format!("{http:?}");
        let message = http_error(http);
        assert!(
            message.contains("with_proxy: the URL of the proxy ") && message.contains(expected),
            "{url}: {message}"
        );
        assert!(message.contains("give an address such as `http://proxy.example:3128`"), "{url}: {message}");
        assert!(!message.contains("hunter") && !shown.contains("hunter"), "{url}: {message} {shown}");
        // An address that cannot be used is no address, and none of it is shown.
        assert!(shown.contains("proxy: invalid"), "{shown}");
    }
}

#[test]
fn a_proxy_bypass_that_would_never_match_is_rejected() {
    let http = || HttpConfig::new().with_proxy("http://proxy.example:3128");
    for (host, expected) in [
        ("", "is no host"),
        ("*", "call without_proxy"),
        ("*.example.com", "is no host"),
        ("https://example.com", "is no host"),
        ("example.com:443", "is no host"),
        ("example.com, example.org", "is no host"),
        (" example.com", "is no host"),
        ("bücher.example", "is no host"),
        ("10.0.0.0/33", "is no host"),
        ("10.0.0/8", "is no host"),
        ("::1/129", "is no host"),
    ] {
        let message = http_error(http().with_proxy_bypass([host]));
        assert!(message.contains(&format!("with_proxy_bypass: {host:?} ")) && message.contains(expected), "{message}");
    }
    let message = http_error(HttpConfig::new().with_proxy_bypass(["example.com"]));
    assert!(message.contains("with_proxy_bypass needs with_proxy") && message.contains("NO_PROXY"), "{message}");

    let valid =
        ["example.com", ".example.com", "Example.Com", "localhost", "10.0.0.1", "10.0.0.0/8", "::1", "fd00::/8"];
    let http = http().with_proxy_bypass(valid);
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    builder.with_http_config(http).build().unwrap();
}

#[test]
fn certificates_and_keys_that_cannot_be_read_are_rejected_without_the_key() {
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let key = |label: &str| format!("-----BEGIN {label}-----\nc2VjcmV0\n-----END {label}-----\n");
    for (pem, expected) in [
        ("", "there is no certificate in the text"),
        ("MIIB", "there is no certificate in the text"),
        (&key("PRIVATE KEY"), "there is no certificate in the text"),
        ("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", "a certificate cannot be read"),
    ] {
        for http in [HttpConfig::new().with_root_certificates(pem), HttpConfig::new().with_only_root_certificates(pem)]
        {
            let message = http_error(http);
            assert!(message.contains("with_root_certificates: ") && message.contains(expected), "{pem}: {message}");
            assert!(message.contains("give certificates in PEM format"), "{pem}: {message}");
        }
    }
    // It is base64, and no certificate.
    let message = http_error(HttpConfig::new().with_only_root_certificates(CERTIFICATE));
    assert!(message.contains("with_root_certificates: a certificate cannot be "), "{message}");

    for (chain, key, expected) in [
        ("", &*key("PRIVATE KEY"), "there is no certificate in the chain"),
        (CERTIFICATE, "", "there is no private key"),
        (CERTIFICATE, CERTIFICATE, "there is no private key"),
        (CERTIFICATE, &[key("PRIVATE KEY"), key("PRIVATE KEY")].concat(), "there is more than one private key"),
        (CERTIFICATE, &key("ENCRYPTED PRIVATE KEY"), "decrypt it, for example with `openssl pkey"),
        (CERTIFICATE, "-----BEGIN PRIVATE KEY-----\n?\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (CERTIFICATE, &key("PRIVATE KEY"), "the certificate cannot be used with this key"),
    ] {
        let http = HttpConfig::new().with_client_certificate(chain, key);
        let shown = format!("{http:?}");
        let message = http_error(http);
        assert!(message.contains("with_client_certificate: ") && message.contains(expected), "{key}: {message}");
        assert!(!message.contains("c2VjcmV0") && !message.contains("secret"), "{message}");
        assert!(shown.contains("client_certificate: true") && !shown.contains("c2VjcmV0"), "{shown}");
    }
}

#[test]
fn other_options_of_an_http_configuration_are_rejected_with_their_bounds() {
    let http = HttpConfig::new;
    let second = Duration::from_secs(1);
    let no_address: [std::net::IpAddr; 0] = [];
    let this_machine = [std::net::Ipv4Addr::LOCALHOST];
    for (http, expected) in [
        (
            http().with_host_addresses("https://acme.fixably.com", this_machine),
            "is not a host name: give it without scheme",
        ),
        (http().with_host_addresses("acme.fixably.com:443", this_machine), "is not a host name"),
        (http().with_host_addresses("10.0.0.1", this_machine), "is not a host name"),
        (http().with_host_addresses("", this_machine), "is not a host name"),
        (
            http().with_host_addresses("acme.fixably.com", no_address),
            "acme.fixably.com has no address: give at least one",
        ),
        (http().with_connect_timeout(Duration::ZERO), "with_connect_timeout: no connection opens in no time"),
        (http().with_tcp_keep_alive(second / 2), "with_tcp_keep_alive: 500ms is out of bounds: give 1 s to 32,767 s"),
        (http().with_tcp_keep_alive(second * 32_768), "with_tcp_keep_alive: 32768s is out of bounds"),
        (
            http().with_http2_ping_interval(second / 2),
            "with_http2_ping_interval: 500ms is too short: give at least 1 s",
        ),
        (http().with_http2_ping_timeout(Duration::ZERO), "with_http2_ping_timeout: 0ns is too short"),
    ] {
        let message = http_error(http);
        assert!(message.contains(expected), "{message}");
    }
    let longest = http()
        .with_connect_timeout(Duration::MAX)
        .with_pool_idle_timeout(Duration::MAX)
        .with_tcp_keep_alive(second * 32_767)
        .with_http2_ping_interval(Duration::MAX)
        .with_http2_ping_timeout(Duration::MAX);
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    builder.with_http_config(longest).build().unwrap();
}

#[test]
fn an_http_configuration_shows_its_options_and_no_secret() {
    let http = HttpConfig::new()
        .with_proxy("https://user:hunter2@proxy.example:3128")
        .with_proxy_bypass(["internal.example"])
        .with_root_certificates("first")
        .with_only_root_certificates("second")
        .with_client_certificate("chain", "hunter2")
        .with_http1_only();
    let builder = fixably::Client::builder(fixably::Credentials::bearer("t")).with_http_config(http.clone());
    let shown = format!("{http:?} {http:#?} {builder:?}");
    for expected in [
        "proxy: https://proxy.example:3128",
        r#"proxy_bypass: ["internal.example"]"#,
        "root_certificates: 2",
        "only_root_certificates: true",
        "client_certificate: true",
        "http_versions: Http1",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
    assert!(format!("{:?}", HttpConfig::new()).contains("proxy: System"));
    assert!(format!("{:?}", http.without_proxy()).contains("proxy: Disabled"));
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
