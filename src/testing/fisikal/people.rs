//! People: the manager, the trainers and the clients, with their profiles.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::error_response::field_error;

/// The role of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Runs the club and may do everything, for every client. User 1001.
    Manager,
    /// Gives classes. User 3001.
    Trainer,
    /// Books and buys, for itself and for the clients that it may book for. User 2001.
    Client,
}

impl Role {
    /// The role as the login takes it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Manager => "manager",
            Self::Trainer => "trainer",
            Self::Client => "client",
        }
    }

    /// The `type` of a user's record.
    fn record_type(self) -> &'static str {
        match self {
            Self::Manager => "Manager",
            Self::Trainer => "Trainer",
            Self::Client => "Client",
        }
    }
}

/// One person.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: i64,
    pub(super) role: Role,
    pub(super) email: String,
    password: String,
    /// The other fields of the profile.
    profile: Map<String, Value>,
    linked: Vec<i64>,
    book_for: Vec<i64>,
    email_redirection_for: Vec<i64>,
    pub(super) notifications: Vec<Map<String, Value>>,
}

impl Person {
    pub(super) fn name(&self) -> &str {
        self.profile.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn may_book_for(&self, client: i64) -> bool {
        self.id == client || self.book_for.contains(&client)
    }

    fn permissions(&self) -> Value {
        json!({"book_for": self.book_for, "email_redirection_for": self.email_redirection_for})
    }
}

/// All people, by id.
#[derive(Debug)]
pub(super) struct People(BTreeMap<i64, Person>);

const NOTIFICATIONS: [&str; 2] = ["global_notifications_enabled", "global_notifications_by_pushes_enabled"];

impl People {
    pub(super) fn seeded() -> Self {
        let mut people = Self(BTreeMap::new());
        for (id, role, name, login) in [
            (1001, Role::Manager, "Ines Cortez", "manager"),
            (2001, Role::Client, "Ada Byrne", "client"),
            (2002, Role::Client, "Ben Byrne", "ben"),
            (2003, Role::Client, "Cal Osei", "cal"),
            (3001, Role::Trainer, "Mia Novak", "trainer"),
            (3002, Role::Trainer, "Tom Reyes", "tom"),
        ] {
            let profile = json!({"name": name, "country_id": 1, "home_location_id": 1, "receive_newsletter": false});
            people.insert(id, role, &format!("{login}@club.example"), &format!("{login}-password"), profile);
        }
        for (id, other) in [(2001, 2002), (2002, 2001)] {
            people.0.entry(id).and_modify(|person| person.linked.push(other));
        }
        people.0.entry(2001).and_modify(|person| person.book_for.push(2002));
        people
    }

    pub(super) fn get(&self, id: i64) -> Option<&Person> {
        self.0.get(&id)
    }

    pub(super) fn client(&self, id: i64) -> Option<&Person> {
        self.get(id).filter(|person| person.role == Role::Client)
    }

    /// The profiles of all clients, by ascending id.
    pub(super) fn clients(&self, now: Timestamp) -> Vec<Value> {
        let clients = self.0.values().filter(|person| person.role == Role::Client);
        clients.map(|person| self.profile(person, now)).collect()
    }

    pub(super) fn get_mut(&mut self, id: i64) -> Option<&mut Person> {
        self.0.get_mut(&id)
    }

    pub(super) fn with_login(&self, email: &str, password: &str) -> Option<&Person> {
        self.0.values().find(|person| person.email.eq_ignore_ascii_case(email) && person.password == password)
    }

    /// The client with this EGYM token, which is `test-egym-` and the client's id.
    pub(super) fn with_egym_token(&self, token: &str) -> Option<&Person> {
        self.client(token.strip_prefix("test-egym-")?.parse().ok()?)
    }

    /// The email address and password of the first person with this role.
    pub(super) fn login(&self, role: Role) -> Option<(&str, &str)> {
        let person = self.0.values().find(|person| person.role == role)?;
        Some((&person.email, &person.password))
    }

    pub(super) fn id(&self, role: Role) -> Option<i64> {
        self.0.values().find(|person| person.role == role).map(|person| person.id)
    }

    /// The errors in the body for a new client, or for an update of the client `own`.
    pub(super) fn validate(&self, body: &Map<String, Value>, own: Option<i64>) -> Vec<Value> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let mut errors = Vec::new();
        let mut error = |on: &str, kind: &str| errors.push(field_error(on, kind));
        match text("email") {
            Some(email) if !email.contains('@') => error("email", "invalid"),
            Some(email) => {
                let taken = |person: &Person| Some(person.id) != own && person.email.eq_ignore_ascii_case(email);
                if self.0.values().any(taken) {
                    error("email", "taken");
                }
            }
            None if own.is_none() => error("email", "invalid"),
            None => {}
        }
        if own.is_none() {
            let password = text("password").unwrap_or_default();
            if password.chars().count() < 8 {
                error("password", "length");
            }
            if text("password_confirmation").is_some_and(|again| again != password) {
                error("password_confirmation", "invalid");
            }
        }
        errors
    }

    /// Adds a client from a valid body and returns its id.
    pub(super) fn add_client(&mut self, body: &Map<String, Value>) -> i64 {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let clients = self.0.values().filter(|person| person.role == Role::Client);
        let id = clients.map(|person| person.id).max().unwrap_or(2000) + 1;
        // Client ids start at 2001 and skip those of the trainers.
        let id = if self.0.contains_key(&id) { self.0.keys().max().copied().unwrap_or(id) + 1 } else { id };
        let mut profile = body.clone();
        profile.retain(|name, _| !matches!(name.as_str(), "email" | "password" | "password_confirmation" | "club_id"));
        self.insert(id, Role::Client, text("email"), text("password"), Value::Object(profile));
        id
    }

