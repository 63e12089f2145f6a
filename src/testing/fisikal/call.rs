//! One request that may do what it asks for: reads and changes what the tenant holds.

use http::StatusCode;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::builder::Options;
use super::catalogue;
use super::door::{Caller, Door};
use super::lists::{Test, by_flag, by_number, by_text, list, unfiltered};
use super::params::{number, numbers};
use super::people::{People, Role};
use super::refusal::Refusal;
use super::schedule::{Obstacle, Schedule};
use super::wares::Wares;
use crate::testing::clock::shifted;

/// What a request needs to be carried out.
pub(super) struct Call<'a> {
    pub(super) base_url: &'a str,
    pub(super) options: &'a Options,
    pub(super) people: &'a mut People,
    pub(super) schedule: &'a mut Schedule,
    pub(super) wares: &'a mut Wares,
    pub(super) door: &'a mut Door,
    pub(super) caller: Option<Caller>,
    /// The true time.
    pub(super) now: Timestamp,
    /// The number in the path.
    pub(super) id: i64,
    /// What the query says.
    pub(super) params: Map<String, Value>,
    pub(super) body: Map<String, Value>,
}

type Answer = Result<Value, Refusal>;

// Places and lookups.
impl Call<'_> {
    pub(super) fn locations(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "parent_id" => by_number("parent_id", wanted),
            "region_id" => by_number("region_id", wanted),
            "club_id" => by_number("club_id", wanted),
            "hidden" => by_flag("hidden", wanted),
            "fulltext" => by_text(&["name"], wanted),
            // Nobody has a membership that names a place, and no place has a tag.
            "memberships_client_id" => number(wanted).map(|_| -> Test { Box::new(|_| false) }),
            "tag_ids" => numbers(wanted).map(|_| -> Test { Box::new(|_| false) }),
            "tags_fulltext" => wanted.as_array().map(|_| -> Test { Box::new(|_| false) }),
            _ => None,
        };
        list("locations", catalogue::locations(), &self.params, filter, &["name"])
    }

    pub(super) fn location(&self) -> Answer {
        // The vendor documents that the member may be null, which is what an unknown number gets here.
        let found = catalogue::locations().into_iter().find(|location| location["id"] == self.id);
        Ok(json!({"location": found}))
    }

    pub(super) fn regions(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| (name == "disabled").then(|| by_flag("disabled", wanted))?;
        list("regions", catalogue::regions(), &self.params, filter, &[])
    }

    pub(super) fn settings(&self) -> Answer {
        Ok(json!({"settings": catalogue::settings()}))
    }

    pub(super) fn sections(&self) -> Answer {
        self.all("sections", catalogue::sections())
    }

    pub(super) fn countries(&self) -> Answer {
        self.all("countries", catalogue::countries())
    }

    pub(super) fn announcements(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| {
            time(wanted).filter(|_| matches!(name, "since" | "till")).map(|_| -> Test { Box::new(|_| true) })
        };
        list("announcements", Vec::new(), &self.params, filter, &[])
    }

    fn all(&self, root: &str, items: Vec<Value>) -> Answer {
        list(root, items, &self.params, unfiltered, &[])
    }
}

