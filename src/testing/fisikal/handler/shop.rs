//! Purchases with their payments, and the transactions of money and credits.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::{Handler, HandlerResult, time};
use crate::testing::error_response::ErrorResponse;
use crate::testing::fisikal::error_response::{field_error, invalid, not_found, validation};
use crate::testing::fisikal::list::{Predicate, by_number, list};
use crate::testing::fisikal::packages::{self, Package};
use crate::testing::fisikal::params::{boolean, number};

impl Handler<'_> {
    pub(crate) fn apply_promocode(&self) -> HandlerResult {
        self.purchases()?;
        Ok(json!({"success": true, "discount": self.discount()}))
    }

    pub(crate) fn create_purchase(&mut self) -> HandlerResult {
        let buyer = self.caller()?.user;
        let owner = ["target_user_id", "client_id"].iter().find_map(|name| self.body.get(*name).and_then(number));
        if let Some(owner) = owner {
            self.may_act_for(owner)?;
        }
        let mut items = Vec::new();
        let mut pence = 0;
        for (package, quantity, target) in self.purchases()? {
            let target = target.or(owner).unwrap_or(buyer);
            pence += package.pence * quantity;
            items.extend((0..quantity).map(|_| (package, target)));
        }
        if let Some(discount) = self.discount() {
            pence -= pence * discount["percentage_off"].as_i64().unwrap_or(0) / 100;
            pence = (pence - discount["amount_off"].as_i64().unwrap_or(0)).max(0);
        }
        let order_id = self.store.purchases.order(buyer, items, pence);
        let layouts = ["stripe", "cash", "offline"].map(|flow| json!({"flow": flow}));
        let intent = json!({
            "order_id": order_id, "flow": "stripe", "payment_layouts": layouts, "payment_provider": "stripe", "valid": true,
            "tos": "", "credit_card_id": null,
        });
        Ok(json!({"success": true, "payment_intent": intent, "errors": []}))
    }

    /// The discount of the promo code in the body.
    fn discount(&self) -> Option<Value> {
        packages::discount(self.body.get("promocode").and_then(Value::as_str).unwrap_or_default())
    }

    /// The purchases in the body: package, quantity, and the client that gets it.
    fn purchases(&self) -> Result<Vec<(Package, i64, Option<i64>)>, ErrorResponse> {
        let error = || invalid("purchases");
        let purchases = self.body.get("purchases").and_then(Value::as_array).filter(|items| !items.is_empty());
        let parse = |item: &Value| {
            let package = item.get("product_id").and_then(number).and_then(packages::package).ok_or_else(error)?;
            let quantity = item.get("quantity").and_then(number).filter(|quantity| (1..=99).contains(quantity));
            if item["product_type"] != "service_package" {
                return Err(error());
            }
            let target = item.get("target_user_id").and_then(number);
            target.map_or(Ok(()), |target| self.may_act_for(target))?;
            Ok((package, quantity.ok_or_else(error)?, target))
        };
        purchases.ok_or_else(error)?.iter().map(parse).collect()
    }

    pub(crate) fn checkout_stripe(&mut self) -> HandlerResult {
        let body = self.body_object("stripe")?;
        let order = self.unpaid_order(&body)?;
        match body.get("payment_method_token").and_then(Value::as_str).unwrap_or_default() {
            "" => Err(invalid("payment_method_token")),
            // The one payment method that its owner must confirm.
            "pm_confirm" => {
                let page = format!("{}/stripe/confirm/{order}", self.base_url);
                let error = json!({"on": null, "type": "requires_action", "options": {"stripe_url": page}});
                Ok(json!({"errors": [error]}))
            }
            _ => {
                self.store.purchases.pay(order, "stripe", self.now);
                Ok(json!({"errors": []}))
            }
        }
    }

    pub(crate) fn confirm_stripe(&mut self) -> HandlerResult {
        let body = self.body_object("stripe")?;
        let order = self.unpaid_order(&body)?;
        self.store.purchases.pay(order, "stripe", self.now);
        Ok(json!({"order": {"id": order, "completed": true}}))
    }

    pub(crate) fn checkout_cash(&mut self) -> HandlerResult {
        let body = self.body_object("cash")?;
        let order = self.unpaid_order(&body)?;
        self.store.purchases.pay(order, "cash", self.now);
        Ok(json!({"errors": []}))
    }

    pub(crate) fn get_spreedly_page(&self) -> HandlerResult {
        let order = self.store.purchases.get(self.id).ok_or_else(not_found)?;
        let buyer = self.store.people.get(order.buyer).ok_or_else(not_found)?;
        Ok(json!({
            "amount": order.pence.to_string(), "company_name": "Harbour Fitness", "full_name": buyer.name(),
            "email": buyer.email, "order_id": self.id, "payment_provider": self.params.get("payment_provider"),
            "url_schema": self.params.get("url_schema"), "key": "test-page-key",
        }))
    }

    pub(crate) fn list_money_transactions(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| -> Option<Predicate> {
            match name {
                "income" => {
                    let income = boolean(wanted)?;
                    let outgoing = |item: &Value| item["amount"].as_str().is_some_and(|amount| amount.starts_with('-'));
                    Some(Box::new(move |item| outgoing(item) != income))
                }
                _ => by_day(name, wanted),
            }
        };
        list("data", self.store.purchases.money_transactions(), &self.params, filter, &["created_at"])
    }

    pub(crate) fn list_credit_transactions(&self) -> HandlerResult {
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "club_id" => by_number("club_id", wanted),
            _ => by_day(name, wanted),
        };
        list("data", self.store.purchases.credit_transactions(), &self.params, filter, &["created_at"])
    }

    /// The id of the unpaid order in a body. An order cannot be paid twice.
    fn unpaid_order(&self, body: &Map<String, Value>) -> Result<i64, ErrorResponse> {
        let id = body.get("order_id").and_then(number).ok_or_else(|| invalid("order_id"))?;
        let order = self.store.purchases.get(id).ok_or_else(not_found)?;
        if order.paid { Err(validation(vec![field_error("order_id", "taken")])) } else { Ok(id) }
    }
}