    fn insert(&mut self, id: i64, role: Role, email: &str, password: &str, profile: Value) {
        let setting = |(number, key): (i64, &str)| {
            let setting = json!({
                "id": id * 10 + number, "notification_settings_set_id": id, "key": key, "to_client": true,
                "to_trainer": false, "to_manager": false,
            });
            setting.as_object().cloned().unwrap_or_default()
        };
        let person = Person {
            id,
            role,
            email: email.to_owned(),
            password: password.to_owned(),
            profile: profile.as_object().cloned().unwrap_or_default(),
            linked: Vec::new(),
            book_for: Vec::new(),
            email_redirection_for: Vec::new(),
            notifications: (1..).zip(NOTIFICATIONS).map(setting).collect(),
        };
        self.0.insert(id, person);
    }

    pub(super) fn club(&self) -> Value {
        json!({"id": 1, "name": "Harbour Fitness", "image_url": null, "time_zone": "Europe/London"})
    }

    /// A person as the session operations show it.
    pub(super) fn session_user(&self, person: &Person) -> Value {
        json!({
            "id": person.id, "alt_id": null, "club_id": 1, "club_name": "Harbour Fitness", "name": person.name(),
            "email": person.email, "type": person.role.record_type(), "home_location_id": person.profile.get("home_location_id"),
            "image_url": null, "cover_photo_url": null, "access_pin": "0000",
        })
    }

    /// A person's profile, with `now` as the last login.
    pub(super) fn profile(&self, person: &Person, now: Timestamp) -> Value {
        let mut profile = person.profile.clone();
        for (name, value) in [
            ("id", json!(person.id)),
            ("email", json!(person.email)),
            ("linked_clients", json!(person.linked)),
            ("hashed_permissions", person.permissions()),
            ("last_login_at", json!(now.to_string())),
            ("errors", json!([])),
        ] {
            profile.insert(name.to_owned(), value);
        }
        for (name, value) in [("strike_count", json!(0)), ("wallet_enabled", json!(false)), ("nickname", Value::Null)] {
            profile.entry(name).or_insert(value);
        }
        Value::Object(profile)
    }

    /// Updates a profile, except for its computed fields.
    pub(super) fn update_profile(&mut self, id: i64, body: &Map<String, Value>) {
        let Some(person) = self.0.get_mut(&id) else { return };
        for (name, value) in body {
            match name.as_str() {
                "id" | "linked_clients" | "hashed_permissions" | "last_login_at" | "errors" | "strike_count" => {}
                "email" => person.email = value.as_str().unwrap_or(&person.email).to_owned(),
                _ => {
                    person.profile.insert(name.clone(), value.clone());
                }
            }
        }
    }

    /// Sets the clients that a person may book for and whose email it gets, and returns whether all of them are linked
    /// to the person. If not, nothing changes.
    pub(super) fn update_permissions(&mut self, id: i64, book_for: Vec<i64>, email_redirection_for: Vec<i64>) -> bool {
        let Some(person) = self.0.get_mut(&id) else { return false };
        let linked = book_for.iter().chain(&email_redirection_for).all(|other| person.linked.contains(other));
        if linked {
            person.book_for = book_for;
            person.email_redirection_for = email_redirection_for;
        }
        linked
    }

    /// The clients that are linked to a person, which are its family.
    pub(super) fn linked_clients(&self, person: &Person) -> Vec<Value> {
        let linked = person.linked.iter().filter_map(|id| self.get(*id));
        linked
            .map(|other| {
                json!({
                    "id": other.id, "name": other.name(), "image_url": null, "dob": other.profile.get("dob"),
                    "hashed_permissions": other.permissions(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: Value) -> Map<String, Value> {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn a_new_client_needs_a_unique_email_address_and_a_password_of_eight_characters() {
        let people = People::seeded();
        for (sent, errors) in [
            (json!({"email": "new@club.example", "password": "12345678"}), json!([])),
            (
                json!({"email": "CLIENT@club.example", "password": "12345678"}),
                json!([{"on": "email", "type": "taken"}]),
            ),
            (
                json!({"email": "new@club.example", "password": "1234567"}),
                json!([{"on": "password", "type": "length"}]),
            ),
            (
                json!({"email": "none"}),
                json!([{"on": "email", "type": "invalid"}, {"on": "password", "type": "length"}]),
            ),
        ] {
            assert_eq!(json!(people.validate(&body(sent.clone()), None)), errors, "{sent}");
        }
    }

    #[test]
    fn an_unchanged_profile_that_is_sent_back_changes_nothing() {
        let mut people = People::seeded();
        let before = people.profile(people.get(2001).unwrap(), Timestamp::UNIX_EPOCH);
        assert!(people.validate(&body(before.clone()), Some(2001)).is_empty());
        people.update_profile(2001, &body(before.clone()));
        assert_eq!(people.profile(people.get(2001).unwrap(), Timestamp::UNIX_EPOCH), before);
    }

    #[test]
    fn new_clients_never_reuse_an_id() {
        let mut people = People::seeded();
        let before = people.0.len();
        for number in 0..1100 {
            people.add_client(&body(json!({"email": format!("{number}@club.example"), "password": "12345678"})));
        }
        assert_eq!(people.0.len(), before + 1100);
    }

    #[test]
    fn permissions_are_limited_to_linked_clients() {
        let mut people = People::seeded();
        assert!(people.get(2001).unwrap().may_book_for(2002));
        assert!(!people.get(2002).unwrap().may_book_for(2001));
        assert!(people.update_permissions(2002, vec![2001], vec![]));
        assert!(people.get(2002).unwrap().may_book_for(2001));
        assert!(!people.update_permissions(2002, vec![2003], vec![]));
    }
}