// Schedule.
impl Call<'_> {
    pub(super) fn occurrences(&self) -> Answer {
        let shown = self.schedule.shown(self.user(), self.now);
        let at = |item: &Value| item.get("occurs_at").and_then(time);
        let filter = move |name: &str, wanted: &Value| -> Option<Test> {
            match name {
                "since" => time(wanted).map(|since| -> Test { Box::new(move |item| at(item) >= Some(since)) }),
                "till" => time(wanted).map(|till| -> Test { Box::new(move |item| at(item) < Some(till)) }),
                "visible_on_schedule" => by_flag("visible_on_schedule", wanted),
                "client_id" => {
                    let client = number(wanted)?;
                    let joined = move |item: &Value| {
                        item["client_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| *id == client))
                    };
                    Some(Box::new(joined))
                }
                _ => None,
            }
        };
        if let Some(client) = self.params.get("unified_filters").and_then(|filters| number(filters.get("client_id")?)) {
            self.may_act_for(client)?;
        }
        let mut answer = list("occurrences", shown, &self.params, filter, &[])?;
        for occurrence in answer["occurrences"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            occurrence.remove("client_ids");
            occurrence.remove("visible_on_schedule");
        }
        Ok(answer)
    }

    pub(super) fn precheck(&self) -> Answer {
        let client = self.client_in_body()?;
        self.check_class(client)?;
        self.occurrence(client, Vec::new())
    }

    pub(super) fn join(&mut self) -> Answer {
        let client = self.client_in_body()?;
        let service = self.check_class(client)?;
        self.schedule.join(self.id, client);
        self.wares.use_credit(client, service, self.now);
        self.occurrence(client, Vec::new())
    }

    pub(super) fn cancel(&mut self) -> Answer {
        let client = self.client_in_body()?;
        let class = self.schedule.get(self.id).ok_or_else(Refusal::not_found)?;
        let (service, late) = (class.service, class.is_late(self.options.late_window, self.now));
        if late {
            let text = "The booking can no longer be cancelled without a late cancellation.";
            return Err(Refusal::with(StatusCode::BAD_REQUEST, json!({"exception": text})));
        }
        if !self.schedule.leave(self.id, client) {
            return Err(Refusal::not_found());
        }
        self.wares.return_credit(client, service, self.now);
        self.occurrence(client, Vec::new())
    }

    /// The service of the class, if nothing keeps the client from it.
    fn check_class(&self, client: i64) -> Result<i64, Refusal> {
        let class = self.schedule.get(self.id).ok_or_else(Refusal::not_found)?;
        let credits = self.wares.credits_of(client, class.service);
        match self.schedule.obstacle(class, client, credits, self.now) {
            None => Ok(class.service),
            Some(Obstacle::Full) => Err(Refusal::silent()),
            Some(Obstacle::Named(error)) => {
                let body = self.occurrence(client, vec![error])?;
                Err(Refusal::with(self.options.booking_refusal_status, body))
            }
        }
    }

    fn occurrence(&self, client: i64, errors: Vec<Value>) -> Answer {
        let class = self.schedule.get(self.id).ok_or_else(Refusal::not_found)?;
        let mut shown = class.shown(Some(client), self.now);
        if let Some(members) = shown.as_object_mut() {
            members.remove("client_ids");
            members.remove("visible_on_schedule");
            members.insert("errors".to_owned(), json!(errors));
        }
        Ok(json!({"occurrence": shown}))
    }

    pub(super) fn slots(&self) -> Answer {
        let text = |name: &str| self.params.get(name);
        let moment = |name: &str, default: Timestamp| match text(name) {
            Some(given) => time(given).ok_or_else(|| Refusal::invalid(name, "invalid")),
            None => Ok(default),
        };
        let since = moment("since", self.now)?;
        let till = moment("till", shifted(since, SignedDuration::from_hours(72)))?;
        let wanted = |name: &str| text(name).and_then(number).ok_or_else(|| Refusal::invalid(name, "invalid"));
        let (service, location) = (wanted("service_id")?, wanted("location_id")?);
        self.may_act_for(wanted("client_id")?)?;
        let only = text("trainer_activity_id").and_then(number);
        let offers = catalogue::offers_of(service, location).filter(|offer| only.is_none_or(|only| only == *offer));
        let slots = offers.flat_map(|offer| self.schedule.slots(offer, since, till, self.now)).collect();
        list("time_slots", slots, &Map::new(), unfiltered, &[])
    }

    pub(super) fn book(&mut self) -> Answer {
        let body = self.inside("appointment")?;
        let clients = body.get("client_ids").and_then(numbers).filter(|clients| !clients.is_empty());
        let clients = clients.ok_or_else(|| Refusal::invalid("client_ids", "invalid"))?;
        for client in &clients {
            self.may_act_for(*client)?;
        }
        let offer = body.get("trainer_activity_id").and_then(number);
        let found = offer.and_then(|offer| Some((offer, catalogue::offer(offer)?)));
        let (offer, (_, service, location)) =
            found.ok_or_else(|| Refusal::invalid("trainer_activity_id", "invalid"))?;
        if body.get("location_id").and_then(number) != Some(location) {
            return Err(Refusal::invalid("location_id", "invalid"));
        }
        let when = body.get("reccurrence_attributes").cloned().unwrap_or_default();
        let (from, till) = (when.get("starts_at").and_then(time), when.get("ends_at").and_then(time));
        let slot = from.and_then(|from| Some((from, self.schedule.free(offer, from, self.now)?)));
        let slot = slot.filter(|(_, end)| Some(*end) == till && when["template"] == "single");
        let poor = clients.iter().any(|client| self.wares.credits_of(*client, service) < 1);
        let error = match slot {
            None => json!({"on": "time_frame", "type": "invalid"}),
            Some(_) if poor => json!({"on": null, "type": "not_enough_credits"}),
            Some((from, till)) => {
                for client in &clients {
                    self.wares.use_credit(*client, service, self.now);
                }
                let id = self.schedule.book(offer, from, till, clients);
                return Ok(json!({"appointment": {"id": id, "errors": []}}));
            }
        };
        let body = json!({"appointment": {"id": null, "errors": [error]}});
        Err(Refusal::with(self.options.booking_refusal_status, body))
    }
}

