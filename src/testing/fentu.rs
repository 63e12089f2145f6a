//! A mock server of Fentu FSM.
//!
//! [`MockServer`] implements the 20 operations that Fentu's documentation names, under `/v1` and `/api/v1`, with the
//! data of a small maintenance company, and the endpoints that issue, refresh and revoke tokens:
//!
//! * **API keys**: `Authorization: Bearer` with a key, which has scopes. An unknown key gets 401, a missing scope 403.
//!   The scope `admin` allows everything; a `write:` scope does not include reading.
//! * **OAuth**: `GET /oauth/authorize` asks the user and redirects back with a code, which is valid once and for 10
//!   minutes. `POST /oauth/token` takes a form with `client_id` and `client_secret`, and issues tokens for a code (it
//!   checks the redirect URI and PKCE) or for a refresh token. `POST /oauth/revoke` ends a token. Access tokens are
//!   valid for 1 hour, refresh tokens for 30 days, on the server's clock. A code that is used twice ends its tokens,
//!   and so does a refresh token if they [rotate](RefreshTokens::Rotated).
//! * **Rate limit**: each key and each login may send 1,000 requests an hour. More requests get 429. Every response to
//!   an authenticated request has `X-RateLimit-Limit`, `-Remaining` and `-Reset`. Token requests are not counted.
//! * **Lists**: `page` from 1 and `per_page` up to 100, with `data` and `meta`, and the filters that the vendor
//!   documents.
//! * **Bodies**: required fields, enum values, references to existing records and unique serial numbers are checked.
//!
//! An error has the body `{"error": {"code": .., "message": .., "details": [{"field": .., "message": ..}]}}`, an error
//! of an OAuth endpoint `{"error": .., "error_description": ..}`. The vendor's own formats could not be read.
//!
//! # Data
//!
//! Every server starts with the same data. Work is scheduled between March and July 2026.
//!
//! | | |
//! | --- | --- |
//! | work orders | 70, `wo-10001` to `wo-10070`, of all seven statuses; the last is in the trash |
//! | `wo-10001` | is `in_progress`, for `cust-001`, with technician, contact and `asset-001`; its tasks are `task-001`, done, with checklist, parts and photos, and `task-002`, pending, without technician |
//! | `wo-10002` | is a draft, without schedule, contact or technician |
//! | `wo-10003` | is `open`, and yet has a technician |
//! | customers | 30, `cust-001` "Acme Corporation" to `cust-030`, which is in the trash; two branches |
//! | assets | 60, `asset-001` to `asset-060`, of all five statuses; the last is in the trash; the warranty of `asset-001` lasts until the end of 2099 and it has parts, the warranty of `asset-002` is over |
//! | tasks | two to five for each work order |
//! | also | technicians `tech-001` to `tech-004`, branches `branch-001` and `branch-002`, objects `obj-001` to `obj-030`, products `prod-001` to `prod-004`, parts `part-001` to `part-004`, checklist `checklist-001`, contacts `contact-001` to `contact-031` |
//! | an application | `test-application` with `test-application-secret`, for redirects to the loopback interface |
//!
//! # Assumptions
//!
//! Where the vendor's documentation says nothing, the server assumes a behavior, and [`MockServerBuilder`] has options
//! for the others. Some assumptions are fixed: lists are sorted with the newest record first; unknown parameters are
//! ignored; a page size out of bounds is refused; dates are compared with `scheduled_date`, and both ends are included; a
//! search finds any part of a name or customer number, in any case; an update is a PUT, keeps the fields that it does
//! not name, and refuses a null; a record in the trash gets 404, but other records still refer to it.

mod application;
mod auth;
mod builder;
mod client;
mod codes;
mod consent;
mod error_response;
mod filter;
mod handler;
mod keys;
mod mock_server;
mod oauth;
mod options;
mod params;
mod routes;
mod schema;
mod seed;
mod server;
mod store;
mod validator;
mod view;
mod visit_error;

pub use self::application::Application;
pub use self::builder::MockServerBuilder;
pub use self::keys::{ApiKey, KeyKind};
pub use self::mock_server::{MockServer, TokenPair};
pub use self::options::{BasePath, Consent, Pkce, RefreshTokens, Tier};
pub use self::visit_error::VisitError;
