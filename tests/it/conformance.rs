//! What holds for every vendor and every way in: one body for each property, a row for each way in. A test's name is the
//! property and the row: `conformance::a_401_is_repeated_once_with_a_new_token::fentu`.

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
use servicebay::testing::{Counters, Fault};
use servicebay::{AuthStatus, ClientBuilder, Error, Response};

/// Runs properties for rows: a module for each property, a test in it for each row.
macro_rules! holds {
    ($rows:tt => $($topic:ident::$property:ident),+ $(,)?) => { $( holds!(@property $rows $topic $property); )+ };
    (@property [$($row:ident: $way:ty),+ $(,)?] $topic:ident $property:ident) => {
        mod $property {
            #[allow(unused_imports, reason = "not every property has a row of every vendor")]
            use super::{fentu, fisikal, fixably, repairy};
            $(
                #[tokio::test(start_paused = true)]
                async fn $row() {
                    super::$topic::$property::<$way>().await;
                }
            )+
        }
    };
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fentu_key: fentu::Key, repairy: repairy::App,
     fisikal: fisikal::Password, fisikal_session: fisikal::Session]
    => tokens::the_first_call_gets_in,
    calls::a_403_is_forbidden_with_the_scopes_and_not_repeated,
    calls::a_429_is_waited_out_whatever_form_its_reset_has,
    calls::a_write_whose_answer_is_lost_is_not_repeated,
    calls::a_field_that_nobody_knows_survives,
    calls::a_value_that_nobody_knows_survives,
    secrets::nothing_that_is_printed_shows_a_secret,
    secrets::no_span_and_no_event_shows_a_secret,
}

holds! {
    [fixably: fixably::Bearer, repairy: repairy::App, fisikal: fisikal::Password]
    => tokens::ten_thousand_first_callers_make_one_login_at_most,
}

// The vendor grants tokens, and says how long they live or documents it.
holds! {
    [fentu: fentu::OAuth, repairy: repairy::App, fisikal: fisikal::Password]
    => tokens::a_token_is_renewed_in_its_last_fifth_and_callers_lose_no_time,
    tokens::a_renewal_goes_on_when_all_its_callers_are_gone,
    tokens::a_renewal_ahead_of_the_end_outlives_the_call_that_began_it,
    tokens::ten_thousand_callers_at_the_end_make_one_token_request,
}

// The vendor grants tokens.
holds! {
    [fentu: fentu::OAuth, repairy: repairy::App, fisikal: fisikal::Password, fisikal_session: fisikal::Session]
    => tokens::a_401_is_repeated_once_with_a_new_token,
    tokens::a_second_401_is_unauthorized,
    tokens::a_write_that_a_401_refused_is_sent_again,
    secrets::a_token_endpoint_that_repeats_what_it_was_sent_gives_nothing_away,
}

// A person made the token.
holds! {
    [fixably: fixably::Bearer, fentu_key: fentu::Key]
    => tokens::a_401_is_told_at_once_where_nothing_can_be_renewed,
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fisikal: fisikal::Password]
    => calls::a_walk_ends_with_every_item_once,
}

holds! {
    [fentu: fentu::OAuth, fisikal: fisikal::Password]
    => calls::a_walk_goes_on_over_the_end_of_its_token,
}

holds! {
    [fixably: fixably::Bearer, fentu: fentu::OAuth, fentu_key: fentu::Key]
    => calls::a_scope_that_is_missing_is_named,
}

/// A vendor's tenant, and what the suite asks of every vendor.
trait Vendor: 'static {
    type Client: Clone + Debug + Send + Sync;
    type Record: Debug + Send;

    /// The path of a read, as faults name it.
    const READ: &str;
    /// Operation and path of a write that must not be repeated.
    const WRITE: (&str, &str);
    /// The scopes that the read takes, where the vendor has scopes.
    const SCOPES: &[&str];

    fn read(client: &Self::Client) -> BoxFuture<'static, Result<Response<Self::Record>, Error>>;
    fn write(client: &Self::Client) -> BoxFuture<'static, Result<(), Error>>;
    fn status(client: &Self::Client) -> AuthStatus;

    /// Puts the value `ORBIT` where the read has one of a few known ones.
    fn odd_value() -> Fault;
    /// What a record has there.
    fn value_of(record: &Self::Record) -> Option<String>;

    fn counters(&self) -> Counters;
    fn fault(&self, fault: Fault);
    fn now(&self) -> Timestamp;
    /// Ends all access tokens before their time. Tokens that a person made stay.
    fn end_access_tokens(&self);
    /// How many requests for tokens arrived.
    fn token_requests(&self) -> usize;
}

/// A vendor with a list in pages.
trait Paged: Vendor {
    /// How many items the list has.
    const ITEMS: usize;

    /// The ids of all items, from pages of this size.
    fn walk(client: &Self::Client, size: u32) -> BoxStream<'static, Result<String, Error>>;
}

/// A way in to a vendor's tenant.
trait WayIn: Sized + 'static {
    type Vendor: Vendor;

    /// How many token requests the first call takes.
    const LOGINS: usize;
    /// What the client must never show: of the credentials, and the tokens that it has after its first call.
    const SECRETS: &[&str];
    /// The tokens that it has after a 401, where it gets new ones.
    const RENEWED: &[&str];

    /// A tenant with no limit on requests.
    fn new() -> Self;
    fn tenant(&self) -> &Self::Vendor;
    fn credentials(&self) -> Box<dyn Debug>;
    fn builder(&self) -> ClientBuilder<Client<Self>>;

    fn client(&self) -> Client<Self> {
        self.builder().build().unwrap()
    }
}

/// A way in whose tokens are renewed ahead of their end.
trait Renewed: WayIn {
    /// How long an access token lives.
    const LIFE: Duration;
    /// Where a token that lives is renewed.
    const RENEWAL: &str;
    /// Where the next token comes from when the last one is over.
    const SUCCESSION: &str;
}

/// A way in whose token may do no more than its scopes say.
trait Scoped: WayIn {
    /// A client that may do something, but not the read.
    fn unprivileged(&self) -> ClientBuilder<Client<Self>>;
}

type Client<W> = <<W as WayIn>::Vendor as Vendor>::Client;
type Record<W> = <<W as WayIn>::Vendor as Vendor>::Record;

fn read<W: WayIn>(client: &Client<W>) -> BoxFuture<'static, Result<Response<Record<W>>, Error>> {
    W::Vendor::read(client)
}

/// The handles that every tenant has under the same names; with `logins`, those of a vendor that grants tokens too.
macro_rules! handles {
    ($($logins:ident)?) => {
        fn status(client: &Self::Client) -> servicebay::AuthStatus {
            client.auth_status()
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