// Services and packages.
impl Call<'_> {
    pub(super) fn services(&self) -> Answer {
        self.all("services", catalogue::services())
    }

    pub(super) fn activity_categories(&self) -> Answer {
        self.all("activity_categories", catalogue::activity_categories())
    }

    pub(super) fn offers(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| match name {
            "service_category_id" => by_number("service_category_id", wanted),
            "trainer_id" => by_number("trainer_id", wanted),
            "location_id" => by_number("location_id", wanted),
            _ => None,
        };
        list("trainer_activities", catalogue::offers(), &self.params, filter, &[])
    }

    pub(super) fn packages(&self) -> Answer {
        let holds = |wanted: &Value| -> Option<Test> {
            let services = numbers(wanted)?;
            let has = move |id: &Value| id.as_i64().is_some_and(|id| services.contains(&id));
            Some(Box::new(move |item| item["service_ids"].as_array().is_some_and(|ids| ids.iter().any(&has))))
        };
        let filter = |name: &str, wanted: &Value| match name {
            "location_id" | "location_ids" => by_number("location_id", wanted),
            "credit_service_ids" => holds(wanted),
            // What a package has to do with a trainer or a category is not known: every package has.
            "trainer_id" | "service_category_id" => number(wanted).map(|_| -> Test { Box::new(|_| true) }),
            _ => None,
        };
        let mut packages = catalogue::packages();
        for (name, field) in [("location_id", "location_id"), ("club_id", "club_id")] {
            let Some(wanted) = self.params.get(name).filter(|wanted| !wanted.is_null()) else { continue };
            packages.retain(by_number(field, wanted).ok_or_else(|| Refusal::invalid(name, "invalid"))?);
        }
        list("service_packages", packages, &self.params, filter, &["position"])
    }

    pub(super) fn package(&self) -> Answer {
        let package = catalogue::shown_package(self.id, true).ok_or_else(Refusal::not_found)?;
        Ok(json!({"service_package": package}))
    }

    pub(super) fn owned(&self) -> Answer {
        let status = self.params.get("unified_filters").and_then(|filters| filters.get("status")?.as_str());
        let owned = self.wares.owned(self.caller()?.user, status);
        let filter = |name: &str, _: &Value| (name == "status").then(|| -> Test { Box::new(|_| true) });
        list("client_service_packages", owned, &self.params, filter, &[])
    }
}

