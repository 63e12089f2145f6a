//! One request that may do what it asks for: reads and changes the store.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::draft::{Draft, Over};
use super::params::Params;
use super::refusal::Refusal;
use super::routes::{Action, Found};
use super::schema::{ASSET_STATUSES, CUSTOMER_STATUSES, Kind, TASK_STATUSES, WORK_ORDER_STATUSES};
use super::store::{Record, Store};
use super::view::View;
use crate::testing::body;
use crate::testing::clock::whole_second;
use crate::testing::reply;

/// What a request needs to be carried out.
pub(super) struct Call<'a> {
    pub(super) store: &'a mut Store,
    pub(super) ignores_unknown_fields: bool,
    /// The time that the tenant shows.
    pub(super) now: Timestamp,
}

impl Call<'_> {
    pub(super) fn carry_out(
        &mut self,
        found: &Found<'_>,
        request: &Request<Bytes>,
    ) -> Result<Response<Bytes>, Refusal> {
        let params = Params::read(request.uri().query());
        let id = found.id;
        let (status, data) = match found.route.action {
            Action::AddPart => (StatusCode::CREATED, self.add_part(id, &object(request)?)?),
            Action::Create(kind) => (StatusCode::CREATED, self.create(kind, &object(request)?)?),
            Action::Delete(kind) => {
                self.existing(kind, id)?;
                self.store.trash(kind, id);
                return Ok(reply::raw(StatusCode::NO_CONTENT, "", ""));
            }
            Action::List(kind) => return self.list(kind, &params),
            Action::Parts => (StatusCode::OK, self.view().parts(self.existing(Kind::Asset, id)?)),
            Action::Read(kind) => (StatusCode::OK, self.view().whole(kind, self.existing(kind, id)?)),
            Action::ServiceHistory => (StatusCode::OK, self.view().service_history(self.existing(Kind::Asset, id)?)),
            Action::Tasks => (StatusCode::OK, self.tasks(id, &params)?),
            Action::Update(kind) => (StatusCode::OK, self.update(kind, id, &object(request)?)?),
            Action::Warranty => (StatusCode::OK, self.view().warranty(self.existing(Kind::Asset, id)?, self.now)),
        };
        Ok(reply::json(status, &json!({"data": data})))
    }

    fn list(&self, kind: Kind, params: &Params) -> Result<Response<Bytes>, Refusal> {
        let window = params.window()?;
        let filter = Filter::read(kind, params)?;
        let mut records: Vec<_> = self.store.all(kind).filter(|record| filter.matches(record)).collect();
        // The newest first. The vendor's own order is unknown, so nothing should rest on this one.
        records.sort_by(|a, b| b.text("created_at").cmp(a.text("created_at")).then_with(|| a.id.cmp(&b.id)));

        let start = (window.page - 1).saturating_mul(window.size);
        let view = self.view();
        let shown = records.iter().skip(start).take(window.size).map(|record| view.summary(kind, record));
        let meta = json!({
            "current_page": window.page,
            "total_pages": records.len().div_ceil(window.size),
            "total_count": records.len(),
        });
        Ok(reply::json(StatusCode::OK, &json!({"data": shown.collect::<Value>(), "meta": meta})))
    }

    fn tasks(&self, work_order: &str, params: &Params) -> Result<Value, Refusal> {
        self.existing(Kind::WorkOrder, work_order)?;
        let filter = Filter::read(Kind::Task, params)?;
        let view = self.view();
        let tasks = view.tasks(work_order).into_iter().filter(|task| filter.matches(task));
        Ok(tasks.map(|task| view.summary(Kind::Task, task)).collect())
    }

    fn create(&mut self, kind: Kind, body: &Map<String, Value>) -> Result<Value, Refusal> {
        let mut values = self.draft().values(kind, Over::Nothing, body)?;
        let status = if kind == Kind::WorkOrder { "open" } else { "active" };
        values.entry("status").or_insert_with(|| status.into());
        if kind == Kind::WorkOrder {
            values.entry("priority").or_insert_with(|| "normal".into());
        }
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
        Ok(self.view().whole(kind, self.existing(kind, &id)?))
    }

    /// Fields that are not sent stay as they are, whichever method it came by; a null takes a value away.
    fn update(&mut self, kind: Kind, id: &str, body: &Map<String, Value>) -> Result<Value, Refusal> {
        self.existing(kind, id)?;
        let changes = self.draft().values(kind, Over::Record(id), body)?;
        let now = self.time();
        if let Some(record) = self.store.get_mut(kind, id) {
            record.values.extend(changes);
            record.values.insert("updated_at".to_owned(), now);
        }
        Ok(self.view().whole(kind, self.existing(kind, id)?))
    }

    fn add_part(&mut self, asset: &str, body: &Map<String, Value>) -> Result<Value, Refusal> {
        self.existing(Kind::Asset, asset)?;
        let mut values = self.draft().values(Kind::AssetPart, Over::Nothing, body)?;
        values.insert("asset_id".to_owned(), asset.into());
        values.entry("quantity").or_insert_with(|| 1.into());
        let id = self.store.add(Kind::AssetPart, values);
        Ok(self.view().part(self.existing(Kind::AssetPart, &id)?))
    }

    fn existing(&self, kind: Kind, id: &str) -> Result<&Record, Refusal> {
        self.store.get(kind, id).ok_or_else(Refusal::not_found)
    }

    fn time(&self) -> Value {
        whole_second(self.now).to_string().into()
    }

    fn draft(&self) -> Draft<'_> {
        Draft { ignores_unknown_fields: self.ignores_unknown_fields, store: self.store }
    }

    fn view(&self) -> View<'_> {
        View { store: self.store }
    }
}

