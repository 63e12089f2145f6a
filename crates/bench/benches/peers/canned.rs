//! The responses of the server, head and body.

use super::Workload;
use super::orders::{ORDER, Relations, order, page};

/// The whole response to a workload, head and body.
pub(super) fn response(workload: Workload) -> Vec<u8> {
    let body = match workload {
        Workload::GetOrder => order(ORDER, Relations::Expanded),
        Workload::ListOrders => page(Relations::Linked),
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