// People.
impl Call<'_> {
    pub(super) fn sign_up(&mut self) -> Answer {
        let id = self.add_client("user")?;
        let token = self.door.begin_session(Caller { user: id, role: Role::Client }, self.now).access;
        let mut user = self.session_user(id);
        user["auth_token"] = json!(token);
        Ok(json!({"user": user}))
    }

    pub(super) fn create_client(&mut self) -> Answer {
        let id = self.add_client("client")?;
        Ok(json!({"client": self.session_user(id)}))
    }

    fn add_client(&mut self, root: &str) -> Result<i64, Refusal> {
        let body = self.inside(root)?;
        let errors = self.people.complaints(&body, None);
        if errors.is_empty() { Ok(self.people.add_client(&body)) } else { Err(Refusal::complaints(errors)) }
    }

    fn session_user(&self, id: i64) -> Value {
        self.people.get(id).map(|person| self.people.session_user(person)).unwrap_or_default()
    }

    pub(super) fn profile(&self) -> Answer {
        let person = self.people.get(self.caller()?.user).ok_or_else(Refusal::not_found)?;
        Ok(json!({"user": self.people.profile(person, self.now)}))
    }

    pub(super) fn update_profile(&mut self) -> Answer {
        let (id, body) = (self.caller()?.user, self.inside("user")?);
        let errors = self.people.complaints(&body, Some(id));
        if !errors.is_empty() {
            return Err(Refusal::complaints(errors));
        }
        self.people.update_profile(id, &body);
        self.profile()
    }

    pub(super) fn update_permissions(&mut self) -> Answer {
        let body = self.inside("user")?;
        let id = body.get("id").and_then(number).ok_or_else(|| Refusal::invalid("id", "invalid"))?;
        self.may_act_for(id)?;
        let lists = body.get("hashed_permissions").and_then(|permissions| permissions.get("client"));
        let ids = |name: &str| lists.and_then(|lists| numbers(lists.get(name)?)).unwrap_or_default();
        if !self.people.update_permissions(id, ids("book_for"), ids("email_redirection_for")) {
            return Err(Refusal::invalid("hashed_permissions", "invalid"));
        }
        Ok(json!({"user": {"id": id}}))
    }

    pub(super) fn trainers(&self) -> Answer {
        let offers = |field: &'static str, wanted: &Value| -> Option<Test> {
            let wanted = numbers(wanted)?;
            let matching = catalogue::offers().into_iter().filter(move |offer| {
                let value = if field == "service_id" { offer.pointer("/service/id") } else { offer.get(field) };
                value.and_then(Value::as_i64).is_some_and(|value| wanted.contains(&value))
            });
            let trainers: Vec<_> = matching.filter_map(|offer| offer["trainer_id"].as_i64()).collect();
            Some(Box::new(move |item| item["id"].as_i64().is_some_and(|id| trainers.contains(&id))))
        };
        let filter = |name: &str, wanted: &Value| match name {
            "service_category_id" => offers("service_category_id", wanted),
            "service_id" => offers("service_id", wanted),
            "location_ids" => offers("location_id", wanted),
            _ => None,
        };
        list("trainers", catalogue::trainers(), &self.params, filter, &[])
    }

    pub(super) fn trainer(&self) -> Answer {
        let person = self.people.get(self.id).filter(|person| person.role == Role::Trainer);
        let trainer = person.map(|person| catalogue::trainer(person.id, true)).ok_or_else(Refusal::not_found)?;
        Ok(json!({"trainer": trainer}))
    }

    pub(super) fn client(&self) -> Answer {
        self.may_act_for(self.id)?;
        Ok(json!({"client": self.session_user(self.id)}))
    }

    pub(super) fn family(&self) -> Answer {
        let person = self.people.get(self.caller()?.user).ok_or_else(Refusal::not_found)?;
        self.all("clients", self.people.family(person))
    }

    pub(super) fn notifications(&self) -> Answer {
        let person = self.people.get(self.caller()?.user).ok_or_else(Refusal::not_found)?;
        let set =
            json!({"id": person.id, "club_id": 1, "user_id": person.id, "notification_settings": person.notifications});
        Ok(json!({"notification_settings_set": set}))
    }

    pub(super) fn update_notifications(&mut self) -> Answer {
        let (user, body) = (self.caller()?.user, self.inside("notification_settings_set")?);
        if self.id != user {
            return Err(Refusal::not_found());
        }
        let person = self.people.get_mut(user).ok_or_else(Refusal::not_found)?;
        let sent = body.get("notification_settings_attributes").and_then(Value::as_array);
        for setting in sent.into_iter().flatten().filter_map(Value::as_object) {
            if let Some(known) = person.notifications.iter_mut().find(|known| known.get("id") == setting.get("id")) {
                known.extend(setting.clone());
            }
        }
        self.notifications()
    }
}

