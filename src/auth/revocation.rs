//! Revokes tokens.

use std::sync::Arc;

use super::refresh::SpendPermission;
use super::token_cache::TokenCache;
use super::token_endpoint::Repeat;
use super::token_error::{TokenError, TokenErrorKind};

impl TokenCache {
    /// Revokes the tokens at the vendor, those of fallbacks too, and forgets them here. From then on there is no token.
    pub(crate) async fn revoke(&self) -> Result<(), Arc<TokenError>> {
        let mut permission = self.acquire_permission().await;
        let revoked = self.revoke_all(&mut permission).await;
        self.release(permission);
        revoked
    }

    async fn revoke_all(&self, permission: &mut SpendPermission) -> Result<(), Arc<TokenError>> {
        // Without the store, the tokens in memory are all there are.
        let _ = self.reload().await;
        let tokens: Vec<_> = {
            let state = self.state();
            state.history.newest().into_iter().chain(state.history.fallbacks()).cloned().collect()
        };
        for (set, tokens) in tokens.into_iter().enumerate() {
            for (revoked, request) in self.setting.grant.revoke(&tokens).into_iter().enumerate() {
                // There may be ten requests. After the first one, no other client can refresh the newest tokens.
                permission.release_if_long_held(self.now());
                let request = request.with_secrets(self.secrets());
                match self.setting.endpoint.ask(&*self.setting.grant, request, Repeat::Harmless).await {
                    Ok(_) => {}
                    // With its refresh token an access token may be revoked too (RFC 7009, section 2.1), and then
                    // authenticates nothing more. A fallback may have been revoked before.
                    Err(error) if (revoked > 0 || set > 0) && error.kind == TokenErrorKind::Refused => {}
                    Err(error) => return Err(Arc::new(error)),
                }
            }
        }
        self.forget();
        // A save that was under way has ended, and the next one finds nothing to save.
        self.remove().await.map_err(|error| Arc::new(self.store_error("the revoked tokens cannot be removed", &error)))
    }

    /// Forgets the tokens in memory, and refuses callers with the reason.
    fn forget(&self) {
        let reason = "the tokens were revoked by this client; a person has to log in again";
        let error = Arc::new(self.error(TokenErrorKind::Refused, reason));
        let mut state = self.state();
        self.current.store(None);
        self.end_login();
        state.history.clear();
        state.refresh.refuse(error);
    }
}
