//! Authorization codes: issued on the authorization page, redeemed once at the token endpoint.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::testing::clock::shifted;

/// How long a code is valid: the maximum that OAuth recommends, because the vendor documents nothing.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// The codes that were issued, oldest first.
#[derive(Debug, Default)]
pub(super) struct Codes(Vec<Code>);

#[derive(Debug)]
struct Code {
    approval: Approval,
    expires_at: Timestamp,
    state: CodeState,
}

/// What a user approved.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scopes: BTreeSet<String>,
    /// The PKCE challenge, if there was one.
    pub(super) challenge: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeState {
    Fresh,
    /// Exchanged for this family of tokens.
    Redeemed(u32),
    /// Refused once, and from then on.
    Spoiled,
}

/// How a client redeems a code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redemption<'a> {
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: Option<&'a str>,
    pub(super) verifier: Option<&'a str>,
    pub(super) checks_verifier: bool,
}

/// Why a code is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeError {
    Invalid(&'static str),
    /// It was redeemed before, for this family of tokens. Code and tokens count as stolen.
    Reused(u32),
}

impl Codes {
    /// Issues a code.
    pub(super) fn issue(&mut self, approval: Approval, now: Timestamp) -> String {
        let expires_at = shifted(now, CODE_LIFETIME);
        self.0.push(Code { approval, expires_at, state: CodeState::Fresh });
        format!("test-code-{}", self.0.len())
    }

    /// Redeems a code for what the user approved. After a redemption that fails, the code is not valid any more.
    pub(super) fn redeem(
        &mut self,
        value: Option<&str>,
        redemption: Redemption<'_>,
        now: Timestamp,
    ) -> Result<Approval, CodeError> {
        let invalid = |reason| Err(CodeError::Invalid(reason));
        let Some(code) = self.get(value) else { return invalid("There is no such code.") };
        if code.approval.client_id != redemption.client_id {
            return invalid("The code belongs to another application.");
        }
        match code.state {
            CodeState::Fresh => code.state = CodeState::Spoiled,
            CodeState::Redeemed(family) => return Err(CodeError::Reused(family)),
            CodeState::Spoiled => return invalid("The code was used before."),
        }
        if code.expires_at <= now {
            return invalid("The code has expired.");
        }
        if redemption.redirect_uri != Some(code.approval.redirect_uri.as_str()) {
            return invalid("The redirect URI differs from that of the authorization request.");
        }
        if redemption.checks_verifier && redemption.verifier.map(s256) != code.approval.challenge {
            return invalid("The code verifier does not match the challenge.");
        }
        Ok(code.approval.clone())
    }

    /// Records which tokens a code was redeemed for.
    pub(super) fn set_redeemed(&mut self, value: Option<&str>, family: u32) {
        if let Some(code) = self.get(value) {
            code.state = CodeState::Redeemed(family);
        }
    }

    fn get(&mut self, value: Option<&str>) -> Option<&mut Code> {
        let number = value?.strip_prefix("test-code-")?.parse::<usize>().ok()?;
        self.0.get_mut(number.checked_sub(1)?)
    }
}

/// The challenge of a verifier.
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}
