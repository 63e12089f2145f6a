//! The responses of the server: orders as clients of the vendor have seen them, in compact JSON.

use super::Workload;

/// The order that is requested.
pub(crate) const ORDER: i64 = 20000010;
/// The orders on a page: the most that the vendor allows.
pub(crate) const PAGE: u32 = 100;

/// The whole response to a workload, head and body.
pub(super) fn response(workload: Workload) -> Vec<u8> {
    let body = match workload {
        Workload::GetOrder => order(ORDER, Relations::Expanded),
        Workload::ListOrders => page(),
    };
    // The reset is half a minute after the date, so a client reads it as one that lies ahead.
    format!(
        "HTTP/1.1 200 OK\r\n\
         Date: Sun, 01 Mar 2026 12:00:00 GMT\r\n\
         Content-Type: application/json; charset=utf-8\r\n\
         Content-Length: {}\r\n\
         Connection: keep-alive\r\n\
         Server: nginx\r\n\
         Cache-Control: no-cache, private\r\n\
         X-RateLimit-Limit: 600\r\n\
         X-RateLimit-Remaining: 421\r\n\
         X-RateLimit-Reset: 1772366430\r\n\
         X-Request-Id: 0c5f7c1e-6f0e-4f57-9d0a-3a1f6f1d9b52\r\n\
         \r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

fn page() -> String {
    let items: Vec<String> = (0..i64::from(PAGE)).map(|index| order(ORDER + index, Relations::Linked)).collect();
    format!(r#"{{"limit":{PAGE},"offset":0,"totalItems":1240,"items":[{}]}}"#, items.join(","))
}

/// How an order includes its customer and its status.
#[derive(Clone, Copy)]
enum Relations {
    Linked,
    Expanded,
}

fn order(id: i64, relations: Relations) -> String {
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
