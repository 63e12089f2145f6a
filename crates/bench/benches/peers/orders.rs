//! Orders as clients of the vendor have seen them, in compact JSON.

/// The order that is requested.
pub(crate) const ORDER: i64 = 20000010;
/// The orders on a page: the most that the vendor allows.
pub(crate) const PAGE: u32 = 100;

/// How an order includes its customer and its status.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relations {
    Linked,
    Expanded,
}

pub(crate) fn page(relations: Relations) -> String {
    let items: Vec<String> = (0..i64::from(PAGE)).map(|index| order(ORDER + index, relations)).collect();
    format!(r#"{{"limit":{PAGE},"offset":0,"totalItems":1240,"items":[{}]}}"#, items.join(","))
}

pub(crate) fn order(id: i64, relations: Relations) -> String {
    const API: &str = "https://acme.fixably.com/api/v3";
    let (customer, status) = match relations {
        Relations::Linked => {
            (format!(r#"{{"href":"{API}/customers/{}"}}"#, id % 9973), format!(r#"{{"href":"{API}/statuses/450"}}"#))
        }
        Relations::Expanded => (
            format!(
                r#"{{"id":{0},"href":"{API}/customers/{0}","createdAt":"2025-11-03T08:15:42Z","firstName":"Jill","lastName":"Ääkkönen","company":"Acme Repairs Oy","email":"jill@acme.example","phone":"+358 40 123 4567"}}"#,
                id % 9973
            ),
            format!(r#"{{"id":450,"href":"{API}/statuses/450","name":"Waiting for parts"}}"#),
        ),
    };
    format!(
        r#"{{"id":{id},"href":"{API}/orders/{id}","createdAt":"2026-02-27T09:41:07Z","isClosed":false,"isDraft":null,"reference":"PO-{id}","internalLocation":"SERVICE","total":249.5,"totalRemaining":100,"contact":{{"fullName":"Jill Ääkkönen","company":"Acme Repairs Oy","phoneNumber":"+358 40 123 4567","emailAddress":"jill@acme.example"}},"customer":{customer},"orderedBy":{{"href":"{API}/customers/77"}},"handledBy":{{"href":"{API}/users/12"}},"device":{{"href":"{API}/devices/31415"}},"location":{{"href":"{API}/locations/3"}},"store":null,"queue":{{"href":"{API}/queues/1"}},"status":{status},"lines":{{"href":"{API}/orders/{id}/lines"}},"notes":{{"href":"{API}/orders/{id}/notes"}},"tasks":{{"href":"{API}/orders/{id}/tasks"}},"billingAddress":null,"shippingAddress":null}}"#
    )
}
