//! The operations: they read and change the store.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error_response::{error, not_found};
use super::filter::Filter;
use super::params::Params;
use super::routes::{Action, Endpoint};
use super::schema::Kind;
use super::store::{Record, Store};
use super::validator::{Validator, Write};
use super::view::View;
use crate::testing::body;
use crate::testing::clock::whole_second;
use crate::testing::error_response::ErrorResponse;
use crate::testing::response;
use crate::testing::router::RouteMatch;

/// Carries out one request whose token allows it.
pub(super) struct Handler<'a> {
    pub(super) store: &'a mut Store,
    pub(super) ignores_unknown_fields: bool,
    /// The time that the server shows.
    pub(super) now: Timestamp,
}

impl Handler<'_> {
    pub(super) fn handle(
        &mut self,
        found: &RouteMatch<'_, Endpoint>,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let params = Params::parse(request.uri().query());
        let id = found.id();
        let (status, data) = match found.route.endpoint.action {
            Action::AddPart => (StatusCode::CREATED, self.add_part(id, &object(request)?)?),
            Action::Create(kind) => (StatusCode::CREATED, self.create(kind, &object(request)?)?),
            Action::Delete(kind) => {
                self.existing(kind, id)?;
                self.store.trash(kind, id);
                return Ok(response::raw(StatusCode::NO_CONTENT, "", ""));
            }
            Action::List(kind) => return self.list(kind, &params),
            Action::Parts => (StatusCode::OK, self.view().parts(self.existing(Kind::Asset, id)?)),
            Action::Read(kind) => (StatusCode::OK, self.view().full(kind, self.existing(kind, id)?)),
            Action::ServiceHistory => (StatusCode::OK, self.view().service_history(self.existing(Kind::Asset, id)?)),
            Action::Tasks => (StatusCode::OK, self.tasks(id, &params)?),
            Action::Update(kind) => (StatusCode::OK, self.update(kind, id, &object(request)?)?),
            Action::Warranty => (StatusCode::OK, self.view().warranty(self.existing(Kind::Asset, id)?, self.now)),
        };
        Ok(response::json(status, &json!({"data": data})))
    }

    fn list(&self, kind: Kind, params: &Params) -> Result<Response<Bytes>, ErrorResponse> {
        let page = params.page()?;
        let filter = Filter::parse(kind, params)?;
        let mut records: Vec<_> = self.store.all(kind).filter(|record| filter.matches(record)).collect();
        // Newest first. The order of the vendor is unknown, so no test should depend on this one.
        records.sort_by(|a, b| b.text("created_at").cmp(a.text("created_at")).then_with(|| a.id.cmp(&b.id)));

        let start = (page.number - 1).saturating_mul(page.size);
        let view = self.view();
        let shown = records.iter().skip(start).take(page.size).map(|record| view.summary(kind, record));
        let meta = json!({
            "current_page": page.number,
            "total_pages": records.len().div_ceil(page.size),
            "total_count": records.len(),
        });
        Ok(response::json(StatusCode::OK, &json!({"data": shown.collect::<Value>(), "meta": meta})))
    }

    fn tasks(&self, work_order: &str, params: &Params) -> Result<Value, ErrorResponse> {
        self.existing(Kind::WorkOrder, work_order)?;
        let filter = Filter::parse(Kind::Task, params)?;
        let view = self.view();
        let tasks = view.tasks(work_order).into_iter().filter(|task| filter.matches(task));
        Ok(tasks.map(|task| view.summary(Kind::Task, task)).collect())
    }

    fn create(&mut self, kind: Kind, body: &Map<String, Value>) -> Result<Value, ErrorResponse> {
        let mut values = self.validator().values(kind, Write::Create, body)?;
        let status = if kind == Kind::WorkOrder { "open" } else { "active" };
        values.entry("status").or_insert_with(|| status.into());
        let next = self.store.last(kind) + 1;
        let number = match kind {
            Kind::Customer => Some(("customer_number", format!("C-{}", 10_000 + next))),
            Kind::WorkOrder => {
                let year = self.now.to_zoned(jiff::tz::TimeZone::UTC).year();
                Some(("work_order_number", format!("WO-{year}-{next}")))
            }
            _ => None,
        };
        if let Some((field, number)) = number {
            values.insert(field.to_owned(), number.into());
        }
        values.insert("created_at".to_owned(), self.time());
        let id = self.store.add(kind, values);
        Ok(self.view().full(kind, self.existing(kind, &id)?))
    }

    /// Missing fields keep their values.
    fn update(&mut self, kind: Kind, id: &str, body: &Map<String, Value>) -> Result<Value, ErrorResponse> {
        self.existing(kind, id)?;
        let changes = self.validator().values(kind, Write::Update(id), body)?;
        let now = self.time();
        if let Some(record) = self.store.get_mut(kind, id) {
            record.values.extend(changes);
            record.values.insert("updated_at".to_owned(), now);
        }
        Ok(self.view().full(kind, self.existing(kind, id)?))
    }

    fn add_part(&mut self, asset: &str, body: &Map<String, Value>) -> Result<Value, ErrorResponse> {
        self.existing(Kind::Asset, asset)?;
        let mut values = self.validator().values(Kind::AssetPart, Write::Create, body)?;
        values.insert("asset_id".to_owned(), asset.into());
        values.entry("quantity").or_insert_with(|| 1.into());
        let id = self.store.add(Kind::AssetPart, values);
        Ok(self.view().part(self.existing(Kind::AssetPart, &id)?))
    }

    fn existing(&self, kind: Kind, id: &str) -> Result<&Record, ErrorResponse> {
        self.store.get(kind, id).ok_or_else(not_found)
    }

    fn time(&self) -> Value {
        whole_second(self.now).to_string().into()
    }

    fn validator(&self) -> Validator<'_> {
        Validator { ignores_unknown_fields: self.ignores_unknown_fields, store: self.store }
    }

    fn view(&self) -> View<'_> {
        View { store: self.store }
    }
}

