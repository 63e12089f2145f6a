//! Row A13: tokens are sent to the client's own vendor only.

use servicebay::fentu::Application;
use servicebay::testing::Fault;

use super::*;

#[tokio::test]
async fn a_redirect_of_the_token_endpoint_sends_no_password_and_no_secret_elsewhere() {
    let (server, elsewhere) = tokio::join!(
        fisikal_testing::MockServer::start(),
        fisikal_testing::MockServer::builder().with_refresh_tokens().start()
    );
    let other_url = format!("{}/oauth/token", elsewhere.base_url());
    server.fault(Fault::redirect(&other_url).on("POST", "/oauth/token").always());
    let client = server.client_builder(manager(&server)).build().unwrap();
    let error = profile(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("redirects, which is not followed"), "{error}");
    assert_eq!((server.counters().requests(), elsewhere.counters().requests()), (1, 0));
}

#[tokio::test]
async fn a_redirected_call_sends_no_token_elsewhere() {
    let (server, elsewhere) = tokio::join!(repairy_testing::MockServer::start(), repairy_testing::MockServer::start());
    let other_url = format!("{}/bookings/1", elsewhere.base_url());
    server.fault(Fault::redirect(&other_url).on("GET", "/bookings/{id}"));
    let error = booking(&server.client().unwrap()).await.unwrap_err();
    assert_eq!(error.call_error().unwrap().status().unwrap().as_u16(), 307);
    assert_eq!(elsewhere.counters().requests(), 0);
}

#[test]
fn credentials_of_every_kind_are_sent_over_plain_http_to_this_machine_only() {
    let base = "http://vendor.example";
    let tokens = TokenSet::new("a").with_refresh_token("r");
    let errors = [
        fentu::Client::builder(fentu::Credentials::oauth("id", "secret", tokens)).with_base_url(base).build().err(),
        fisikal::Client::builder(fisikal::Credentials::password("id", "secret", "user", "password"))
            .with_base_url(base)
            .build()
            .err(),
        repairy::Client::builder(repairy::Credentials::app("key", "secret", "partner"))
            .with_base_url(base)
            .build()
            .err(),
        Application::builder("id", "secret").with_base_url(base).build().err(),
    ];
    for error in errors {
        let Some(Error::Config(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.field(), "base_url");
    }
    let loopback = Application::builder("id", "secret").with_base_url("http://127.0.0.1:1/v1").build();
    assert!(loopback.is_ok(), "{loopback:?}");
}