/// Keeps the transactions of the days from `since` to `till`, both included.
fn by_day(name: &str, wanted: &Value) -> Option<Predicate> {
    let wanted: Date = wanted.as_str()?.parse().ok()?;
    let day = |item: &Value| item.get("created_at").and_then(time).map(|at| at.to_zoned(TimeZone::UTC).date());
    match name {
        "since" => Some(Box::new(move |item| day(item) >= Some(wanted))),
        "till" => Some(Box::new(move |item| day(item).is_some_and(|day| day <= wanted))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::fisikal::{MockServer, Role};

    #[test]
    fn the_days_of_a_transaction_filter_are_inclusive() {
        let server = MockServer::builder().in_memory();
        let query =
            "?json=%7B%22unified_filters%22%3A%7B%22since%22%3A%222026-03-02%22%2C%22till%22%3A%222026-03-03%22%7D%7D";
        let (_, body) = server.request_as(Role::Manager, "GET", &format!("/transactions/money{query}"), None);
        assert_eq!(body["count"], 2, "{body}");
    }

    #[test]
    fn an_order_can_be_paid_only_once() {
        let server = MockServer::builder().in_memory();
        let ask = |method: &str, path: &str, body: serde_json::Value| {
            server.request_as(Role::Manager, method, path, Some(body))
        };
        let item = json!({"product_id": 101, "product_type": "service_package", "quantity": 1});
        let (_, purchase) = ask("POST", "/shop/shop/purchase", json!({"purchases": [item], "client_id": 2003}));
        let cash = json!({"cash": {"order_id": purchase["payment_intent"]["order_id"]}});
        assert_eq!(ask("POST", "/shop/payments/cash/checkout", cash.clone()).0, 200);
        let (status, body) = ask("POST", "/shop/payments/cash/checkout", cash);
        assert_eq!((status, &body["errors"][0]["on"]), (422, &json!("order_id")));
        assert_eq!(ask("PUT", "/schedule/occurrences/5/join", json!({"client_id": 2003})).0, 200);
    }
}
