//! A mock server of Fixably.
//!
//! [`MockServer`] implements the 33 operations that Fixably's documentation or its working clients name, under
//! `/api/v3`, with the data of a small repair shop. It is as strict as the vendor is known or likely to be:
//!
//! * **Tokens**: `Authorization: Bearer` for OAuth2 client tokens, which have scopes, an expiry, Customer access level
//!   and excluded fields; the raw header for legacy `pk_` tokens, which have none of these. An unknown token gets 401.
//!   A missing scope gets 403, and the response does not name it.
//! * **Rate limit**: all tokens share one limit, by default 100 requests in 60 s. More requests get 429. Every response
//!   has `X-RateLimit-Limit`, `-Remaining` and `-Reset`, errors included.
//! * **Lists**: `limit` from 1 to 100 with `offset` or `page`. Items are links until `expand=items` makes them objects.
//! * **`expand`**: `customer,lines(items(product))`, checked against the relations of each object.
//! * **`q`**: free text, fields, dates, ranges, dotted paths and lists of ids, checked against the fields of each
//!   object.
//! * **Bodies**: required fields, enum values and references to existing records are checked; `id`, `href`, `createdAt`
//!   and `tags` are refused.
//!
//! Everything else is refused: an unknown path, parameter, relation or field gets 404 or 400 with a `developerMessage`
//! that names it. Webhooks, deletions, stock, price lists, reports and files are missing, because no public source
//! describes them.
//!
//! # Data
//!
//! Every server starts with the same data. Its times lie between March and May 2026.
//!
//! | | |
//! | --- | --- |
//! | orders | 140, with ids from 20000010, about half of them closed |
//! | 20000010 | has all relations: customer 1, device 1, store 1, location 1, queue 1, status 450, lines 1 (with product 1) and 2 (without), notes 1 to 4 of all types, task 1 |
//! | 20000011 | has no customer, store, device or status |
//! | 20000012 | is a draft |
//! | 20000013 | is closed and paid |
//! | 20000014 | has 30 lines, more than an expanded list shows |
//! | 20000015 | has null for both `isClosed` and `isDraft` |
//! | customers | 1 is a company with the children 2 and 3, 4 has only a phone number, 5 to 8 are people |
//! | devices | 1 to 6; 3 has an IMEI and no serial number |
//! | queues, statuses | queues 1 to 4; statuses 450 ("In queue") to 460, one of each known type |
//! | users | 107460 and 107461 |
//! | locations, stores, products | 1 to 3, 1 and 2, 1 to 6 |
//!
//! # Assumptions
//!
//! Where the vendor's documentation says nothing, the server assumes a behavior, and [`MockServerBuilder`] has options
//! for the others. Some assumptions are fixed: lists are sorted by id; several terms of `q` must all match; a field
//! matches its whole text, free text any part of a text, both in any case; a change of an order, its lines, notes or
//! tasks updates its `updatedAt`; a change of status leaves the queue and `isClosed` as they are; the `children` of a
//! customer are reachable through `expand` or one by one, but not through the link of their list.

mod auth;
mod builder;
mod client;
mod error_response;
mod expand;
mod filter;
mod handler;
mod mock_server;
mod options;
mod params;
mod routes;
mod schema;
mod seed;
mod server;
mod store;
mod validator;
mod view;

pub use self::auth::{Token, TokenKind};
pub use self::builder::MockServerBuilder;
pub use self::mock_server::MockServer;
pub use self::options::{Amounts, ExcludedField};
