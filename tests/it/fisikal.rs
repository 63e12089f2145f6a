//! What is specific to Fisikal: parameters in one JSON object, wrapped bodies, and errors in responses with status 200.

use std::time::Duration;

use futures_util::TryStreamExt;
use http::Method;
use serde_json::{Value, json};
use servicebay::fisikal::types::{
    ErrorType, ForClient, ProductType, PurchaseCreate, PurchaseItem, SignUp, StripeCheckout, StripeConfirm,
};
use servicebay::fisikal::{self, Direction, FamilyPermissions, PageLimit, Sex};
use servicebay::testing::fisikal::{MockServer, Role};
use servicebay::testing::{Fault, Script, Step};
use servicebay::{Confidence, Error};

/// A client whose responses are scripted.
fn scripted(steps: impl IntoIterator<Item = Step>) -> (fisikal::Client, Script) {
    let script = Script::new(steps);
    let builder = fisikal::Client::builder(fisikal::Credentials::bearer("hush-hush-token"));
    (builder.with_tenant("acme").with_transport(script.clone()).build().unwrap(), script)
}

/// The URL of the first request.
fn url(script: &Script) -> url::Url {
    script.requests()[0].uri.to_string().parse().expect("an absolute URL")
}

/// The only query parameter of the first request, with its value as JSON.
fn query(script: &Script) -> (String, Value) {
    let url = url(script);
    let mut pairs = url.query_pairs();
    let (name, value) = pairs.next().expect("a query");
    assert_eq!(pairs.next(), None, "{url}");
    (name.into_owned(), serde_json::from_str(&value).expect("JSON"))
}

fn client_2001() -> ForClient {
    ForClient::new(2001)
}

fn kinds(error: &Error) -> Vec<ErrorType> {
    fisikal::errors(error).into_iter().filter_map(|item| item.kind).collect()
}

#[tokio::test]
async fn parameters_are_sent_as_one_json_object_with_their_types() {
    let (client, script) = scripted([Step::json(200, json!({"locations": []}))]);
    let locations = client.list_locations().hidden(false).region_id(7).tag_ids([1, 2]).fulltext("a&b=\"ü\"");
    locations.sort_by_name(Direction::Descending).limit(PageLimit::new(20).after(40)).send().await.unwrap();
    let expected = json!({
        "unified_filters": {"hidden": false, "region_id": 7, "tag_ids": [1, 2], "fulltext": "a&b=\"ü\""},
        "unified_sorting": {"name": false},
        "limit": {"start": 40, "count": 20},
    });
    assert_eq!(query(&script), ("json".to_owned(), expected));
    assert_eq!(url(&script).path(), "/api/unified/clubs/locations");
}

#[tokio::test]
async fn a_call_without_parameters_has_no_query() {
    let (client, script) = scripted([Step::json(200, json!({"locations": []}))]);
    client.list_locations().send().await.unwrap();
    assert_eq!(url(&script).query(), None);
}

#[tokio::test]
async fn two_parameters_with_one_name_are_sent_in_different_places() {
    let (client, script) = scripted([Step::json(200, json!({"service_packages": []}))]);
    client.list_service_packages().at_location(1).location_id(2).credit_service_ids([3, 4]).send().await.unwrap();
    let filters = json!({"location_id": 2, "credit_service_ids": "3,4"});
    assert_eq!(query(&script).1, json!({"location_id": 1, "unified_filters": filters}));
}