// Shop and transactions.
impl Call<'_> {
    pub(super) fn apply_promocode(&self) -> Answer {
        self.purchases()?;
        let code = self.body.get("promocode").and_then(Value::as_str).unwrap_or_default();
        Ok(json!({"success": true, "discount": catalogue::discount(code)}))
    }

    pub(super) fn purchase(&mut self) -> Answer {
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
        let code = self.body.get("promocode").and_then(Value::as_str).unwrap_or_default();
        if let Some(discount) = catalogue::discount(code) {
            pence -= pence * discount["percentage_off"].as_i64().unwrap_or(0) / 100;
            pence = (pence - discount["amount_off"].as_i64().unwrap_or(0)).max(0);
        }
        let order_id = self.wares.order(buyer, items, pence);
        let layouts = ["stripe", "cash", "offline"].map(|flow| json!({"flow": flow}));
        let intent = json!({
            "order_id": order_id, "flow": "stripe", "payment_layouts": layouts, "payment_provider": "stripe", "valid": true,
            "tos": "", "credit_card_id": null,
        });
        Ok(json!({"success": true, "payment_intent": intent, "errors": []}))
    }

    /// What the body wants to buy: package, how many, and for whom.
    fn purchases(&self) -> Result<Vec<(catalogue::Package, i64, Option<i64>)>, Refusal> {
        let wrong = || Refusal::invalid("purchases", "invalid");
        let purchases = self.body.get("purchases").and_then(Value::as_array).filter(|items| !items.is_empty());
        let item = |item: &Value| {
            let package = item.get("product_id").and_then(number).and_then(catalogue::package).ok_or_else(wrong)?;
            let quantity = item.get("quantity").and_then(number).filter(|quantity| (1..=99).contains(quantity));
            if item["product_type"] != "service_package" {
                return Err(wrong());
            }
            let target = item.get("target_user_id").and_then(number);
            target.map_or(Ok(()), |target| self.may_act_for(target))?;
            Ok((package, quantity.ok_or_else(wrong)?, target))
        };
        purchases.ok_or_else(wrong)?.iter().map(item).collect()
    }

    pub(super) fn checkout_stripe(&mut self) -> Answer {
        let body = self.inside("stripe")?;
        let order = self.unpaid(&body)?;
        match body.get("payment_method_token").and_then(Value::as_str).unwrap_or_default() {
            "" => Err(Refusal::invalid("payment_method_token", "invalid")),
            // The one method whose owner has to confirm.
            "pm_confirm" => {
                let page = format!("{}/stripe/confirm/{order}", self.base_url);
                let error = json!({"on": null, "type": "requires_action", "options": {"stripe_url": page}});
                Ok(json!({"errors": [error]}))
            }
            _ => {
                self.wares.pay(order, "stripe", self.now);
                Ok(json!({"errors": []}))
            }
        }
    }

    pub(super) fn confirm_stripe(&mut self) -> Answer {
        let body = self.inside("stripe")?;
        let order = self.unpaid(&body)?;
        self.wares.pay(order, "stripe", self.now);
        Ok(json!({"order": {"id": order, "completed": true}}))
    }

    pub(super) fn checkout_cash(&mut self) -> Answer {
        let body = self.inside("cash")?;
        let order = self.unpaid(&body)?;
        self.wares.pay(order, "cash", self.now);
        Ok(json!({"errors": []}))
    }

    pub(super) fn spreedly(&self) -> Answer {
        let order = self.wares.get(self.id).ok_or_else(Refusal::not_found)?;
        let buyer = self.people.get(order.buyer).ok_or_else(Refusal::not_found)?;
        Ok(json!({
            "amount": order.pence.to_string(), "company_name": "Harbour Fitness", "full_name": buyer.name(),
            "email": buyer.email, "order_id": self.id, "payment_provider": self.params.get("payment_provider"),
            "url_schema": self.params.get("url_schema"), "key": "test-page-key",
        }))
    }

    pub(super) fn money(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| -> Option<Test> {
            match name {
                "income" => {
                    let income = super::params::flag(wanted)?;
                    let outgoing = |item: &Value| item["amount"].as_str().is_some_and(|amount| amount.starts_with('-'));
                    Some(Box::new(move |item| outgoing(item) != income))
                }
                _ => by_day(name, wanted),
            }
        };
        list("data", self.wares.money(), &self.params, filter, &["created_at"])
    }

    pub(super) fn credits(&self) -> Answer {
        let filter = |name: &str, wanted: &Value| match name {
            "id" => by_number("id", wanted),
            "club_id" => by_number("club_id", wanted),
            _ => by_day(name, wanted),
        };
        list("data", self.wares.credits(), &self.params, filter, &["created_at"])
    }

    /// The order that a body names, which is not paid yet. A paid one cannot be paid again.
    fn unpaid(&self, body: &Map<String, Value>) -> Result<i64, Refusal> {
        let id = body.get("order_id").and_then(number).ok_or_else(|| Refusal::invalid("order_id", "invalid"))?;
        match self.wares.get(id).ok_or_else(Refusal::not_found)?.paid {
            false => Ok(id),
            true => Err(Refusal::invalid("order_id", "taken")),
        }
    }
}

