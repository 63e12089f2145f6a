//! What clients own and pay for: packages with their credits, orders, and what moved.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::catalogue::{self, Package};
use crate::testing::clock::shifted;

/// A package that a client owns.
#[derive(Clone, Debug)]
struct Owned {
    client: i64,
    package: Package,
    used: i64,
    assigned_at: Timestamp,
}

/// An order of the shop.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Who made it.
    pub(super) buyer: i64,
    /// For whom each package is.
    items: Vec<(Package, i64)>,
    pub(super) pence: i64,
    pub(super) paid: bool,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Wares {
    owned: BTreeMap<i64, Owned>,
    orders: BTreeMap<i64, Order>,
    money: Vec<Value>,
    credits: Vec<Value>,
}

impl Wares {
    pub(super) fn seeded(now: Timestamp) -> Self {
        let mut wares =
            Self { owned: BTreeMap::new(), orders: BTreeMap::new(), money: Vec::new(), credits: Vec::new() };
        for (client, package, used) in [(2001, 1, 2), (2001, 2, 0), (2002, 1, 9)] {
            if let Some(package) = catalogue::package(package) {
                wares.assign(client, package, now);
                wares.owned.entry(wares.last()).and_modify(|owned| owned.used = used);
            }
        }
        // One a day, from Sunday, 1 March 2026; every tenth is money paid back.
        for day in 0..60 {
            let time =
                shifted(Timestamp::from_second(1_772_359_200).unwrap_or(now), SignedDuration::from_hours(24 * day));
            let pence = if day % 10 == 9 { -4_900 } else { 4_900 };
            wares.move_money(2001 + day % 3, "Ten classes", pence, "card", time);
        }
        wares
    }

    /// How many credits a client has for a service.
    pub(super) fn credits_of(&self, client: i64, service: i64) -> i64 {
        self.covering(client, service).map(|(_, owned)| owned.package.credits - owned.used).sum()
    }

    /// Uses a credit, of the package that was assigned first.
    pub(super) fn use_credit(&mut self, client: i64, service: i64, now: Timestamp) {
        let id = self.covering(client, service).find(|(_, owned)| owned.used < owned.package.credits).map(|(id, _)| id);
        self.change_credit(id, client, -1, now);
    }

    /// Gives a credit back, to the package that was assigned first of those that have lost one.
    pub(super) fn return_credit(&mut self, client: i64, service: i64, now: Timestamp) {
        let id = self.covering(client, service).find(|(_, owned)| owned.used > 0).map(|(id, _)| id);
        self.change_credit(id, client, 1, now);
    }

    /// The packages of a client. `inactive` ones are used up; nothing is ever archived here.
    pub(super) fn owned(&self, client: i64, status: Option<&str>) -> Vec<Value> {
        let of_client = self.owned.iter().filter(|(_, owned)| owned.client == client);
        let wanted = of_client.filter(|(_, owned)| match status {
            Some("active") => owned.used < owned.package.credits,
            Some("inactive") => owned.used >= owned.package.credits,
            Some(_) => false,
            None => true,
        });
        wanted
            .map(|(id, owned)| {
                json!({
                    "id": id, "assigned_at": owned.assigned_at.to_string(), "expires_at": null,
                    "total_credits": owned.package.credits, "used_credits": owned.used, "refunded": false, "paused": false,
                    "pause_start_on": null, "pause_end_on": null, "cost_discount": null,
                    "service_package": catalogue::shown_package(owned.package.id, false),
                })
            })
            .collect()
    }

    /// Adds an order that is still to be paid.
    pub(super) fn order(&mut self, buyer: i64, items: Vec<(Package, i64)>, pence: i64) -> i64 {
        let id = self.orders.keys().max().copied().unwrap_or(9000) + 1;
        self.orders.insert(id, Order { buyer, items, pence, paid: false });
        id
    }

    pub(super) fn get(&self, order: i64) -> Option<&Order> {
        self.orders.get(&order)
    }

