//! Clients, profiles, families and notification settings.

use serde_json::{Value, json};

use super::{Handler, HandlerResult};
use crate::testing::error_response::ErrorResponse;
use crate::testing::fisikal::auth::Caller;
use crate::testing::fisikal::error_response::{invalid, not_found, validation};
use crate::testing::fisikal::list::unfiltered;
use crate::testing::fisikal::params::{number, numbers};
use crate::testing::fisikal::people::{Person, Role};

impl Handler<'_> {
    pub(crate) fn sign_up_client(&mut self) -> HandlerResult {
        let id = self.add_client("user")?;
        let token = self.auth.start_session(Caller { user: id, role: Role::Client }, self.now).access;
        let mut user = self.session_user(id);
        user["auth_token"] = json!(token);
        Ok(json!({"user": user}))
    }

    pub(crate) fn create_client(&mut self) -> HandlerResult {
        let id = self.add_client("client")?;
        Ok(json!({"client": self.session_user(id)}))
    }

    fn add_client(&mut self, root: &str) -> Result<i64, ErrorResponse> {
        let body = self.body_object(root)?;
        let errors = self.store.people.validate(&body, None);
        if errors.is_empty() { Ok(self.store.people.add_client(&body)) } else { Err(validation(errors)) }
    }

    pub(crate) fn get_client(&self) -> HandlerResult {
        self.may_act_for(self.id)?;
        Ok(json!({"client": self.session_user(self.id)}))
    }

    fn session_user(&self, id: i64) -> Value {
        let people = &self.store.people;
        people.get(id).map(|person| people.session_user(person)).unwrap_or_default()
    }

    pub(crate) fn get_profile(&self) -> HandlerResult {
        Ok(json!({"user": self.store.people.profile(self.person()?, self.now)}))
    }

    pub(crate) fn update_profile(&mut self) -> HandlerResult {
        let (id, body) = (self.caller()?.user, self.body_object("user")?);
        let errors = self.store.people.validate(&body, Some(id));
        if !errors.is_empty() {
            return Err(validation(errors));
        }
        self.store.people.update_profile(id, &body);
        self.get_profile()
    }

    pub(crate) fn update_family_permissions(&mut self) -> HandlerResult {
        let body = self.body_object("user")?;
        let id = body.get("id").and_then(number).ok_or_else(|| invalid("id"))?;
        self.may_act_for(id)?;
        let lists = body.get("hashed_permissions").and_then(|permissions| permissions.get("client"));
        let ids = |name: &str| lists.and_then(|lists| numbers(lists.get(name)?)).unwrap_or_default();
        let (book_for, email_redirection_for) = (ids("book_for"), ids("email_redirection_for"));
        if !self.store.people.update_permissions(id, book_for, email_redirection_for) {
            return Err(invalid("hashed_permissions"));
        }
        Ok(json!({"user": {"id": id}}))
    }

    pub(crate) fn list_linked_clients(&self) -> HandlerResult {
        unfiltered("clients", self.store.people.linked_clients(self.person()?), &self.params)
    }

    pub(crate) fn get_notification_settings(&self) -> HandlerResult {
        let person = self.person()?;
        let set =
            json!({"id": person.id, "club_id": 1, "user_id": person.id, "notification_settings": person.notifications});
        Ok(json!({"notification_settings_set": set}))
    }

    pub(crate) fn update_notification_settings(&mut self) -> HandlerResult {
        let (user, body) = (self.caller()?.user, self.body_object("notification_settings_set")?);
        if self.id != user {
            return Err(not_found());
        }
        let person = self.store.people.get_mut(user).ok_or_else(not_found)?;
        let changes = body.get("notification_settings_attributes").and_then(Value::as_array);
        for change in changes.into_iter().flatten().filter_map(Value::as_object) {
            if let Some(setting) = person.notifications.iter_mut().find(|own| own.get("id") == change.get("id")) {
                setting.extend(change.clone());
            }
        }
        self.get_notification_settings()
    }

    /// The caller as a person.
    fn person(&self) -> Result<&Person, ErrorResponse> {
        self.store.people.get(self.caller()?.user).ok_or_else(not_found)
    }
}
