//! Properties that hold for every vendor and every kind of credentials. Each property has one body and runs for several
//! cases; a test is named after both: `conformance::a_401_is_retried_once_with_a_new_token::fentu`.

mod calls;
mod fentu;
mod fisikal;
mod fixably;
mod repairy;
mod secrets;
mod tokens;

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use secrecy::SecretString;
use servicebay::testing::{Counters, Fault};
use servicebay::{AuthStatus, ClientBuilder, Error, Response};

/// Runs properties for cases: one module per property, with one test per case.
macro_rules! holds {
    ($cases:tt => $($topic:ident::$property:ident),+ $(,)?) => { $( holds!(@property $cases $topic $property); )+ };
    (@property [$($case:ident: $credentials:ty),+ $(,)?] $topic:ident $property:ident) => {
        mod $property {
            #[allow(unused_imports, reason = "not every property has a case of every vendor")]
            use super::{fentu, fisikal, fixably, repairy};
            $(
                #[tokio::test(start_paused = true)]
                async fn $case() {
                    super::$topic::$property::<$credentials>().await;
                }
            )+
        }
    };
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fentu_key: fentu::Key, repairy: repairy::App,
     fisikal: fisikal::Password, fisikal_session: fisikal::Session]
    => tokens::the_first_call_authenticates,
    tokens::a_login_before_the_first_call_is_the_only_one,
    tokens::the_current_token_costs_one_login_and_has_no_scheme,
    calls::a_403_is_forbidden_with_the_scopes_and_not_retried,
    calls::a_429_is_waited_out_in_every_format_of_the_reset,
    calls::a_write_with_a_lost_response_is_not_repeated,
    calls::an_unknown_field_is_kept,
    calls::an_unknown_enum_value_is_kept,
    secrets::no_printed_value_shows_a_secret,
    secrets::no_span_and_no_event_shows_a_secret,
}

holds! {
    [fixably: fixably::Bearer, repairy: repairy::App, fisikal: fisikal::Password]
    => tokens::ten_thousand_first_callers_make_at_most_one_login,
    tokens::a_login_without_a_connection_fails_as_a_call_does,
}

// The vendor grants tokens, and documents or sends their lifetime.
holds! {
    [fentu: fentu::OAuth, repairy: repairy::App, fisikal: fisikal::Password]
    => tokens::a_token_is_refreshed_in_its_last_fifth_without_delaying_callers,
    tokens::a_refresh_completes_after_all_its_callers_are_canceled,
    tokens::an_early_refresh_completes_after_the_call_that_started_it_is_canceled,
    tokens::ten_thousand_callers_at_expiry_make_one_token_request,
}

// The vendor grants tokens.
holds! {
    [fentu: fentu::OAuth, repairy: repairy::App, fisikal: fisikal::Password, fisikal_session: fisikal::Session]
    => tokens::a_401_is_retried_once_with_a_new_token,
    tokens::a_second_401_is_unauthorized,
    tokens::a_write_refused_with_401_is_sent_again,
    secrets::a_token_endpoint_that_echoes_secrets_leaks_none,
}

// The token was created by a person.
holds! {
    [fixably: fixably::Bearer, fentu_key: fentu::Key]
    => tokens::a_401_for_a_static_token_fails_immediately,
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fisikal: fisikal::Password]
    => calls::a_walk_returns_every_item_once,
}

holds! {
    [fentu: fentu::OAuth, fisikal: fisikal::Password]
    => calls::a_walk_continues_after_its_token_expires,
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fentu_key: fentu::Key]
    => calls::the_error_names_a_missing_scope,
}

