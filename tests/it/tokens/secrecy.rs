//! Row A13: tokens go to the client's own vendor alone.

use servicebay::fentu::Application;
use servicebay::testing::Fault;

use super::*;

#[tokio::test]
async fn a_token_endpoint_that_redirects_gets_neither_password_nor_secret_sent_elsewhere() {
    let (tenant, elsewhere) = tokio::join!(
        fisikal_testing::MockServer::start(),
        fisikal_testing::MockServer::builder().with_refresh_tokens().start()
    );
    let trap = format!("{}/oauth/token", elsewhere.base_url());
    tenant.fault(Fault::redirect(&trap).on("POST", "/oauth/token").always());
    let client = tenant.client_builder(manager(&tenant)).build().unwrap();
    let error = profile(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("redirects, which is not followed"), "{error}");
    assert_eq!((tenant.counters().requests(), elsewhere.counters().requests()), (1, 0));
}

#[tokio::test]
async fn a_call_that_is_redirected_carries_no_granted_token_elsewhere() {
    let (tenant, elsewhere) = tokio::join!(repairy_testing::MockServer::start(), repairy_testing::MockServer::start());
    let trap = format!("{}/bookings/1", elsewhere.base_url());
    tenant.fault(Fault::redirect(&trap).on("GET", "/bookings/{id}"));
    let error = booking(&tenant.client().unwrap()).await.unwrap_err();
    assert_eq!(error.call_error().unwrap().status().unwrap().as_u16(), 307);
    assert_eq!(elsewhere.counters().requests(), 0);
}

#[test]
fn no_way_in_goes_over_plain_http_but_to_this_machine() {
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
    let here = Application::builder("id", "secret").with_base_url("http://127.0.0.1:1/v1").build();
    assert!(here.is_ok(), "{here:?}");
}
