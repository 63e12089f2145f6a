//! The case of Repairy: a partner with key and secret.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::TryFutureExt as _;
use futures_util::future::BoxFuture;
use jiff::civil::date;
use servicebay::repairy::Client;
use servicebay::repairy::types::{Booking, BookingCreate, CarInput, CustomerInput, ServiceCategory, ServiceInput};
use servicebay::testing::Fault;
use servicebay::testing::repairy::{MockServer, Partner};
use servicebay::{ClientBuilder, Error, Response};

use super::{AuthCase, Refreshable, Vendor, handles};

impl Vendor for MockServer {
    type Client = Client;
    type Record = Booking;

    const READ: &str = "/bookings/{id}";
    const WRITE: (&str, &str) = ("create_booking", "/bookings");
    const SCOPES: &[&str] = &[];

    fn read(client: &Client) -> BoxFuture<'static, Result<Response<Booking>, Error>> {
        Box::pin(client.get_booking().id("670000000000000000000001").send())
    }

    fn write(client: &Client) -> BoxFuture<'static, Result<(), Error>> {
        let booking = BookingCreate::new()
            .workshop_id("640000000000000000000001")
            .customer(CustomerInput::new().first_name("Ada").email("ada@mail.example").phone("0400000009"))
            .car(CarInput::new().rego("XYZ987").make("Mazda").model("3").year(2021))
            .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0))
            .services([ServiceInput::custom("Custom Brake Service", ServiceCategory::Repair).cost(149.5)]);
        Box::pin(client.create_booking().body(booking).send().map_ok(|_| ()))
    }

    fn unknown_value() -> Fault {
        Fault::field("status", "ORBIT")
    }

    fn value_of(booking: &Booking) -> Option<String> {
        booking.status.as_ref().map(ToString::to_string)
    }

    handles!(logins);
}

/// A partner's app.
pub(super) struct App(MockServer);

impl AuthCase for App {
    type Vendor = MockServer;

    const LOGINS: usize = 1;
    const SECRETS: &[&str] = &["test-access-1-1", "test-refresh-1-1", "test-app-secret"];
    // A refresh needs a valid access token, so after a 401 the client logs in.
    const REFRESHED_SECRETS: &[&str] = &["test-access-2-1", "test-refresh-2-1"];

    fn new() -> Self {
        Self(MockServer::builder().in_memory())
    }

    fn server(&self) -> &MockServer {
        &self.0
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(self.0.credentials())
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.0.client_builder(Partner::Main)
    }
}

impl Refreshable for App {
    const LIFETIME: Duration = Duration::from_secs(48 * 3600);
    const REFRESH_PATH: &str = "/auth/refresh";
    const EXPIRED_PATH: &str = "/auth/token";
}
