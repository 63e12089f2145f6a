//! Request bodies with fields that are not sent, sent as `null`, or sent with a value.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use servicebay::fixably::types::{AddressInput, CustomerWrite};
use servicebay::testing::fixably::MockServer;

#[tokio::test]
async fn a_field_is_kept_cleared_or_set() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let customer = CustomerWrite::new().first_name("Ada").company("Analytical").phone("1").email("ada@example.com");
    let id = client.create_customer().body(customer).send().await.unwrap().id().unwrap();

    let update = CustomerWrite::new().clear_phone().company("Engines");
    client.update_customer().id(id).body(update).send().await.unwrap();
    let customer = client.get_customer().id(id).send().await.unwrap();
    assert_eq!(
        [&customer.first_name, &customer.company, &customer.phone, &customer.email].map(Option::as_deref),
        [Some("Ada"), Some("Engines"), None, Some("ada@example.com")]
    );
}

#[tokio::test]
async fn an_object_in_a_body_is_cleared_as_a_whole_or_field_by_field() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let address = AddressInput::new().city("London").zip("W1");
    let customer = CustomerWrite::new().phone("1").billing_address(address.clone()).shipping_address(address);
    let id = client.create_customer().body(customer).send().await.unwrap().id().unwrap();

    let update =
        CustomerWrite::new().clear_billing_address().shipping_address(AddressInput::new().city("Paris").clear_zip());
    client.update_customer().id(id).body(update).send().await.unwrap();
    let customer = client.get_customer().id(id).send().await.unwrap();
    assert!(customer.billing_address.is_none(), "{:?}", customer.billing_address);
    let shipping = customer.shipping_address.as_ref().and_then(|address| address.expanded()).unwrap();
    assert_eq!((shipping.city.as_deref(), shipping.zip.as_deref()), (Some("Paris"), None));
}

#[test]
fn the_last_setter_of_a_field_counts() {
    let json = |body: CustomerWrite| serde_json::to_value(body).unwrap();
    assert_eq!(json(CustomerWrite::new().phone("1").clear_phone()), json!({"phone": null}));
    assert_eq!(json(CustomerWrite::new().clear_phone().phone("1")), json!({"phone": "1"}));
    assert_eq!(CustomerWrite::new().clear_phone().phone, Some(None));
    assert_eq!(json(CustomerWrite::new()), json!({}));
}

/// A field's value; `None` leaves it out, `Some(None)` clears it.
fn state() -> impl Strategy<Value = Option<Option<String>>> {
    prop_oneof![Just(None), Just(Some(None)), any::<String>().prop_map(|text| Some(Some(text)))]
}

/// A setter, the method that clears, and the name that is sent.
type Field = (fn(CustomerWrite, String) -> CustomerWrite, fn(CustomerWrite) -> CustomerWrite, &'static str);

proptest! {
    #[test]
    fn a_body_has_the_fields_that_were_set_or_cleared_and_no_others(states in prop::array::uniform9(state())) {
        let fields: [Field; 9] = [
            (CustomerWrite::first_name, CustomerWrite::clear_first_name, "firstName"),
            (CustomerWrite::last_name, CustomerWrite::clear_last_name, "lastName"),
            (CustomerWrite::company, CustomerWrite::clear_company, "company"),
            (CustomerWrite::phone, CustomerWrite::clear_phone, "phone"),
            (CustomerWrite::email, CustomerWrite::clear_email, "email"),
            (CustomerWrite::business_id, CustomerWrite::clear_business_id, "businessId"),
            (CustomerWrite::language, CustomerWrite::clear_language, "language"),
            (CustomerWrite::provider, CustomerWrite::clear_provider, "provider"),
            (CustomerWrite::identifier, CustomerWrite::clear_identifier, "identifier"),
        ];
        let mut body = CustomerWrite::new();
        let mut expected = Map::new();
        for ((set, clear, name), state) in fields.into_iter().zip(states) {
            match state {
                None => {}
                Some(None) => {
                    body = clear(body);
                    expected.insert(name.to_owned(), Value::Null);
                }
                Some(Some(text)) => {
                    body = set(body, text.clone());
                    expected.insert(name.to_owned(), text.into());
                }
            }
        }
        prop_assert_eq!(serde_json::to_value(body).unwrap(), Value::Object(expected));
    }
}
