//! Purchases: the packages of clients with their credits, orders, and the transactions of money and credits.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::packages::{self, Package};
use crate::testing::clock::shifted;

/// A package that a client has bought.
#[derive(Clone, Debug)]
struct ClientPackage {
    client: i64,
    package: Package,
    used_credits: i64,
    assigned_at: Timestamp,
}

/// An order of packages.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) buyer: i64,
    /// Each package with the client that gets it.
    items: Vec<(Package, i64)>,
    pub(super) pence: i64,
    pub(super) paid: bool,
}

/// All packages that clients have bought, orders and transactions.
#[derive(Debug)]
pub(super) struct Purchases {
    packages: BTreeMap<i64, ClientPackage>,
    orders: BTreeMap<i64, Order>,
    money_transactions: Vec<Value>,
    credit_transactions: Vec<Value>,
}

impl Purchases {
    pub(super) fn seeded(now: Timestamp) -> Self {
        let mut purchases = Self {
            packages: BTreeMap::new(),
            orders: BTreeMap::new(),
            money_transactions: Vec::new(),
            credit_transactions: Vec::new(),
        };
        for (client, package, used_credits) in [(2001, 1, 2), (2001, 2, 0), (2002, 1, 9)] {
            if let Some(package) = packages::package(package) {
                let id = purchases.assign(client, package, now);
                purchases.packages.entry(id).and_modify(|package| package.used_credits = used_credits);
            }
        }
        // One a day from Sunday, March 1, 2026; every tenth is a refund.
        let first = Timestamp::from_second(1_772_359_200).unwrap_or(now);
        for day in 0..60 {
            let pence = if day % 10 == 9 { -4_900 } else { 4_900 };
            let time = shifted(first, SignedDuration::from_hours(24 * day));
            purchases.record_money(2001 + day % 3, "Ten classes", pence, "card", time);
        }
        purchases
    }

    /// How many credits a client has left for a service.
    pub(super) fn credits_for(&self, client: i64, service: i64) -> i64 {
        self.covering(client, service).map(|(_, package)| package.credits_left()).sum()
    }

    /// Uses a credit of the client's oldest package that has one left.
    pub(super) fn use_credit(&mut self, client: i64, service: i64, now: Timestamp) {
        let id = self.covering(client, service).find(|(_, package)| package.credits_left() > 0).map(|(id, _)| id);
        self.change_credit(id, client, -1, now);
    }

    /// Returns a credit to the client's oldest package that has a used one.
    pub(super) fn return_credit(&mut self, client: i64, service: i64, now: Timestamp) {
        let id = self.covering(client, service).find(|(_, package)| package.used_credits > 0).map(|(id, _)| id);
        self.change_credit(id, client, 1, now);
    }

    /// The packages of a client with this status: `active`, or `inactive` if no credit is left. None is ever archived.
    pub(super) fn packages_of(&self, client: i64, status: Option<&str>) -> Vec<Value> {
        let of_client = self.packages.iter().filter(|(_, package)| package.client == client);
        let wanted = of_client.filter(|(_, package)| match status {
            Some("active") => package.credits_left() > 0,
            Some("inactive") => package.credits_left() <= 0,
            Some(_) => false,
            None => true,
        });
        wanted.map(|(id, package)| package.to_json(*id)).collect()
    }

    /// Adds an unpaid order and returns its id.
    pub(super) fn order(&mut self, buyer: i64, items: Vec<(Package, i64)>, pence: i64) -> i64 {
        let id = self.orders.keys().max().copied().unwrap_or(9000) + 1;
        self.orders.insert(id, Order { buyer, items, pence, paid: false });
        id
    }

    /// All orders, oldest first.
    pub(super) fn orders(&self) -> Vec<Value> {
        let shown = |(id, order): (&i64, &Order)| {
            let items = order
                .items
                .iter()
                .map(|(package, client)| json!({"service_package_id": package.id, "client_id": client}));
            json!({
                "id": id, "buyer_id": order.buyer, "amount": order.pence, "paid": order.paid,
                "purchases": items.collect::<Vec<_>>(),
            })
        };
        self.orders.iter().map(shown).collect()
    }

    pub(super) fn get(&self, order: i64) -> Option<&Order> {
        self.orders.get(&order)
    }

    /// Marks an order as paid, assigns its packages and records the payment.
    pub(super) fn pay(&mut self, order: i64, method: &str, now: Timestamp) {
        let Some(order) = self.orders.get_mut(&order) else { return };
        order.paid = true;
        let Order { buyer, items, pence, .. } = order.clone();
        let name = items.first().map_or("", |(package, _)| package.name);
        self.record_money(buyer, name, pence, method, now);
        for (package, client) in items {
            self.assign(client, package, now);
        }
    }

