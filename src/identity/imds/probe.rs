//! What only `doctor` asks: how the service answers other programs.

use std::time::Duration;

use super::Imds;

/// Enough for a service on the host's own link.
pub(super) const TIMEOUT: Duration = Duration::from_secs(1);

impl Imds {
    /// The status of a request without a token: 200 where version 1 is still allowed, 401 where it
    /// is not; `None`: no answer.
    pub(crate) async fn status_without_token(&self) -> Option<u16> {
        self.status_of_plain_get(&self.begin_session().await.ok()?).await
    }

    /// Whether the IPv6 address gives a token; `None` where a variable names the one endpoint to
    /// ask.
    pub(crate) async fn answers_ipv6(&self) -> Option<bool> {
        match self.options.endpoints.as_slice() {
            [_, ipv6] => Some(self.put(ipv6, TIMEOUT).await.is_ok()),
            _ => None,
        }
    }
}
