//! Revokes tokens.

use std::sync::Arc;

use super::token_cache::TokenCache;
use super::token_endpoint::Repeat;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;

impl TokenCache {
    /// Tells the vendor to forget the tokens, and forgets them here. From then on no token is to be had.
    pub(crate) async fn revoke(&self) -> Result<(), Arc<TokenError>> {
        let clock = self.setting.endpoint.clock;
        let _lease = self.lease().await.map_err(Arc::new)?;
        self.look(TokenSet::follows).await;
        let newest = self.state().newest.clone();
        let requests = newest.map(|tokens| self.setting.grant.revoke(&tokens)).unwrap_or_default();
        for (revoked, request) in requests.into_iter().enumerate() {
            let request = request.with_secrets(self.secrets());
            match self.setting.endpoint.ask(&*self.setting.grant, request, Repeat::Harmless).await {
                Ok(_) => {}
                // With its refresh token an access token may end too (RFC 7009, section 2.1), and then opens nothing more.
                Err(trouble) if revoked > 0 && trouble.why == TokenErrorKind::Refused => {}
                Err(trouble) => return Err(Arc::new(trouble)),
            }
        }
        self.put_away();
        self.forget().await.map_err(|error| Arc::new(TokenError::new(TokenErrorKind::Store, error.to_string(), clock)))
    }

    /// Forgets the tokens in memory, and says so to whoever asks for one.
    fn put_away(&self) {
        let reason = "the tokens were revoked by this client; a person has to log in again";
        let trouble = Arc::new(TokenError::new(TokenErrorKind::Refused, reason, self.setting.endpoint.clock));
        let mut state = self.state();
        self.live.store(None);
        state.supersede(None);
        state.spare = None;
        state.latched = Some(trouble);
    }
}