    pub(super) fn money_transactions(&self) -> Vec<Value> {
        self.money_transactions.clone()
    }

    pub(super) fn credit_transactions(&self) -> Vec<Value> {
        self.credit_transactions.clone()
    }

    /// The packages of a client that cover a service, oldest first.
    fn covering(&self, client: i64, service: i64) -> impl Iterator<Item = (i64, &ClientPackage)> {
        let covers =
            move |package: &ClientPackage| package.client == client && package.package.services.contains(&service);
        self.packages.iter().filter(move |(_, package)| covers(package)).map(|(id, package)| (*id, package))
    }

    fn change_credit(&mut self, package: Option<i64>, client: i64, amount: i64, now: Timestamp) {
        let Some(package) = package.and_then(|id| self.packages.get_mut(&id)) else { return };
        package.used_credits -= amount;
        self.record_credits(client, amount, now);
    }

    /// Gives a client a package and returns the id of the client's package.
    fn assign(&mut self, client: i64, package: Package, now: Timestamp) -> i64 {
        let id = self.packages.keys().max().copied().unwrap_or(5000) + 1;
        self.packages.insert(id, ClientPackage { client, package, used_credits: 0, assigned_at: now });
        self.record_credits(client, package.credits, now);
        id
    }

    fn record_credits(&mut self, client: i64, amount: i64, now: Timestamp) {
        let id = self.credit_transactions.len() + 1;
        self.credit_transactions.push(json!({
            "id": id, "created_at": now.to_string(), "client_id": client, "amount": amount, "club_id": 1,
        }));
    }

    fn record_money(&mut self, client: i64, product: &str, pence: i64, method: &str, now: Timestamp) {
        let amount = format!("{}{}.{:02}", if pence < 0 { "-" } else { "" }, pence.abs() / 100, pence.abs() % 100);
        let id = self.money_transactions.len() + 1;
        self.money_transactions.push(json!({
            "id": id, "created_at": now.to_string(), "paid_at": now.to_string(), "quantity": 1, "section": "packages",
            "product_name": product, "transaction_type": if pence < 0 { "refund" } else { "payment" }, "reference": format!("T-{id}"),
            "payment_method": method, "client_id": client, "location_name": "Harbour", "balance": "0.00", "amount": amount,
            "total": pence as f64 / 100.0, "discounts_amount": "0.00", "payment_id": id,
        }));
    }
}

impl ClientPackage {
    fn credits_left(&self) -> i64 {
        self.package.credits - self.used_credits
    }

    fn to_json(&self, id: i64) -> Value {
        json!({
            "id": id, "assigned_at": self.assigned_at.to_string(), "expires_at": null,
            "total_credits": self.package.credits, "used_credits": self.used_credits, "refunded": false, "paused": false,
            "pause_start_on": null, "pause_end_on": null, "cost_discount": null,
            "service_package": self.package.to_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn credits_are_used_and_returned_one_at_a_time() {
        let mut purchases = Purchases::seeded(at(0));
        assert_eq!(
            (purchases.credits_for(2001, 1), purchases.credits_for(2002, 2), purchases.credits_for(2003, 1)),
            (8, 1, 0)
        );
        purchases.use_credit(2002, 2, at(1));
        assert_eq!(purchases.credits_for(2002, 1), 0, "one package covers both services");
        purchases.use_credit(2002, 2, at(2));
        assert_eq!(purchases.credits_for(2002, 1), 0, "no credit is left to use");
        purchases.return_credit(2002, 1, at(3));
        assert_eq!(purchases.credits_for(2002, 2), 1);
    }

    #[test]
    fn a_paid_order_assigns_its_package_and_records_the_payment() {
        let mut purchases = Purchases::seeded(at(0));
        let (money, package) = (purchases.money_transactions().len(), packages::package(101).unwrap());
        let order = purchases.order(1001, vec![(package, 2003)], 4_410);
        assert_eq!(purchases.credits_for(2003, 1), 0);
        purchases.pay(order, "cash", at(5));
        assert_eq!(purchases.credits_for(2003, 1), 10);
        let transactions = purchases.money_transactions();
        assert_eq!((transactions.len(), &transactions[money]["amount"]), (money + 1, &json!("44.10")));
        assert!(purchases.get(order).unwrap().paid);
    }

    #[test]
    fn a_package_without_credits_is_inactive() {
        let mut purchases = Purchases::seeded(at(0));
        purchases.use_credit(2002, 1, at(1));
        let count = |status| purchases.packages_of(2002, status).len();
        assert_eq!(
            (count(Some("active")), count(Some("inactive")), count(Some("archived")), count(None)),
            (0, 1, 0, 1)
        );
    }
}