// Who calls, for whom, and with what.
impl Call<'_> {
    fn caller(&self) -> Result<Caller, Refusal> {
        self.caller.ok_or_else(Refusal::unauthorized)
    }

    fn user(&self) -> Option<i64> {
        self.caller.map(|caller| caller.user)
    }

    /// Staff acts for every client; a client for itself and for whom it may book.
    fn may_act_for(&self, client: i64) -> Result<(), Refusal> {
        let caller = self.caller()?;
        let known = self.people.client(client).is_some() || client == caller.user;
        let own = self.people.get(caller.user).is_some_and(|person| person.may_book_for(client));
        match (caller.role, known, own) {
            (Role::Client, _, false) => Err(Refusal::forbidden()),
            (_, false, _) => Err(Refusal::not_found()),
            _ => Ok(()),
        }
    }

    /// The client that a body names, or else the caller where that is a client.
    fn client_in_body(&self) -> Result<i64, Refusal> {
        let caller = self.caller()?;
        let own = (caller.role == Role::Client).then_some(caller.user);
        let client = self.body.get("client_id").and_then(number).or(own);
        let client = client.ok_or_else(|| Refusal::invalid("client_id", "invalid"))?;
        self.may_act_for(client)?;
        Ok(client)
    }

    /// The object that a body holds under a name.
    fn inside(&self, root: &str) -> Result<Map<String, Value>, Refusal> {
        self.body.get(root).and_then(Value::as_object).cloned().ok_or_else(|| Refusal::invalid(root, "invalid"))
    }
}