fn object(request: &Request<Bytes>) -> Result<Map<String, Value>, ErrorResponse> {
    body::json_object(request).map_err(|reason| error(reason.status(), reason.message()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::mock_server::MockServer;

    fn server() -> MockServer {
        MockServer::builder().in_memory()
    }

    fn request(server: &MockServer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, body) = server.request_as("Bearer test-key-admin", method, path, body);
        (status.as_u16(), body)
    }

    fn get(server: &MockServer, path: &str) -> Value {
        let (status, body) = request(server, "GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn ids(list: &Value) -> Vec<&str> {
        list["data"].as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id")).collect()
    }

    fn count(server: &MockServer, path: &str) -> u64 {
        get(server, path)["meta"]["total_count"].as_u64().expect("a number")
    }

    #[test]
    fn a_list_has_data_and_meta_and_pages_that_are_disjoint() {
        let server = server();
        for (path, total, pages) in [("/work-orders", 69, 3), ("/customers", 29, 2), ("/assets", 59, 3)] {
            let mut seen = BTreeSet::new();
            for page in 1..=pages {
                let list = get(&server, &format!("{path}?page={page}"));
                let meta = json!({"current_page": page, "total_pages": pages, "total_count": total});
                assert_eq!(list["meta"], meta, "{path}");
                seen.extend(ids(&list).into_iter().map(str::to_owned));
            }
            assert_eq!(seen.len(), total, "{path}");
            assert_eq!(get(&server, &format!("{path}?page=99"))["data"], json!([]), "{path}");
        }
        assert_eq!(ids(&get(&server, "/assets?per_page=100")).len(), 59);
    }

    #[test]
    fn a_filter_also_reduces_the_count() {
        let server = server();
        for (path, expected) in [
            ("/work-orders?status=draft", 10),
            ("/work-orders?customer_id=cust-001&status=in_progress", 1),
            ("/work-orders?technician_id=tech-003&from_date=2026-03-07&to_date=2026-03-07", 1),
            ("/work-orders?from_date=2026-03-04&to_date=2026-03-03", 0),
            ("/customers?search=aCmE", 1),
            ("/customers?search=C-10029", 1),
            ("/customers?branch_id=branch-002", 14),
            ("/customers?created_after=2199-01-01", 0),
            ("/assets?status=retired&product_id=prod-004", 3),
            ("/assets?serial_number=sn-2023-001234", 1),
            ("/assets?location_id=obj-001", 3),
            ("/assets?unknown=1", 59),
        ] {
            assert_eq!(count(&server, path), expected, "{path}");
        }
    }

    #[test]
    fn an_invalid_filter_is_refused() {
        for path in [
            "/work-orders?status=finished",
            "/work-orders?from_date=yesterday",
            "/work-orders?page=0",
            "/customers?created_after=2026-3-1",
            "/assets?status=under%20maintenance",
            "/work-orders/wo-10001/tasks?status=accepted",
        ] {
            assert_eq!(request(&server(), "GET", path, None).0, 400, "{path}");
        }
    }

    #[test]
    fn a_record_differs_from_its_summary_as_the_samples_do() {
        let server = server();
        let order = &get(&server, "/work-orders/wo-10001")["data"];
        assert_eq!(order["customer"]["address"], "100 Main Street, Albany, NY 12200");
        assert_eq!((&order["contact"]["title"], &order["tasks"][0]["id"]), (&Value::Null, &json!("task-001")));
        let summary = &get(&server, "/work-orders?customer_id=cust-001&status=in_progress")["data"][0];
        assert_eq!((&summary["id"], &summary["technician"]), (&json!("wo-10001"), &Value::Null));
        let customer = &get(&server, "/customers/cust-001")["data"];
        assert!(customer["address"]["street"].is_string() && customer["contacts"][0]["is_primary"] == json!(true));
        let asset = &get(&server, "/assets/asset-001")["data"];
        assert_eq!((&asset["location"], &asset["object"]["address"]), (&json!("Roof"), &json!("100 Main Street")));
        let listed = &get(&server, "/assets?serial_number=SN-2023-001234")["data"][0];
        assert_eq!((&listed["location"], &listed["object"]), (&json!("Building A - Roof"), &Value::Null));
        assert_eq!(
            (&listed["product"]["manufacturer"], asset["product"]["manufacturer"].is_string()),
            (&Value::Null, true)
        );
    }

    #[test]
    fn the_list_of_tasks_has_no_pages_and_its_own_field_names() {
        let server = server();
        let list = get(&server, "/work-orders/wo-10001/tasks");
        assert_eq!((ids(&list), list.get("meta")), (vec!["task-001", "task-002"], None));
        assert_eq!((&list["data"][0]["duration"], &list["data"][0]["actual_duration"]), (&json!(60), &Value::Null));
        assert!(list["data"][1]["parts_required"].is_array() && list["data"][1].get("technician").is_none());
        let task = &get(&server, "/tasks/task-001")["data"];
        assert_eq!(
            (&task["actual_duration"], task["parts_used"].is_array(), &task["work_order_id"]),
            (&json!(60), true, &json!("wo-10001"))
        );
        assert_eq!(ids(&get(&server, "/work-orders/wo-10001/tasks?status=pending")), ["task-002"]);
        assert_eq!(ids(&get(&server, "/work-orders/wo-10001/tasks?technician_id=tech-001")), ["task-001"]);
        assert_eq!(request(&server, "GET", "/work-orders/wo-1/tasks", None).0, 404);
    }

    #[test]
    fn responses_contain_no_null() {
        fn nulls(value: &Value) -> bool {
            match value {
                Value::Null => true,
                Value::Array(items) => items.iter().any(nulls),
                Value::Object(fields) => fields.values().any(nulls),
                _ => false,
            }
        }
        let server = server();
        for path in [
            "/work-orders?per_page=100",
            "/work-orders/wo-10002",
            "/customers/cust-002",
            "/assets/asset-002",
            "/tasks/task-002",
        ] {
            let body = get(&server, path);
            assert!(!nulls(&body), "{path}: {body}");
        }
    }

    #[test]
    fn a_new_record_gets_its_id_number_and_time() {
        let server = server();
        let body =
            json!({"customer_id": "cust-001", "description": "Odd smell", "scheduled_date": "2026-08-01T09:00:00Z"});
        let (status, order) = request(&server, "POST", "/work-orders", Some(body));
        let order = &order["data"];
        assert_eq!((status, &order["id"], &order["status"]), (201, &json!("wo-10071"), &json!("open")));
        assert!(order["work_order_number"].as_str().is_some_and(|number| number.ends_with("-10071")), "{order}");
        assert!(order["created_at"].as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z')), "{order}");
        assert_eq!(get(&server, "/work-orders/wo-10071")["data"], *order);
    }

    #[test]
    fn an_update_keeps_the_fields_that_it_does_not_name() {
        let server = server();
        for body in [json!({"priority": "urgent"}), json!({"contact_id": "contact-002"})] {
            let (status, order) = request(&server, "PUT", "/work-orders/wo-10003", Some(body));
            assert_eq!((status, &order["data"]["description"]), (200, &json!("Does not hold the temperature")));
        }
        let order = &get(&server, "/work-orders/wo-10003")["data"];
        assert_eq!((&order["priority"], &order["contact"]["id"]), (&json!("urgent"), &json!("contact-002")));
        assert!(order["updated_at"].is_string());
    }

    #[test]
    fn an_invalid_body_is_refused_with_its_fields() {
        let server = server();
        for (method, path, body, field) in [
            ("POST", "/work-orders", json!({"description": "x"}), "customer_id"),
            ("POST", "/work-orders", json!({"customer_id": "cust-030", "description": "x"}), "customer_id"),
            (
                "POST",
                "/assets",
                json!({"name": "x", "customer_id": "cust-001", "install_date": "1/2/2026"}),
                "install_date",
            ),
            ("PUT", "/work-orders/wo-10001", json!({"status": "finished"}), "status"),
            ("PUT", "/work-orders/wo-10001", json!({"description": ""}), "description"),
            ("PUT", "/work-orders/wo-10001", json!({"scheduled_date": "2026-08-01T09:00:00+02:00"}), "scheduled_date"),
            ("PUT", "/work-orders/wo-10001", json!({"id": "wo-1"}), "id"),
            ("PUT", "/customers/cust-001", json!({"name": null}), "name"),
            ("PUT", "/work-orders/wo-10003", json!({"contact_id": null}), "contact_id"),
            ("PUT", "/customers/cust-001", json!({"address": "14 Harbour Lane"}), "address"),
            ("POST", "/assets/asset-001/parts", json!({"part_id": "part-001", "quantity": 0}), "quantity"),
        ] {
            let (status, refused) = request(&server, method, path, Some(body));
            let found = refused["error"]["details"][0]["field"].as_str();
            assert_eq!((status, found), (422, Some(field)), "{method} {path}");
        }
        assert_eq!(request(&server, "POST", "/assets", Some(json!([]))).0, 400);
        assert_eq!(request(&server, "PUT", "/assets/asset-060", Some(json!({}))).0, 404);
    }

    #[test]
    fn unknown_fields_can_be_ignored() {
        let server = MockServer::builder().with_unknown_fields_ignored().in_memory();
        let (status, order) = request(&server, "PUT", "/work-orders/wo-10001", Some(json!({"color": "blue"})));
        assert_eq!((status, order["data"].get("color")), (200, None));
    }

    #[test]
    fn a_serial_number_is_unique() {
        let server = server();
        let taken = json!({"name": "x", "customer_id": "cust-001", "serial_number": "SN-2023-001234"});
        assert_eq!(request(&server, "POST", "/assets", Some(taken)).0, 409);
        let taken = json!({"serial_number": "SN-2023-001234"});
        assert_eq!(request(&server, "PUT", "/assets/asset-002", Some(taken.clone())).0, 409);
        assert_eq!(request(&server, "PUT", "/assets/asset-001", Some(taken)).0, 200);
    }

    #[test]
    fn a_deleted_record_is_in_the_trash_and_others_still_refer_to_it() {
        let server = server();
        assert_eq!(request(&server, "DELETE", "/work-orders/wo-10001", None).0, 204);
        assert_eq!(request(&server, "DELETE", "/work-orders/wo-10001", None).0, 404);
        assert_eq!(request(&server, "GET", "/work-orders/wo-10001", None).0, 404);
        assert!(server.is_trashed("wo-10001") && server.is_trashed("cust-030") && !server.is_trashed("wo-10002"));
        assert_eq!(count(&server, "/work-orders"), 68);
        assert_eq!(get(&server, "/tasks/task-001")["data"]["work_order_id"], "wo-10001");
    }

    #[test]
    fn history_parts_and_warranty_follow_from_the_data() {
        let server = server();
        let history = get(&server, "/assets/asset-001/service-history");
        assert_eq!(history["data"][0]["work_order_id"], "wo-10060");
        let (status, part) = request(&server, "POST", "/assets/asset-001/parts", Some(json!({"part_id": "part-004"})));
        assert_eq!(
            (status, &part["data"]["name"], &part["data"]["quantity"]),
            (201, &json!("Refrigerant R-32, 1 kg"), &json!(1))
        );
        assert_eq!(ids(&get(&server, "/assets/asset-001/parts")).len(), 3);
        for (asset, covered) in [("asset-001", true), ("asset-002", false)] {
            let warranty = get(&server, &format!("/assets/{asset}/warranty"));
            assert_eq!(warranty["data"]["in_warranty"], json!(covered), "{warranty}");
        }
    }
}