    /// Marks an order as paid: its packages become their owners', and the money is written down.
    pub(super) fn pay(&mut self, order: i64, method: &str, now: Timestamp) {
        let Some(order) = self.orders.get_mut(&order) else { return };
        order.paid = true;
        let Order { buyer, items, pence, .. } = order.clone();
        let name = items.first().map_or("", |(package, _)| package.name);
        self.move_money(buyer, name, pence, method, now);
        for (package, owner) in items {
            self.assign(owner, package, now);
        }
    }

    pub(super) fn money(&self) -> Vec<Value> {
        self.money.clone()
    }

    pub(super) fn credits(&self) -> Vec<Value> {
        self.credits.clone()
    }

    fn covering(&self, client: i64, service: i64) -> impl Iterator<Item = (i64, &Owned)> {
        let covers = move |owned: &Owned| owned.client == client && owned.package.services.contains(&service);
        self.owned.iter().filter(move |(_, owned)| covers(owned)).map(|(id, owned)| (*id, owned))
    }

    fn change_credit(&mut self, package: Option<i64>, client: i64, amount: i64, now: Timestamp) {
        let Some(owned) = package.and_then(|id| self.owned.get_mut(&id)) else { return };
        owned.used -= amount;
        self.move_credits(client, amount, now);
    }

    fn assign(&mut self, client: i64, package: Package, now: Timestamp) {
        self.owned.insert(self.last() + 1, Owned { client, package, used: 0, assigned_at: now });
        self.move_credits(client, package.credits, now);
    }

    fn last(&self) -> i64 {
        self.owned.keys().max().copied().unwrap_or(5000)
    }

    fn move_credits(&mut self, client: i64, amount: i64, now: Timestamp) {
        let id = self.credits.len() + 1;
        let entry =
            json!({"id": id, "created_at": now.to_string(), "client_id": client, "amount": amount, "club_id": 1});
        self.credits.push(entry);
    }

    fn move_money(&mut self, client: i64, product: &str, pence: i64, method: &str, now: Timestamp) {
        let amount = format!("{}{}.{:02}", if pence < 0 { "-" } else { "" }, pence.abs() / 100, pence.abs() % 100);
        let id = self.money.len() + 1;
        self.money.push(json!({
            "id": id, "created_at": now.to_string(), "paid_at": now.to_string(), "quantity": 1, "section": "packages",
            "product_name": product, "transaction_type": if pence < 0 { "refund" } else { "payment" }, "reference": format!("T-{id}"),
            "payment_method": method, "client_id": client, "location_name": "Harbour", "balance": "0.00", "amount": amount,
            "total": amount, "discounts_amount": "0.00", "payment_id": id,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn credits_are_used_and_returned_one_by_one() {
        let mut wares = Wares::seeded(at(0));
        assert_eq!((wares.credits_of(2001, 1), wares.credits_of(2002, 2), wares.credits_of(2003, 1)), (8, 1, 0));
        wares.use_credit(2002, 2, at(1));
        assert_eq!(wares.credits_of(2002, 1), 0, "one package covers both services");
        wares.use_credit(2002, 2, at(2));
        assert_eq!(wares.credits_of(2002, 1), 0, "there is nothing left to use");
        wares.return_credit(2002, 1, at(3));
        assert_eq!(wares.credits_of(2002, 2), 1);
    }

    #[test]
    fn a_paid_order_is_a_package_and_a_movement_of_money() {
        let mut wares = Wares::seeded(at(0));
        let (money, package) = (wares.money().len(), catalogue::package(101).unwrap());
        let order = wares.order(1001, vec![(package, 2003)], 4_410);
        assert_eq!(wares.credits_of(2003, 1), 0);
        wares.pay(order, "cash", at(5));
        assert_eq!(wares.credits_of(2003, 1), 10);
        let moved = wares.money();
        assert_eq!((moved.len(), &moved[money]["amount"]), (money + 1, &json!("44.10")));
        assert!(wares.get(order).unwrap().paid);
    }

    #[test]
    fn packages_that_are_used_up_are_inactive() {
        let mut wares = Wares::seeded(at(0));
        wares.use_credit(2002, 1, at(1));
        let count = |status| wares.owned(2002, status).len();
        assert_eq!(
            (count(Some("active")), count(Some("inactive")), count(Some("archived")), count(None)),
            (0, 1, 0, 1)
        );
    }
}