/// `since` and `till` of transactions, which are days that belong to what is asked for.
fn by_day(name: &str, wanted: &Value) -> Option<Test> {
    let day: Date = wanted.as_str()?.parse().ok()?;
    let of = |item: &Value| item.get("created_at").and_then(time).map(|at| at.to_zoned(TimeZone::UTC).date());
    match name {
        "since" => Some(Box::new(move |item| of(item) >= Some(day))),
        "till" => Some(Box::new(move |item| of(item).is_some_and(|at| at <= day))),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{MockServer, Role};
    use super::*;

    fn tenant() -> MockServer {
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range")).in_memory()
    }

    fn ask(tenant: &MockServer, role: Role, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("/api/unified{path}"))
            .header("x-fisikal-token", tenant.session_token(role))
            .body(bytes::Bytes::from(body.to_string()))
            .expect("a request");
        let response = tenant.handle(&request).response;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    #[test]
    fn a_booking_takes_a_place_and_a_credit_and_a_cancellation_returns_both() {
        let tenant = tenant();
        let credits = |tenant: &MockServer| {
            let (_, answer) = ask(tenant, Role::Client, "GET", "/services/client_service_packages", Value::Null);
            answer["client_service_packages"][0]["used_credits"].as_i64()
        };
        let before = credits(&tenant);
        let (_, joined) = ask(&tenant, Role::Client, "PUT", "/schedule/occurrences/5/join", json!({}));
        assert_eq!(
            (&joined["occurrence"]["attended_clients_count"], &joined["occurrence"]["is_joined"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(credits(&tenant), before.map(|used| used + 1));
        let (status, _) = ask(&tenant, Role::Client, "DELETE", "/schedule/occurrences/5/cancel", json!({}));
        assert_eq!((status, credits(&tenant)), (200, before));
        let (status, _) = ask(&tenant, Role::Client, "DELETE", "/schedule/occurrences/5/cancel", json!({}));
        assert_eq!(status, 404, "nobody leaves twice");
    }

    #[test]
    fn a_refused_booking_is_a_success_by_its_status_unless_chosen_otherwise() {
        let other = MockServer::builder().with_booking_refusal_status(422).in_memory();
        for (tenant, expected) in [(tenant(), 200), (other, 422)] {
            let (status, body) =
                ask(&tenant, Role::Manager, "PUT", "/schedule/occurrences/5/join", json!({"client_id": 2003}));
            assert_eq!((status, &body["occurrence"]["errors"][0]["type"]), (expected, &json!("not_enough_credits")));
        }
        let (status, body) = ask(&tenant(), Role::Client, "PUT", "/schedule/occurrences/3/join", json!({}));
        assert_eq!((status, body), (422, Value::Null), "a full class gives no reason");
    }

    #[test]
    fn a_late_cancellation_is_refused_in_words() {
        let tenant = tenant();
        ask(&tenant, Role::Client, "PUT", "/schedule/occurrences/4/join", json!({}));
        let (status, body) = ask(&tenant, Role::Client, "DELETE", "/schedule/occurrences/4/cancel", json!({}));
        assert_eq!(status, 400);
        assert!(body["exception"].is_string(), "{body}");
    }

    #[test]
    fn a_client_acts_for_itself_and_for_whom_it_may_book() {
        let tenant = tenant();
        for (client, status) in [(2001, 200), (2002, 200), (2003, 403), (9999, 403)] {
            let path = "/schedule/occurrences/5/precheck";
            assert_eq!(ask(&tenant, Role::Client, "POST", path, json!({"client_id": client})).0, status, "{client}");
        }
        assert_eq!(ask(&tenant, Role::Manager, "GET", "/users/clients/9999", Value::Null).0, 404);
        assert_eq!(ask(&tenant, Role::Client, "GET", "/transactions/money", Value::Null).0, 403);
    }

    #[test]
    fn days_of_transactions_belong_to_what_is_asked_for() {
        let query =
            "?json=%7B%22unified_filters%22%3A%7B%22since%22%3A%222026-03-02%22%2C%22till%22%3A%222026-03-03%22%7D%7D";
        let (_, answer) = ask(&tenant(), Role::Manager, "GET", &format!("/transactions/money{query}"), Value::Null);
        assert_eq!(answer["count"], 2, "{answer}");
    }

    #[test]
    fn an_order_can_be_paid_once() {
        let tenant = tenant();
        let purchase = json!({"purchases": [{"product_id": 101, "product_type": "service_package", "quantity": 1}], "client_id": 2003});
        let (_, made) = ask(&tenant, Role::Manager, "POST", "/shop/shop/purchase", purchase);
        let cash = json!({"cash": {"order_id": made["payment_intent"]["order_id"]}});
        assert_eq!(ask(&tenant, Role::Manager, "POST", "/shop/payments/cash/checkout", cash.clone()).0, 200);
        let (status, again) = ask(&tenant, Role::Manager, "POST", "/shop/payments/cash/checkout", cash);
        assert_eq!((status, &again["errors"][0]["on"]), (422, &json!("order_id")));
        assert_eq!(
            ask(&tenant, Role::Manager, "PUT", "/schedule/occurrences/5/join", json!({"client_id": 2003})).0,
            200
        );
    }

    #[test]
    fn a_location_that_nobody_knows_is_null() {
        assert_eq!(
            ask(&tenant(), Role::Client, "GET", "/clubs/locations/99", Value::Null),
            (200, json!({"location": null}))
        );
    }
}