fn object(request: &Request<Bytes>) -> Result<Map<String, Value>, Refusal> {
    body::json_object(request).map_err(|problem| Refusal::new(problem.status(), problem.message()))
}

/// What a list is narrowed to.
#[derive(Debug, Default)]
struct Filter {
    /// Fields that have to be this.
    same: Vec<(&'static str, String)>,
    /// Fields one of which has to have this in it, in any case.
    within: Option<(&'static [&'static str], String)>,
    /// A field of time, and the first and last day of it.
    days: Option<(&'static str, Option<Date>, Option<Date>)>,
}

impl Filter {
    fn read(kind: Kind, params: &Params) -> Result<Self, Refusal> {
        let mut filter = Self::default();
        let (statuses, fields): (_, &[(&str, &str)]) = match kind {
            Kind::Asset => (
                ASSET_STATUSES,
                &[("customer_id", "customer_id"), ("product_id", "product_id"), ("location_id", "object_id")],
            ),
            Kind::Customer => (CUSTOMER_STATUSES, &[("branch_id", "branch_id")]),
            Kind::Task => (TASK_STATUSES, &[("technician_id", "technician_id")]),
            _ => (WORK_ORDER_STATUSES, &[("customer_id", "customer_id"), ("technician_id", "technician_id")]),
        };
        let mut same = |field, value: Option<&str>| filter.same.extend(value.map(|value| (field, value.to_owned())));
        same("status", params.one_of("status", statuses)?);
        for (parameter, field) in fields {
            same(field, params.get(parameter));
        }
        let text = |parameter: &str| params.get(parameter).map(str::to_lowercase);
        match kind {
            Kind::Asset => filter.within = text("serial_number").map(|text| (["serial_number"].as_slice(), text)),
            Kind::Customer => {
                filter.within = text("search").map(|text| (["name", "customer_number"].as_slice(), text));
                filter.days = Some(("created_at", params.day("created_after")?, None));
            }
            Kind::WorkOrder => {
                filter.days = Some(("scheduled_date", params.day("from_date")?, params.day("to_date")?));
            }
            _ => {}
        }
        Ok(filter)
    }

