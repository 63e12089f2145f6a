//! What follows from the fields of an order, its lines and its customer.

use std::borrow::Cow;

use super::Client;
#[cfg(feature = "blocking")]
use super::generated::operations;
use super::generated::types::{Customer, Order, OrderLine};
use crate::amount::Amount;
use crate::error::Error;

impl Order {
    /// All lines of the order: those that it was read with if they are complete, or else the list of them, a hundred on a page.
    ///
    /// An expanded relation holds one page only, and an order that was not expanded holds none. The products of lines that are
    /// listed here are links.
    ///
    /// # Errors
    ///
    /// As [`list_order_lines`](Client::list_order_lines); [`Error::InvalidRequest`] if the order has no id.
    ///
    /// # Example
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let server = servicebay::testing::fixably::MockServer::start().await;
    /// # let client = server.client()?;
    /// use servicebay::Amount;
    ///
    /// let order = client.get_order().id(20000010).expand("lines(items)").send().await?;
    /// let lines = order.all_lines(&client).await?;
    /// let totals: Vec<Amount> = lines.iter().filter_map(|line| line.total()).collect();
    /// println!("{} lines: {}", lines.len(), Amount::sum(&totals).expect("amounts are numbers"));
    /// # Ok(()) }
    /// ```
    pub async fn all_lines(&self, client: &Client) -> Result<Vec<OrderLine>, Error> {
        if let Some(lines) = self.lines.as_ref().filter(|lines| lines.is_complete())
            // A line that is a link has no id of its own.
            && lines.items().iter().all(|line| line.id.is_some())
        {
            return Ok(lines.items().to_vec());
        }
        let list = client.list_order_lines().limit(100);
        let mut items = match self.id() {
            Some(id) => list.order_id(id).items(),
            None => list.items(),
        };
        let mut lines = Vec::new();
        while let Some(line) = items.try_next().await? {
            lines.push(line);
        }
        Ok(lines)
    }

    /// Does what [`all_lines`](Self::all_lines) does, and blocks this thread meanwhile. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`all_lines`](Self::all_lines); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn all_lines_blocking(&self, client: &Client) -> Result<Vec<OrderLine>, Error> {
        crate::blocking::block_on(operations::LIST_ORDER_LINES.id(), "all_lines", self.all_lines(client))
    }
}

impl OrderLine {
    /// The exact total: `price` times `quantity`, less `discount` percent. It is not rounded, and says as much or as little about
    /// tax as `price` does.
    ///
    /// That the price is that of a unit and the discount a percentage is how one client computes; the vendor documents neither.
    /// A line without a discount has none, which a token that may not read discounts cannot tell apart. `None` if the price or the
    /// quantity is missing or no number.
    ///
    /// ```
    /// use servicebay::fixably::types::OrderLine;
    ///
    /// let line: OrderLine = serde_json::from_str(r#"{"price": "19.99", "quantity": 3, "discount": 15}"#)?;
    /// assert_eq!(line.total().map(|total| total.to_string()).as_deref(), Some("50.9745"));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn total(&self) -> Option<Amount> {
        let total = self.price.as_ref()?.checked_mul(&self.quantity?.into())?;
        let Some(discount) = self.discount.filter(|discount| *discount != 0.0) else { return Some(total) };
        let kept = Amount::from(100).checked_sub(&discount.into())?;
        total.checked_mul(&kept.checked_mul(&"0.01".parse().ok()?)?)
    }
}

impl Customer {
    /// A name to show: the company, or else the first and last name, the e-mail address or the phone number; `None` if the
    /// customer has none of them. White space around them does not count.
    ///
    /// ```
    /// use servicebay::fixably::types::Customer;
    ///
    /// let customer: Customer = serde_json::from_str(r#"{"firstName": "Ada", "lastName": "Lovelace", "company": " "}"#)?;
    /// assert_eq!(customer.display_name().as_deref(), Some("Ada Lovelace"));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn display_name(&self) -> Option<Cow<'_, str>> {
        let person = match (text(&self.first_name), text(&self.last_name)) {
            (Some(first), Some(last)) => Some(Cow::Owned(format!("{first} {last}"))),
            (first, last) => first.or(last).map(Cow::Borrowed),
        };
        let contact = text(&self.email).or_else(|| text(&self.phone));
        text(&self.company).map(Cow::Borrowed).or(person).or_else(|| contact.map(Cow::Borrowed))
    }
}

/// The text without white space around it; `None` if nothing is left.
fn text(field: &Option<String>) -> Option<&str> {
    field.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn total(line: Value) -> Option<String> {
        serde_json::from_value::<OrderLine>(line).unwrap().total().map(|total| total.to_string())
    }

    #[test]
    fn the_total_of_a_line_is_exact() {
        for (line, expected) in [
            (json!({"price": 249, "quantity": 1}), Some("249")),
            (json!({"price": "249.00", "quantity": 1, "discount": 0}), Some("249.00")),
            (json!({"price": "0.10", "quantity": 3}), Some("0.30")),
            (json!({"price": "10.00", "quantity": 1.5, "discount": 10}), Some("13.50")),
            (json!({"price": "19.99", "quantity": 3, "discount": 33.3}), Some("39.99999")),
            (json!({"price": "10.00", "quantity": 2, "discount": 100}), Some("0.00")),
            (json!({"price": "-5.00", "quantity": 2}), Some("-10.00")),
            (json!({"price": "5.00"}), None),
            (json!({"quantity": 2}), None),
            (json!({"price": "free", "quantity": 2}), None),
            (json!({"price": "5.00", "quantity": 1e300}), None),
        ] {
            assert_eq!(total(line.clone()).as_deref(), expected, "{line}");
        }
    }

    fn name(customer: Value) -> Option<String> {
        serde_json::from_value::<Customer>(customer).unwrap().display_name().map(Cow::into_owned)
    }

    #[test]
    fn a_customer_is_shown_by_the_first_name_that_it_has() {
        let all =
            json!({"company": " Acme ", "firstName": "Ada", "lastName": "L", "email": "a@b.example", "phone": "1"});
        let without = |names: &[&str]| {
            let mut customer = all.clone();
            names.iter().for_each(|name| customer[*name] = json!(" "));
            customer
        };
        for (missing, expected) in [
            (&[][..], Some("Acme")),
            (&["company"], Some("Ada L")),
            (&["company", "firstName"], Some("L")),
            (&["company", "lastName"], Some("Ada")),
            (&["company", "firstName", "lastName"], Some("a@b.example")),
            (&["company", "firstName", "lastName", "email"], Some("1")),
            (&["company", "firstName", "lastName", "email", "phone"], None),
        ] {
            assert_eq!(name(without(missing)).as_deref(), expected, "{missing:?}");
        }
        assert_eq!(name(json!({})), None);
    }
}
