//! The operations: they read and change the store.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::auth::Token;
use super::error_response::{bad_request, error, forbidden, not_found};
use super::expand::{Expand, Level};
use super::filter::Filter;
use super::options::Options;
use super::params::{self, Params};
use super::routes::{Action, Endpoint};
use super::schema::{Resource, Write};
use super::store::{PARENT, ROOT, Record, Store};
use super::validator::{Validator, body};
use super::view::View;
use crate::testing::clock::whole_second;
use crate::testing::error_response::ErrorResponse;
use crate::testing::response;
use crate::testing::router::RouteMatch;

/// Carries out one request whose token allows it.
pub(super) struct Handler<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Options,
    pub(super) store: &'a mut Store,
    pub(super) token: &'a Token,
    /// The time that the server shows.
    pub(super) now: Timestamp,
}

impl Handler<'_> {
    pub(super) fn handle(
        &mut self,
        found: &RouteMatch<'_, Endpoint>,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let action = found.route.endpoint.action;
        let known = match action {
            Action::List(_) => params::OF_A_LIST,
            Action::Read(_) | Action::ReadChild => &["expand"],
            _ => &[],
        };
        let params = Params::read(request.uri().query(), known)?;
        let (parent, id) = match *found.numbers() {
            [] => (ROOT, ROOT),
            [id] => (ROOT, id),
            [parent, id, ..] => (parent, id),
        };
        match action {
            Action::AddNotes => self.add_notes(id, &body(request)?),
            Action::Create(resource) => self.create(resource, &body(request)?),
            Action::Invoice => self.invoice(id, &body(request)?),
            // The only id in the path of a list is that of its parent.
            Action::List(resource) => self.list(resource, id, &params),
            Action::Read(resource) => self.read(resource, parent, id, &params),
            Action::ReadChild => self.read_child(parent, id, &params),
            Action::Update(resource) => self.update(resource, parent, id, &body(request)?),
        }
    }

    fn list(&self, resource: Resource, parent: i64, params: &Params) -> Result<Response<Bytes>, ErrorResponse> {
        let page = params.page(self.options.offset_and_page_status)?;
        let expand = params.expand(Level::List(resource))?;
        let hidden = |resource, field: &str| self.token.hides(resource, field);
        let filter = params.get("q").map(|q| Filter::parse(q, resource, hidden)).transpose();
        let filter = filter.map_err(bad_request)?.unwrap_or_default();
        if parent != ROOT {
            self.existing(Resource::Order, ROOT, parent)?;
        }

        let view = self.view();
        let records: Vec<_> = self
            .store
            .under(resource, parent)
            .filter(|record| view.sees(resource, record) && filter.matches(self.store, resource, record))
            .collect();
        Ok(response::json(StatusCode::OK, &view.list(resource, &records, page, &expand)))
    }

    /// The objects of one kind below a parent, by ascending id. An order has its lines, notes and tasks.
    pub(super) fn objects(&self, resource: Resource, parent: i64) -> Vec<Value> {
        let expand = match resource {
            Resource::Order => Expand::parse("lines(items),notes(items),tasks(items)", Level::Object(resource)),
            _ => Ok(Expand::default()),
        };
        let expand = expand.expect("an order has lines, notes and tasks");
        let records = self.store.under(resource, parent);
        records.map(|record| self.view().object(resource, record, &expand)).collect()
    }

    fn read(
        &self,
        resource: Resource,
        parent: i64,
        id: i64,
        params: &Params,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let expand = params.expand(Level::Object(resource))?;
        let record = self.existing(resource, parent, id)?;
        Ok(response::json(StatusCode::OK, &self.view().object(resource, record, &expand)))
    }

    fn read_child(&self, parent: i64, id: i64, params: &Params) -> Result<Response<Bytes>, ErrorResponse> {
        let child = self.existing(Resource::Customer, ROOT, id)?;
        if child.target(PARENT) != Some(parent) {
            return Err(not_found());
        }
        self.read(Resource::Customer, ROOT, id, params)
    }

    fn create(&mut self, resource: Resource, body: &Map<String, Value>) -> Result<Response<Bytes>, ErrorResponse> {
        let mut body = body.clone();
        let notes = if resource == Resource::Order { body.remove("notes") } else { None };
        let validator = self.validator();
        let mut values = validator.values(resource, Write::OnCreate, &body)?;
        validator.check_required(resource, &values)?;
        let notes = notes.map(|notes| validator.notes(&notes, self.token.user())).transpose()?.unwrap_or_default();
        self.restrict_to_customer(resource, &mut values)?;

        let now = self.time();
        values.insert("createdAt".to_owned(), now.clone());
        if resource == Resource::Order {
            values.insert("updatedAt".to_owned(), now);
            for (name, default) in [
                ("isClosed", json!(false)),
                ("isDraft", json!(false)),
                ("total", json!(0)),
                ("totalRemaining", json!(0)),
            ] {
                values.entry(name).or_insert(default);
            }
        }
        let id = self.store.add(resource, ROOT, values);
        for note in notes {
            self.add_note(id, note);
        }
        let record = self.store.get(resource, ROOT, id).expect("the record was just added");
        let object = self.view().object(resource, record, &Expand::default());
        Ok(response::json(self.options.post_status, &object))
    }

    fn update(
        &mut self,
        resource: Resource,
        parent: i64,
        id: i64,
        body: &Map<String, Value>,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let record = self.existing(resource, parent, id)?;
        let validator = self.validator();
        if body.is_empty() {
            return Err(validator.invalid("The body has to say what to change."));
        }
        let changes = validator.values(resource, Write::OnUpdate, body)?;
        // PUT on a customer is known only from the framework of one client, so a missing field keeps its value.
        let mut values = record.values.clone();
        values.extend(changes);
        validator.check_required(resource, &values)?;

        let record = self.store.get_mut(resource, parent, id).expect("the record was found above");
        record.values = values;
        let order = if resource == Resource::Order { id } else { parent };
        self.touch(order);
        let record = self.existing(resource, parent, id)?;
        Ok(response::json(StatusCode::OK, &self.view().object(resource, record, &Expand::default())))
    }

    fn add_notes(&mut self, order: i64, body: &Map<String, Value>) -> Result<Response<Bytes>, ErrorResponse> {
        self.existing(Resource::Order, ROOT, order)?;
        let validator = self.validator();
        if let Some(name) = body.keys().find(|name| *name != "notes" && !self.options.ignores_unknown_fields) {
            return Err(validator.invalid(format!("There is no field `{name}`.")));
        }
        let notes = validator.notes(body.get("notes").unwrap_or(&Value::Null), self.token.user())?;
        if notes.is_empty() {
            return Err(validator.invalid("`notes` has to hold at least one note."));
        }
        let ids: Vec<_> = notes.into_iter().map(|note| self.add_note(order, note)).collect();
        self.touch(order);
        let view = self.view();
        let notes = ids.into_iter().filter_map(|id| self.store.get(Resource::Note, order, id));
        let notes = notes.map(|note| view.object(Resource::Note, note, &Expand::default())).collect();
        // The vendor responds with a bare array here, not with a list in its envelope.
        Ok(response::json(self.options.post_status, &Value::Array(notes)))
    }

    fn add_note(&mut self, order: i64, mut note: Map<String, Value>) -> i64 {
        note.insert("createdAt".to_owned(), self.time());
        self.store.add(Resource::Note, order, note)
    }

    /// The fields of an invoice are unknown. Clients rely only on its `id`.
    fn invoice(&mut self, order: i64, body: &Map<String, Value>) -> Result<Response<Bytes>, ErrorResponse> {
        self.validator().check_invoice(self.existing(Resource::Order, ROOT, order)?, body)?;
        let id = self.store.add_invoice(order, body.clone());
        Ok(response::json(self.options.post_status, &json!({"id": id})))
    }

    /// A token with Customer access level acts for its customer: its orders belong to that customer, and it creates no
    /// customers.
    fn restrict_to_customer(&self, resource: Resource, values: &mut Map<String, Value>) -> Result<(), ErrorResponse> {
        let Some(own) = self.token.customer() else { return Ok(()) };
        match resource {
            Resource::Customer => Err(forbidden()),
            Resource::Order => {
                let customer = values.entry("customer").or_insert(Value::Null);
                if customer.is_null() {
                    *customer = own.into();
                }
                if *customer == own {
                    Ok(())
                } else {
                    Err(self.validator().invalid("`customer` refers to a record that does not exist."))
                }
            }
            _ => Ok(()),
        }
    }

    /// A record that exists and that the token may see.
    fn existing(&self, resource: Resource, parent: i64, id: i64) -> Result<&Record, ErrorResponse> {
        let record = self.store.get(resource, parent, id).ok_or_else(not_found)?;
        if self.view().sees(resource, record) {
            Ok(record)
        } else if self.options.foreign_record_status == StatusCode::NOT_FOUND {
            Err(not_found())
        } else {
            Err(error(self.options.foreign_record_status, "The token does not allow this."))
        }
    }

    /// Updates `updatedAt` of an order, so that clients that poll for changes find it.
    fn touch(&mut self, order: i64) {
        let now = self.time();
        if let Some(order) = self.store.get_mut(Resource::Order, ROOT, order) {
            order.values.insert("updatedAt".to_owned(), now);
        }
    }

    fn time(&self) -> Value {
        whole_second(self.now).to_string().into()
    }

    fn validator(&self) -> Validator<'_> {
        Validator { options: self.options, store: self.store }
    }

    fn view(&self) -> View<'_> {
        View { base_url: self.base_url, options: self.options, store: self.store, token: self.token }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::auth::{Token, TokenKind};
    use super::super::mock_server::MockServer;

    fn server() -> MockServer {
        MockServer::builder().in_memory()
    }

    #[test]
    fn a_list_has_its_four_fields_and_the_documented_size() {
        let (_, list) = server().request("GET", "/orders", None);
        assert_eq!((&list["limit"], &list["offset"], &list["totalItems"]), (&json!(25), &json!(0), &json!(140)));
        assert_eq!(list["items"].as_array().map(Vec::len), Some(25));
        assert_eq!(list.as_object().map(serde_json::Map::len), Some(4));
    }

    #[test]
    fn paging_by_offset_and_by_page_yield_the_same_orders() {
        let server = server();
        let all = |query: &dyn Fn(usize) -> String| {
            let mut hrefs = Vec::new();
            for page in 0.. {
                let (_, list) = server.request("GET", &format!("/orders?{}", query(page)), None);
                let items = list["items"].as_array().expect("items");
                if items.is_empty() {
                    return hrefs;
                }
                hrefs.extend(items.iter().map(|item| item["href"].as_str().expect("a link").to_owned()));
            }
            unreachable!("the loop ends at an empty page")
        };
        let by_offset = all(&|page| format!("limit=100&offset={}", page * 100));
        let by_page = all(&|page| format!("limit=7&page={}", page + 1));
        assert_eq!(by_offset.len(), 140);
        assert_eq!(by_offset, by_page);
    }

    #[test]
    fn an_offset_past_the_end_is_an_empty_page_with_the_total() {
        let (status, list) = server().request("GET", "/orders?offset=1000", None);
        assert_eq!((status.as_u16(), &list["items"], &list["totalItems"]), (200, &json!([]), &json!(140)));
    }

    #[test]
    fn a_filter_also_reduces_the_total() {
        let (_, open) = server().request("GET", "/orders?q=isClosed:false&limit=1", None);
        let (_, closed) = server().request("GET", "/orders?q=isClosed:true&limit=1", None);
        let (open, closed) =
            (open["totalItems"].as_u64().expect("a number"), closed["totalItems"].as_u64().expect("a number"));
        assert!(open > 50 && closed > 50 && open + closed <= 140, "{open} open, {closed} closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_status_is_stored_and_found_by_polling() {
        let server = server();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let (status, order) = server.request("PATCH", "/orders/20000010", Some(json!({"status": {"id": 457}})));
        assert_eq!((status.as_u16(), &order["id"]), (200, &json!(20_000_010)));
        assert!(order["status"]["href"].as_str().is_some_and(|href| href.ends_with("/statuses/457")), "{order}");

        let since = &order["updatedAt"].as_str().expect("a time")[..10];
        let (_, changed) = server.request("GET", &format!("/orders?q=updatedAt:[{since},]&expand=items"), None);
        assert_eq!((&changed["totalItems"], &changed["items"][0]["id"]), (&json!(1), &json!(20_000_010)));
    }

    #[test]
    fn notes_are_added_together_and_returned_in_an_array() {
        let server = server();
        let notes = json!({"notes": [
            {"type": "DIAGNOSIS", "title": "Battery", "text": "Swollen"},
            {"type": "INTERNAL", "text": "Call Jill", "createdBy": 107_461},
        ]});
        let (status, added) = server.request("POST", "/orders/20000010/notes", Some(notes));
        assert_eq!((status.as_u16(), added.as_array().map(Vec::len)), (201, Some(2)));
        for (note, author) in [(&added[0], "107460"), (&added[1], "107461")] {
            let href = note["createdBy"]["href"].as_str().expect("a link");
            assert!(href.ends_with(author), "{href}");
        }
        let read = added[0]["href"].as_str().and_then(|href| href.split("/v3").nth(1)).expect("a path").to_owned();
        assert_eq!(server.request("GET", &read, None).1["title"], "Battery");
        assert_eq!(server.request("POST", "/orders/20000010/notes", Some(json!({"notes": []}))).0, 400);
    }

    #[test]
    fn an_order_can_be_created_empty_or_full() {
        let server = server();
        let (status, empty) = server.request("POST", "/orders", Some(json!({})));
        assert_eq!((status.as_u16(), &empty["id"], &empty["customer"]), (201, &json!(20_000_150), &Value::Null));
        let body = json!({
            "customer": {"id": 4}, "device": {"id": 3}, "internalLocation": "STORE", "reference": "WEB-1",
            "notes": [{"type": "ISSUE", "text": "Does not charge"}],
        });
        let (_, full) = server.request("POST", "/orders", Some(body));
        let full = server.order(full["id"].as_i64().expect("an id"));
        assert_eq!((&full["reference"], &full["notes"]["totalItems"]), (&json!("WEB-1"), &json!(1)));
    }

    #[test]
    fn the_status_of_a_post_can_be_chosen() {
        let server = MockServer::builder().with_post_status(200).in_memory();
        assert_eq!(server.request("POST", "/orders", Some(json!({}))).0, 200);
    }

    #[test]
    fn a_customer_update_keeps_the_fields_that_it_does_not_name() {
        let server = server();
        let (status, customer) = server.request("PUT", "/customers/4", Some(json!({"email": "ines@example.com"})));
        assert_eq!((status.as_u16(), &customer["email"]), (200, &json!("ines@example.com")));
        assert!(customer["phone"].is_string(), "{customer}");
        let none = json!({"email": null, "phone": null});
        assert_eq!(server.request("PUT", "/customers/4", Some(none)).0, 400);
    }

    #[test]
    fn lines_and_tasks_accept_unknown_fields() {
        let server = server();
        let (status, line) =
            server.request("PATCH", "/orders/20000010/lines/1", Some(json!({"quantity": 2, "color": 1})));
        assert_eq!((status.as_u16(), &line["quantity"], line.get("color")), (200, &json!(2), None));
        assert_eq!(server.request("PATCH", "/orders/20000010/tasks/1", Some(json!({"done": true}))).0, 200);
        assert_eq!(server.request("PATCH", "/orders/20000010/tasks/1", Some(json!({"id": 2}))).0, 400);
        assert_eq!(server.request("PATCH", "/orders/20000010/tasks/1", Some(json!({}))).0, 400);
    }

    #[test]
    fn a_child_is_found_only_under_its_own_parent() {
        let server = server();
        assert_eq!(server.request("GET", "/customers/1/children/2", None).1["id"], 2);
        assert_eq!(server.request("GET", "/customers/4/children/2", None).0, 404);
        assert_eq!(server.request("GET", "/customers/1/children/4", None).0, 404);
    }

    #[test]
    fn an_invoice_takes_only_lines_of_its_own_order() {
        let body = json!({"user": {"id": 1}, "reference": "INV-7", "contactName": "Jill", "lines": [{"id": 1}], "address": {"city": "Leeds"}});
        let (status, invoice) = server().request("POST", "/orders/20000010/invoice", Some(body.clone()));
        assert_eq!((status.as_u16(), invoice), (201, json!({"id": 1})));
        assert_eq!(server().request("POST", "/orders/20000013/invoice", Some(body)).0, 400);
    }

    #[test]
    fn an_order_of_a_customer_token_belongs_to_that_customer() {
        let server = server();
        let token = format!("Bearer {}", server.token(TokenKind::Customer));
        let create = |body| server.request_as(&token, "POST", "/orders", Some(body));
        let (status, order) = create(json!({}));
        assert_eq!(status, 201);
        assert!(order["customer"]["href"].as_str().is_some_and(|href| href.ends_with("/customers/1")), "{order}");
        assert_eq!(create(json!({"customer": {"id": 4}})).0, 400);

        server.add_token(Token::bearer("test-own").with_all_scopes().with_customer(1));
        let (status, _) = server.request_as("Bearer test-own", "POST", "/customers", Some(json!({"phone": "1"})));
        assert_eq!(status, 403);
    }

    #[test]
    fn a_foreign_record_is_hidden_or_forbidden() {
        for (code, expected) in [(404, "There is no such record."), (403, "The token does not allow this.")] {
            let server = MockServer::builder().with_foreign_record_status(code).in_memory();
            let token = format!("Bearer {}", server.token(TokenKind::Customer));
            let (status, body) = server.request_as(&token, "GET", "/orders/20000011", None);
            assert_eq!((status.as_u16(), &body["developerMessage"]), (code, &json!(expected)));
        }
    }
}