#[tokio::test]
async fn an_operation_with_a_flat_query_sends_one() {
    let (client, script) = scripted([Step::json(200, json!({"time_slots": []}))]);
    client.list_time_slots().since("2026-03-02T09:00:00Z").service_id(3).send().await.unwrap();
    let url = url(&script);
    assert_eq!(url.path(), "/api/unified/schedule/appointments/1/time_slots");
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let expected = [("since", "2026-03-02T09:00:00Z"), ("service_id", "3")];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn an_invalid_limit_and_an_empty_filter_are_refused_before_sending() {
    let (client, script) = scripted([]);
    let range = client.list_locations().limit(0).send().await;
    let ids = client.list_service_packages().credit_service_ids(Vec::<i64>::new()).send().await;
    for (outcome, name) in [(range.map(|_| ()), "limit"), (ids.map(|_| ()), "credit_service_ids")] {
        match outcome {
            Err(Error::InvalidRequest(error)) => assert!(error.to_string().contains(name), "{error}"),
            other => panic!("{other:?}"),
        }
    }
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn the_two_kinds_of_token_are_sent_in_different_headers() {
    let step = || Step::json(200, json!({"user": {}}));
    let (client, script) = scripted([step()]);
    client.get_profile().send().await.unwrap();
    assert_eq!(script.requests()[0].headers["authorization"], "Bearer hush-hush-token");

    let script = Script::new([step()]);
    let credentials = fisikal::Credentials::session_token("hush-hush-token");
    let client =
        fisikal::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build().unwrap();
    client.get_profile().send().await.unwrap();
    let headers = &script.requests()[0].headers;
    assert_eq!(headers["x-fisikal-token"], "hush-hush-token");
    assert!(!headers.contains_key("authorization"));
}

#[tokio::test]
async fn bodies_are_wrapped_and_unwrapped() {
    let body = json!({"client": {"id": 7}, "trace": "x"});
    let (client, script) = scripted([Step::json(200, body.clone())]);
    let sent = fisikal::types::ClientCreate::new().name("Ada").sex(Sex::Female).password("correct horse");
    let user = client.create_client().body(sent).send().await.unwrap();
    assert_eq!(user.id, Some(7.into()));
    assert_eq!(user.payload::<Value>().unwrap(), body, "the whole body is still there");
    let sent: Value = serde_json::from_slice(&script.requests()[0].body).unwrap();
    assert_eq!(sent, json!({"client": {"name": "Ada", "sex": false, "password": "correct horse"}}));
}

#[tokio::test]
async fn a_response_without_its_wrapper_is_a_decode_error() {
    for body in [json!({}), json!({"venue": {"id": 1}}), json!([]), json!("none")] {
        let (client, _script) = scripted([Step::json(200, body.clone())]);
        match client.get_location().id(1).send().await {
            Err(Error::Decode(decode)) => {
                assert_eq!(decode.status().map(|status| status.as_u16()), Some(200), "{body}")
            }
            other => panic!("{body}: {other:?}"),
        }
    }
    let (client, _script) = scripted([Step::json(200, json!({"location": "the third"}))]);
    match client.get_location().id(1).send().await {
        Err(Error::Decode(decode)) => assert!(decode.to_string().contains("unexpected shape"), "{decode}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_location_that_is_null_is_not_found() {
    let server = MockServer::builder().in_memory();
    match server.client().unwrap().get_location().id(99).send().await {
        Err(error @ Error::NotFound(_)) => assert!(error.to_string().contains("no such object"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_null_response_to_a_write_is_a_decode_error() {
    let (client, _script) = scripted([Step::json(200, json!({"occurrence": null}))]);
    match client.join_occurrence().id(5).body(client_2001()).send().await {
        Err(error @ Error::Decode(_)) => assert!(error.maybe_applied()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn errors_in_a_response_with_status_200_are_a_validation_error() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    for (class, who, kind) in [
        (2, 2001, ErrorType::AdvanceTimeRestriction),
        (5, 2003, ErrorType::NotEnoughCredits),
        (7, 2001, ErrorType::Invalid),
    ] {
        for refused in [
            client.precheck_occurrence().id(class).body(ForClient::new(who)).send().await,
            client.join_occurrence().id(class).body(ForClient::new(who)).send().await,
        ] {
            let error = refused.expect_err("refused");
            assert_eq!(kinds(&error), std::slice::from_ref(&kind));
            let Error::Validation(invalid) = &error else { panic!("{error:?}") };
            assert_eq!(invalid.status().map(|status| status.as_u16()), Some(200));
            assert_eq!(invalid.code(), Some(kind.as_str()));
            assert!(!error.maybe_applied() && !error.is_retryable());
            assert!(error.to_string().contains(kind.as_str()), "{error}");
        }
    }
}

#[tokio::test]
async fn a_validation_error_is_the_same_for_every_status() {
    for status in [200, 422] {
        let server = MockServer::builder().with_booking_error_status(status).in_memory();
        let refused = server.client().unwrap().join_occurrence().id(2).body(client_2001()).send().await;
        match refused.expect_err("refused") {
            Error::Validation(invalid) => {
                let fields: Vec<_> = invalid.fields().collect();
                assert_eq!(fields, [("occurrences", "advance_time_restriction")], "{status}");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_unknown_error_type_is_kept_as_text() {
    let errors = json!({"occurrence": {"id": 5, "errors": [{"on": "moon", "type": "too_full", "options": 7}]}});
    let (client, _script) = scripted([Step::json(200, errors)]);
    let error = client.join_occurrence().id(5).body(client_2001()).send().await.expect_err("refused");
    assert_eq!(kinds(&error), [ErrorType::from("too_full")]);
}

#[tokio::test]
async fn an_empty_list_of_errors_is_a_success() {
    for errors in [json!([]), json!(null)] {
        let body = json!({"occurrence": {"id": 5, "errors": errors}, "errors": errors});
        let (client, _script) = scripted([Step::json(200, body)]);
        assert_eq!(client.join_occurrence().id(5).body(client_2001()).send().await.unwrap().id, Some(5.into()));
    }
}

#[tokio::test]
async fn a_read_whose_object_has_errors_is_a_success() {
    let body = json!({"user": {"id": 1, "errors": [{"on": "dob", "type": "invalid"}]}});
    let (client, _script) = scripted([Step::json(200, body)]);
    let profile = client.get_profile().send().await.unwrap();
    assert_eq!(profile.errors[0].kind, Some(ErrorType::Invalid));
}

#[tokio::test]
async fn every_item_of_a_list_is_returned_once_with_any_limit() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    for (limit, requests) in [(None, 1), (Some(1), 60), (Some(7), 9), (Some(60), 1), (Some(100), 1)] {
        let before = server.counters().operation("list_money_transactions");
        let mut list = client.list_money_transactions().sort_by_created_at(Direction::Ascending);
        if let Some(limit) = limit {
            list = list.limit(limit);
        }
        let ids: Vec<_> = list.items().map_ok(|item| item.id.unwrap().get()).try_collect().await.unwrap();
        assert_eq!(ids, (1..=60).collect::<Vec<_>>(), "{limit:?}");
        assert_eq!(server.counters().operation("list_money_transactions") - before, requests, "{limit:?}");
    }
}

#[tokio::test]
async fn a_walk_starts_where_its_limit_starts() {
    let server = MockServer::builder().in_memory();
    let list = server.client().unwrap().list_money_transactions().limit(PageLimit::new(10).after(45));
    let ids: Vec<_> = list.items().map_ok(|item| item.id.unwrap().get()).try_collect().await.unwrap();
    assert_eq!(ids, (46..=60).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_shorter_than_requested_lose_no_item() {
    let page = |ids: std::ops::Range<i64>| {
        let items: Vec<_> = ids.map(|id| json!({"id": id})).collect();
        Step::json(200, json!({"locations": items, "count": 5}))
    };
    let (client, script) = scripted([page(0..2), page(2..4), page(4..5)]);
    let ids: Vec<_> = client.list_locations().limit(100).items().map_ok(|item| item.id).try_collect().await.unwrap();
    assert_eq!(ids, (0..5).map(|id: i64| Some(id.into())).collect::<Vec<_>>());
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test]
async fn a_list_under_another_name_is_a_decode_error() {
    for body in [json!({}), json!({"data": []}), json!({"count": 3}), json!({"locations": "none"})] {
        let (client, _script) = scripted([Step::json(200, body.clone())]);
        let page = client.list_locations().send().await;
        assert!(matches!(page, Err(Error::Decode(_))), "{body}: {page:?}");
    }
}

#[tokio::test]
async fn an_invalid_value_costs_only_its_own_field() {
    for invalid in [json!("text"), json!(-1.5), json!(true), json!([]), json!({"a": []}), json!(null)] {
        let location = json!({"id": 1, "name": "Harbour", "hidden": invalid, "latitude": invalid, "directory": invalid, "region_id": invalid});
        let (client, _script) = scripted([Step::json(200, json!({"locations": [location], "count": invalid}))]);
        let page = client.list_locations().send().await.unwrap_or_else(|error| panic!("{invalid}: {error}"));
        assert_eq!(page.items[0].name.as_deref(), Some("Harbour"), "{invalid}");
    }
}

#[tokio::test]
async fn one_hour_is_read_from_every_observed_form() {
    let server = MockServer::builder().in_memory();
    let services = server.client().unwrap().list_services().send().await.unwrap();
    let minutes: Vec<_> =
        services.items.iter().map(|service| service.duration().map(|length| length.as_mins())).collect();
    assert_eq!(minutes, [Some(45), Some(60), Some(60)]);
}

#[tokio::test]
async fn a_profile_keeps_fields_that_are_not_modeled() {
    let profile = json!({"id": 1, "name": "Ada", "sex": true, "shoe_size": 39, "shipping_address": {"town": "Leeds", "floor": 3}});
    let (client, script) = scripted([Step::json(200, json!({"user": profile})), Step::json(200, json!({}))]);
    let read = client.get_profile().send().await.unwrap().into_inner();
    assert_eq!(read.sex, Some(Sex::Male));
    client.update_profile().body(read.name("Ada Byrne")).send().await.unwrap();
    let sent: Value = serde_json::from_slice(&script.requests()[1].body).unwrap();
    let mut expected = profile;
    expected["name"] = json!("Ada Byrne");
    let (sent, expected) = (sent["user"].as_object().unwrap(), expected.as_object().unwrap());
    for (name, value) in expected {
        assert_eq!(sent.get(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_client_signs_up_and_calls_with_its_own_token() {
    let server = MockServer::builder().in_memory();
    let body = SignUp::new().name("Dee").email("dee@club.example").password("correct horse").club_id(1);
    let user = server.client().unwrap().sign_up_client().body(body.clone()).send().await.unwrap().into_inner();
    let token = user.auth_token.expect("a token");
    let client = server.client_builder(fisikal::Credentials::session_token(token)).build().unwrap();
    assert_eq!(client.get_profile().send().await.unwrap().id, user.id);

    let again = client.sign_up_client().body(body.password("short")).send().await.expect_err("taken and too short");
    assert_eq!(kinds(&again), [ErrorType::Taken, ErrorType::Length]);
}

#[tokio::test]
async fn family_members_book_for_each_other_within_their_permissions() {
    let server = MockServer::builder().in_memory();
    let client = server.client_as(Role::Client).unwrap();
    client.join_occurrence().id(5).body(ForClient::new(2002)).send().await.unwrap();
    let stranger = client.join_occurrence().id(5).body(ForClient::new(2003)).send().await;
    assert!(matches!(stranger, Err(Error::Forbidden(_))), "{stranger:?}");

    client.update_family_permissions().body(FamilyPermissions::of(2001)).send().await.unwrap();
    let other = client.join_occurrence().id(6).body(ForClient::new(2002)).send().await;
    assert!(matches!(other, Err(Error::Forbidden(_))), "{other:?}");
}

#[tokio::test]
async fn a_payment_that_needs_confirmation_names_the_page_and_can_be_confirmed() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let items = [PurchaseItem::new(101, ProductType::ServicePackage, 1)];
    let purchase = client.create_purchase().body(PurchaseCreate::new(items).client_id(2003)).send().await.unwrap();
    let order = purchase.payment_intent.as_ref().and_then(|intent| intent.order_id).unwrap();

    let checkout = StripeCheckout::new(order, "pm_confirm", "https://club.example/done");
    let error = client.checkout_stripe().body(checkout).send().await.expect_err("a confirmation is needed");
    let errors = fisikal::errors(&error);
    assert_eq!(errors[0].kind, Some(ErrorType::RequiresAction));
    assert!(errors[0].stripe_url().is_some_and(|page| page.starts_with("https://")), "{errors:?}");

    let order = client.confirm_stripe().body(StripeConfirm::new(order, "pi_1")).send().await.unwrap();
    assert_eq!(order.completed, Some(true));
    client.join_occurrence().id(5).body(ForClient::new(2003)).send().await.expect("the package pays for it");
}

#[tokio::test]
async fn an_unknown_promo_code_gives_no_discount() {
    let server = MockServer::builder().in_memory();
    let items = [PurchaseItem::new(101, ProductType::ServicePackage, 1)];
    let body = fisikal::types::PromocodeApply::new("NOPE", items);
    assert_eq!(server.client().unwrap().apply_promocode().body(body).send().await.unwrap().discount, None);
}

#[tokio::test(start_paused = true)]
async fn a_booking_with_a_lost_response_is_repeated_and_may_report_taken() {
    let server = MockServer::builder().in_memory();
    server.fault(Fault::lost_response().on("PUT", "/api/unified/schedule/occurrences/{id}/join"));
    let again = server.client().unwrap().join_occurrence().id(5).body(client_2001()).send().await;
    assert_eq!(kinds(&again.expect_err("the first one won")), [ErrorType::Taken]);
    assert_eq!(server.counters().operation("join_occurrence"), 2);
}

#[tokio::test(start_paused = true)]
async fn a_purchase_with_a_lost_response_is_not_repeated() {
    let server = MockServer::builder().in_memory();
    server.fault(Fault::lost_response().on("POST", "/api/unified/shop/shop/purchase"));
    let items = [PurchaseItem::new(101, ProductType::ServicePackage, 1)];
    let lost = server.client().unwrap().create_purchase().body(PurchaseCreate::new(items)).send().await;
    assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    assert_eq!(server.counters().operation("create_purchase"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_class_is_a_validation_error_without_entries() {
    let server = MockServer::builder().in_memory();
    match server.client().unwrap().join_occurrence().id(3).body(client_2001()).send().await {
        Err(error @ Error::Validation(_)) => assert!(fisikal::errors(&error).is_empty()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_mock_server_has_a_schedule_for_later_months() {
    let server = MockServer::builder().with_access_lifetime(Duration::from_secs(400 * 24 * 3600)).in_memory();
    let client = server.client().unwrap();
    tokio::time::advance(Duration::from_secs(90 * 24 * 3600)).await;
    let (now, week) = (server.now(), jiff::SignedDuration::from_hours(7 * 24));
    let ahead = client.list_occurrences().since(now).till(now + week).visible_on_schedule(true).limit(5).items();
    let classes: Vec<_> = ahead.try_collect().await.unwrap();
    assert_eq!(classes.len(), 14);
}

#[tokio::test]
async fn raw_requests_accept_parameters_in_both_encodings() {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let path = "api/unified/clubs/locations.json";
    let json = client.request(Method::GET, path).query("json", r#"{"unified_filters":{"parent_id":1}}"#);
    let brackets = client.request(Method::GET, path).query("unified_filters[parent_id]", 1).query("limit[start]", 0);
    let brackets = brackets.query("limit[count]", 10);
    for request in [json, brackets] {
        let response = request.send::<Value>().await.unwrap();
        assert_eq!(response["count"], 2, "{}", *response);
    }
}

#[tokio::test]
async fn a_revoked_token_is_unauthorized_and_a_role_without_rights_is_forbidden() {
    let server = MockServer::builder().in_memory();
    let client = server.client_as(Role::Client).unwrap();
    let refused = client.list_money_transactions().send().await;
    assert!(matches!(refused, Err(Error::Forbidden(_))), "{refused:?}");
    server.revoke_all();
    let refused = client.get_profile().send().await;
    assert!(matches!(refused, Err(Error::Unauthorized(_))), "{refused:?}");
}

#[test]
fn invalid_tokens_are_refused_and_not_shown() {
    for token in ["", "two\nlines", "a b", "ü"] {
        for credentials in [fisikal::Credentials::bearer(token), fisikal::Credentials::session_token(token)] {
            let error = fisikal::Client::builder(credentials).with_tenant("acme").build().expect_err(token);
            assert!(error.to_string().contains("token"), "{error}");
            assert!(token.is_empty() || !error.to_string().contains(token), "{error}");
        }
    }
}

#[test]
fn only_the_vendors_documented_operations_are_marked_documented() {
    let documented =
        fisikal::operations::ALL.iter().filter(|operation| operation.confidence() == Confidence::Documented);
    let names: Vec<_> = documented.map(|operation| operation.id()).collect();
    assert_eq!(names, ["list_locations", "get_location", "list_money_transactions", "list_credit_transactions"]);
}