    fn matches(&self, record: &Record) -> bool {
        let same = self.same.iter().all(|(field, value)| record.text(field) == value);
        let within = self.within.as_ref().is_none_or(|(fields, text)| {
            fields.iter().any(|field| record.text(field).to_lowercase().contains(text.as_str()))
        });
        let days = self.days.as_ref().is_none_or(|(field, first, last)| {
            if first.is_none() && last.is_none() {
                return true;
            }
            let day = record.text(field).get(..10).and_then(|day| day.parse::<Date>().ok());
            day.is_some_and(|day| first.is_none_or(|first| day >= first) && last.is_none_or(|last| day <= last))
        });
        same && within && days
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::MockServer;

    fn tenant() -> MockServer {
        MockServer::builder().in_memory()
    }

    fn ask(tenant: &MockServer, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let (status, body) = tenant.ask_as("Bearer test-key-admin", method, path, body);
        (status.as_u16(), body)
    }

    fn get(tenant: &MockServer, path: &str) -> Value {
        let (status, body) = ask(tenant, "GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn ids(list: &Value) -> Vec<&str> {
        list["data"].as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id")).collect()
    }

    fn count(tenant: &MockServer, path: &str) -> u64 {
        get(tenant, path)["meta"]["total_count"].as_u64().expect("a number")
    }

    #[test]
    fn a_list_has_data_and_meta_and_pages_that_are_disjoint() {
        let tenant = tenant();
        for (path, total, pages) in [("/work-orders", 69, 3), ("/customers", 29, 2), ("/assets", 59, 3)] {
            let mut seen = BTreeSet::new();
            for page in 1..=pages {
                let list = get(&tenant, &format!("{path}?page={page}"));
                let meta = json!({"current_page": page, "total_pages": pages, "total_count": total});
                assert_eq!(list["meta"], meta, "{path}");
                seen.extend(ids(&list).into_iter().map(str::to_owned));
            }
            assert_eq!(seen.len(), total, "{path}");
            assert_eq!(get(&tenant, &format!("{path}?page=99"))["data"], json!([]), "{path}");
        }
        assert_eq!(ids(&get(&tenant, "/assets?per_page=1000")).len(), 59);
    }

    #[test]
    fn a_filter_narrows_the_count_too() {
        let tenant = tenant();
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
            ("/assets?nobody=knows", 59),
        ] {
            assert_eq!(count(&tenant, path), expected, "{path}");
        }
    }

    #[test]
    fn a_filter_that_makes_no_sense_is_refused() {
        for path in [
            "/work-orders?status=finished",
            "/work-orders?from_date=yesterday",
            "/work-orders?page=0",
            "/customers?created_after=2026-3-1",
            "/assets?status=under%20maintenance",
            "/work-orders/wo-10001/tasks?status=accepted",
        ] {
            assert_eq!(ask(&tenant(), "GET", path, None).0, 400, "{path}");
        }
    }

    #[test]
    fn a_record_differs_from_its_summary_as_the_samples_do() {
        let tenant = tenant();
        let order = &get(&tenant, "/work-orders/wo-10001")["data"];
        assert_eq!(order["customer"]["address"], "100 Main Street, Albany, NY 12200");
        assert_eq!((&order["contact"]["title"], &order["tasks"][0]["id"]), (&Value::Null, &json!("task-001")));
        let summary = &get(&tenant, "/work-orders?customer_id=cust-001&status=in_progress")["data"][0];
        assert_eq!((&summary["id"], &summary["technician"]), (&json!("wo-10001"), &Value::Null));
        let customer = &get(&tenant, "/customers/cust-001")["data"];
        assert!(customer["address"]["street"].is_string() && customer["contacts"][0]["is_primary"] == json!(true));
        let asset = &get(&tenant, "/assets/asset-001")["data"];
        assert_eq!((&asset["location"], &asset["object"]["address"]), (&json!("Roof"), &json!("100 Main Street")));
        let listed = &get(&tenant, "/assets?serial_number=SN-2023-001234")["data"][0];
        assert_eq!((&listed["location"], &listed["object"]), (&json!("Building A - Roof"), &Value::Null));
        assert_eq!(
            (&listed["product"]["manufacturer"], asset["product"]["manufacturer"].is_string()),
            (&Value::Null, true)
        );
    }

    #[test]
    fn tasks_come_at_once_and_name_some_fields_otherwise_than_a_task() {
        let tenant = tenant();
        let list = get(&tenant, "/work-orders/wo-10001/tasks");
        assert_eq!((ids(&list), list.get("meta")), (vec!["task-001", "task-002"], None));
        assert_eq!((&list["data"][0]["duration"], &list["data"][0]["actual_duration"]), (&json!(60), &Value::Null));
        assert!(list["data"][1]["parts_required"].is_array() && list["data"][1].get("technician").is_none());
        let task = &get(&tenant, "/tasks/task-001")["data"];
        assert_eq!(
            (&task["actual_duration"], task["parts_used"].is_array(), &task["work_order_id"]),
            (&json!(60), true, &json!("wo-10001"))
        );
        assert_eq!(ids(&get(&tenant, "/work-orders/wo-10001/tasks?status=pending")), ["task-002"]);
        assert_eq!(ids(&get(&tenant, "/work-orders/wo-10001/tasks?technician_id=tech-001")), ["task-001"]);
        assert_eq!(ask(&tenant, "GET", "/work-orders/wo-1/tasks", None).0, 404);
    }

    #[test]
    fn nothing_is_ever_null() {
        fn nulls(value: &Value) -> bool {
            match value {
                Value::Null => true,
                Value::Array(items) => items.iter().any(nulls),
                Value::Object(fields) => fields.values().any(nulls),
                _ => false,
            }
        }
        let tenant = tenant();
        for path in [
            "/work-orders?per_page=100",
            "/work-orders/wo-10002",
            "/customers/cust-002",
            "/assets/asset-002",
            "/tasks/task-002",
        ] {
            let body = get(&tenant, path);
            assert!(!nulls(&body), "{path}: {body}");
        }
    }

    #[test]
    fn a_new_record_gets_its_id_number_and_time() {
        let tenant = tenant();
        let body =
            json!({"customer_id": "cust-001", "description": "Odd smell", "scheduled_date": "2026-08-01T09:00:00Z"});
        let (status, order) = ask(&tenant, "POST", "/work-orders", Some(body));
        let order = &order["data"];
        assert_eq!((status, &order["id"], &order["status"]), (201, &json!("wo-10071"), &json!("open")));
        assert!(order["work_order_number"].as_str().is_some_and(|number| number.ends_with("-10071")), "{order}");
        assert!(order["created_at"].as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z')), "{order}");
        assert_eq!(get(&tenant, "/work-orders/wo-10071")["data"], *order);
    }

    #[test]
    fn an_update_leaves_alone_what_it_does_not_name() {
        let tenant = tenant();
        for (method, body) in [("PUT", json!({"priority": "urgent"})), ("PATCH", json!({"contact_id": null}))] {
            let (status, order) = ask(&tenant, method, "/work-orders/wo-10003", Some(body));
            assert_eq!((status, &order["data"]["description"]), (200, &json!("Does not hold the temperature")));
        }
        let order = &get(&tenant, "/work-orders/wo-10003")["data"];
        assert_eq!((&order["priority"], order.get("contact")), (&json!("urgent"), None));
        assert!(order["updated_at"].is_string());
    }

    #[test]
    fn a_body_that_says_something_wrong_is_refused_with_its_fields() {
        let tenant = tenant();
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
            ("PUT", "/customers/cust-001", json!({"address": "14 Harbour Lane"}), "address"),
            ("POST", "/assets/asset-001/parts", json!({"part_id": "part-001", "quantity": 0}), "quantity"),
        ] {
            let (status, refused) = ask(&tenant, method, path, Some(body));
            let found = refused["error"]["details"][0]["field"].as_str();
            assert_eq!((status, found), (422, Some(field)), "{method} {path}");
        }
        assert_eq!(ask(&tenant, "POST", "/assets", Some(json!([]))).0, 400);
        assert_eq!(ask(&tenant, "PUT", "/assets/asset-060", Some(json!({}))).0, 404);
    }

    #[test]
    fn fields_that_nobody_knows_can_be_let_pass() {
        let tenant = MockServer::builder().with_unknown_fields_ignored().in_memory();
        let (status, order) = ask(&tenant, "PUT", "/work-orders/wo-10001", Some(json!({"colour": "blue"})));
        assert_eq!((status, order["data"].get("colour")), (200, None));
    }

    #[test]
    fn a_serial_number_is_one_assets_alone() {
        let tenant = tenant();
        let taken = json!({"name": "x", "customer_id": "cust-001", "serial_number": "SN-2023-001234"});
        assert_eq!(ask(&tenant, "POST", "/assets", Some(taken)).0, 409);
        let taken = json!({"serial_number": "SN-2023-001234"});
        assert_eq!(ask(&tenant, "PUT", "/assets/asset-002", Some(taken.clone())).0, 409);
        assert_eq!(ask(&tenant, "PUT", "/assets/asset-001", Some(taken)).0, 200);
    }

    #[test]
    fn what_is_deleted_is_in_the_trash_and_still_named_by_others() {
        let tenant = tenant();
        assert_eq!(ask(&tenant, "DELETE", "/work-orders/wo-10001", None).0, 204);
        assert_eq!(ask(&tenant, "DELETE", "/work-orders/wo-10001", None).0, 404);
        assert_eq!(ask(&tenant, "GET", "/work-orders/wo-10001", None).0, 404);
        assert!(tenant.is_trashed("wo-10001") && tenant.is_trashed("cust-030") && !tenant.is_trashed("wo-10002"));
        assert_eq!(count(&tenant, "/work-orders"), 68);
        assert_eq!(get(&tenant, "/tasks/task-001")["data"]["work_order_id"], "wo-10001");
    }

    #[test]
    fn history_parts_and_warranty_follow_from_what_is_there() {
        let tenant = tenant();
        let history = get(&tenant, "/assets/asset-001/service-history");
        assert_eq!(history["data"][0]["work_order_id"], "wo-10060");
        let (status, part) = ask(&tenant, "POST", "/assets/asset-001/parts", Some(json!({"part_id": "part-004"})));
        assert_eq!(
            (status, &part["data"]["name"], &part["data"]["quantity"]),
            (201, &json!("Refrigerant R-32, 1 kg"), &json!(1))
        );
        assert_eq!(ids(&get(&tenant, "/assets/asset-001/parts")).len(), 3);
        for (asset, covered) in [("asset-001", true), ("asset-002", false)] {
            let warranty = get(&tenant, &format!("/assets/{asset}/warranty"));
            assert_eq!(warranty["data"]["in_warranty"], json!(covered), "{warranty}");
        }
    }
}
