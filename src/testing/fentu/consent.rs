//! The authorization page: it asks the user, and sends the browser back to the application.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use url::Url;

use super::application::Applications;
use super::codes::Approval;
use super::keys::SCOPES;
use super::options::{Consent, OAuthOptions, Pkce};
use crate::testing::body::Form;
use crate::testing::response;

/// What happens to a browser on the authorization page.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The user approved: the browser goes back with a code.
    Approved(Redirect, Approval),
    /// The browser stays on a page.
    Page(Response<Bytes>),
    /// The browser goes back with this error.
    Refused(Redirect, &'static str),
}

/// The way back to the application.
#[derive(Debug)]
pub(super) struct Redirect {
    uri: Url,
    state: Option<String>,
}

impl Redirect {
    pub(super) fn with(mut self, name: &str, value: &str) -> Response<Bytes> {
        self.uri.query_pairs_mut().append_pair(name, value).extend_pairs(self.state.map(|state| ("state", state)));
        let mut response = response::raw(StatusCode::FOUND, "", "");
        if let Ok(location) = HeaderValue::from_str(self.uri.as_str()) {
            response.headers_mut().insert(LOCATION, location);
        }
        uncached(response)
    }
}

/// Asks the user about an authorization request.
///
/// An unknown application or redirect URI is an error on the page and never a redirect, because a redirect could lead
/// anywhere.
pub(super) fn ask(query: &str, applications: &Applications, options: &OAuthOptions) -> Outcome {
    let fields = Form::parse(query.as_bytes());
    let Some(application) = fields.get("client_id").and_then(|id| applications.get(id)) else {
        return Outcome::Page(page(StatusCode::BAD_REQUEST, "This application is not registered."));
    };
    let redirect_uri = fields.get("redirect_uri").filter(|uri| application.may_redirect_to(uri));
    let Some((redirect_uri, uri)) = redirect_uri.and_then(|uri| Some((uri, Url::parse(uri).ok()?))) else {
        return Outcome::Page(page(StatusCode::BAD_REQUEST, "This redirect URI is not registered."));
    };
    let redirect = Redirect { uri, state: fields.get("state").map(str::to_owned) };

    let (scopes, challenge) = match requested(&fields, options.pkce) {
        Ok(requested) => requested,
        Err(error) => return Outcome::Refused(redirect, error),
    };
    match (options.consent, fields.get("decision")) {
        (Consent::Given, _) | (Consent::Asked, Some("allow")) => {
            let (client_id, redirect_uri) = (application.client_id().to_owned(), redirect_uri.to_owned());
            Outcome::Approved(redirect, Approval { client_id, redirect_uri, scopes, challenge })
        }
        (Consent::Refused, _) | (Consent::Asked, Some(_)) => Outcome::Refused(redirect, "access_denied"),
        (Consent::Asked, None) => Outcome::Page(question(application.client_id(), &scopes, query)),
    }
}

/// The scopes and the PKCE challenge of a request, or its OAuth error.
fn requested(fields: &Form, pkce: Pkce) -> Result<(BTreeSet<String>, Option<String>), &'static str> {
    if fields.get("response_type") != Some("code") {
        return Err("unsupported_response_type");
    }
    let scopes = fields.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
    let mut scopes: BTreeSet<_> = scopes.map(str::to_owned).collect();
    if scopes.is_empty() {
        scopes = SCOPES.iter().copied().filter(|scope| *scope != "admin").map(str::to_owned).collect();
    }
    if !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
        return Err("invalid_scope");
    }
    let is_s256 = fields.get("code_challenge_method") == Some("S256");
    let challenge = match (pkce, fields.get("code_challenge")) {
        (Pkce::Ignored, _) | (Pkce::Checked, None) => None,
        (Pkce::Checked | Pkce::Required, Some(challenge)) if is_s256 && challenge.len() == 43 => {
            Some(challenge.to_owned())
        }
        (Pkce::Checked, Some(_)) | (Pkce::Required, _) => return Err("invalid_request"),
    };
    Ok((scopes, challenge))
}

fn question(client_id: &str, scopes: &BTreeSet<String>, query: &str) -> Response<Bytes> {
    let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
    // The query is percent-encoded already; only what HTML would interpret is left to escape.
    let query = query.replace('&', "&amp;").replace(['"', '<', '>', '\''], "");
    let client_id = client_id.replace(['&', '<', '>'], "");
    let link = |decision, word| format!("<a href=\"?{query}&amp;decision={decision}\">{word}</a>");
    let (allow, deny) = (link("allow", "Allow"), link("deny", "Deny"));
    page(StatusCode::OK, &format!("{client_id} asks for: {}. {allow} {deny}", scopes.join(", ")))
}

fn page(status: StatusCode, text: &str) -> Response<Bytes> {
    let html = format!("<!doctype html><html><head><title>Fentu</title></head><body><p>{text}</p></body></html>");
    uncached(response::raw(status, "text/html; charset=utf-8", html))
}

/// The text of a page, or the whole text of another body.
pub(super) fn text(body: &str) -> String {
    let paragraph = body.split_once("<p>").and_then(|(_, rest)| rest.split_once("</p>"));
    paragraph.map_or(body, |(text, _)| text).to_owned()
}

fn uncached(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
