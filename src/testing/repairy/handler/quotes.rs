//! Quotes.

use super::{Handler, HandlerResult};
use crate::testing::repairy::schema::QUOTE;
use crate::testing::repairy::store::Kind;

impl Handler<'_> {
    pub(crate) fn create_quote(&mut self) -> HandlerResult {
        let fields = self.body()?;
        let mut body = self.check(&fields, QUOTE);
        body.require_one_of(&["workshopId"]);
        body.require_one_of(&["customer.firstName", "customer.lastName"]);
        body.require_one_of(&["customer.email", "customer.phone"]);
        body.require_one_of(&["customer.address"]);
        body.require_one_of(&["car.rego", "car.make", "car.model", "car.vin"]);
        let services = self.checked_services(&mut body);
        let body = body.validated()?;
        let mut values = self.details(&body, services);
        values.insert("workshopId".to_owned(), body.text("workshopId").into());
        let id = self.store.add(Kind::Quote, self.partner, values);
        self.changed(self.options.post_status, Kind::Quote, &id)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::repairy::MockServer;
    use crate::testing::repairy::seed::WORKSHOP;

    #[test]
    fn a_quote_needs_a_workshop_a_customer_and_a_car() {
        let create = |body: Value| MockServer::builder().in_memory().request("POST", "/quotes", Some(body));
        let customer = json!({"firstName": "Ada", "email": "ada@mail.example", "address": "1 Example St"});
        let body = json!({"workshopId": WORKSHOP, "customer": customer, "car": {"rego": "XYZ987"}});
        let (status, quote) = create(body.clone());
        assert_eq!((status, &quote["id"]), (201, &json!("680000000000000000000001")));
        for (field, missing) in [("workshopId", "workshopId"), ("car", "car.rego or car.make or car.model or car.vin")]
        {
            let mut body = body.clone();
            body[field] = Value::Null;
            let (status, error) = create(body);
            assert_eq!((status, &error["errors"][0]["field"]), (400, &json!(missing)));
        }
    }
}