/// A vendor's mock server, and the calls that the suite makes to every vendor.
trait Vendor: 'static {
    type Client: Clone + Debug + Send + Sync;
    type Record: Debug + Send;

    /// The path of a read, for faults.
    const READ: &str;
    /// The operation and path of a write that must not be repeated.
    const WRITE: (&str, &str);
    /// The scopes that the read needs; empty if the vendor has none.
    const SCOPES: &[&str];

    fn read(client: &Self::Client) -> BoxFuture<'static, Result<Response<Self::Record>, Error>>;
    fn write(client: &Self::Client) -> BoxFuture<'static, Result<(), Error>>;
    fn status(client: &Self::Client) -> AuthStatus;
    fn current_token(client: &Self::Client) -> BoxFuture<'static, Result<SecretString, Error>>;
    fn log_in(client: &Self::Client) -> BoxFuture<'static, Result<AuthStatus, Error>>;

    /// Replaces an enum value in the response to the read by `ORBIT`.
    fn unknown_value() -> Fault;
    /// The value of that enum in a record.
    fn value_of(record: &Self::Record) -> Option<String>;

    fn counters(&self) -> Counters;
    fn fault(&self, fault: Fault);
    fn now(&self) -> Timestamp;
    /// Revokes all access tokens that the vendor granted. Tokens created by a person stay valid.
    fn end_access_tokens(&self);
    /// The number of token requests received.
    fn token_requests(&self) -> usize;
}

/// A vendor with a paged list.
trait Paged: Vendor {
    /// The number of items in the list.
    const ITEMS: usize;

    /// The ids of all items, fetched in pages of this size.
    fn walk(client: &Self::Client, size: u32) -> BoxStream<'static, Result<String, Error>>;
}

/// One kind of credentials for one vendor.
trait AuthCase: Sized + 'static {
    type Vendor: Vendor;

    /// The number of token requests that the first call makes.
    const LOGINS: usize;
    /// Secrets that the client must never show: those of the credentials, and the tokens after the first call.
    const SECRETS: &[&str];
    /// The tokens after a 401; empty if it gets no new ones.
    const REFRESHED_SECRETS: &[&str];

    /// A mock server without a rate limit.
    fn new() -> Self;
    fn server(&self) -> &Self::Vendor;
    fn credentials(&self) -> Box<dyn Debug>;
    fn builder(&self) -> ClientBuilder<Client<Self>>;

    fn client(&self) -> Client<Self> {
        self.builder().build().unwrap()
    }
}

/// Credentials whose tokens are refreshed before they expire.
trait Refreshable: AuthCase {
    /// The lifetime of an access token.
    const LIFETIME: Duration;
    /// The path where a valid token is refreshed.
    const REFRESH_PATH: &str;
    /// The path that issues the next token after one has expired.
    const EXPIRED_PATH: &str;
}

/// Credentials whose token is limited to its scopes.
trait Scoped: AuthCase {
    /// A client with some scopes, but without those of the read.
    fn unprivileged(&self) -> ClientBuilder<Client<Self>>;
}

type Client<C> = <<C as AuthCase>::Vendor as Vendor>::Client;
type Record<C> = <<C as AuthCase>::Vendor as Vendor>::Record;

fn read<C: AuthCase>(client: &Client<C>) -> BoxFuture<'static, Result<Response<Record<C>>, Error>> {
    C::Vendor::read(client)
}

/// The methods that every mock server has under the same names; with `logins`, those of a vendor that grants tokens too.
macro_rules! handles {
    ($($logins:ident)?) => {
        fn status(client: &Self::Client) -> servicebay::AuthStatus {
            client.auth_status()
        }

        fn current_token(client: &Self::Client) -> BoxFuture<'static, Result<secrecy::SecretString, Error>> {
            let client = client.clone();
            Box::pin(async move { client.current_token().await })
        }

        fn log_in(client: &Self::Client) -> BoxFuture<'static, Result<servicebay::AuthStatus, Error>> {
            let client = client.clone();
            Box::pin(async move { client.log_in().await })
        }

        fn counters(&self) -> servicebay::testing::Counters {
            Self::counters(self)
        }

        fn fault(&self, fault: servicebay::testing::Fault) {
            Self::fault(self, fault);
        }

        fn now(&self) -> jiff::Timestamp {
            Self::now(self)
        }

        crate::conformance::handles!(@ $($logins)?);
    };
    (@ logins) => {
        fn end_access_tokens(&self) {
            Self::end_access_tokens(self);
        }

        fn token_requests(&self) -> usize {
            Self::token_requests(self).len()
        }
    };
    (@) => {
        fn end_access_tokens(&self) {}

        fn token_requests(&self) -> usize {
            0
        }
    };
}

use handles;
