//! Mails by SES.

use serde_json::json;

use crate::sigv4::{ServiceCall, ServiceError, SignedClient};
use crate::tenant::MailAddress;

/// Who sends mails.
#[derive(Debug, Clone)]
pub struct Mailer {
    client: SignedClient,
    /// The address that they come from. SES knows it, or its domain.
    from: String,
}

impl Mailer {
    /// Mails from that address.
    #[must_use]
    pub fn new(client: SignedClient, from: String) -> Self {
        Self { client, from }
    }

    /// Sends a text to one address: what SES says of that one concerns no other.
    ///
    /// # Errors
    /// What SES says.
    pub async fn send(&self, to: &MailAddress, subject: &str, text: &str) -> Result<(), ServiceError> {
        let utf8 = |text: &str| json!({"Data": text, "Charset": "UTF-8"});
        let content = json!({"Simple": {"Subject": utf8(subject), "Body": {"Text": utf8(text)}}});
        let body = json!({
            "FromEmailAddress": self.from,
            "Destination": {"ToAddresses": [to.as_str()]},
            "Content": content,
        })
        .to_string();
        let headers = [("content-type", "application/json")];
        let (service, host, method, path) = ("ses", "email", "POST", "/v2/email/outbound-emails");
        let call = ServiceCall { service, host, method, path, headers: &headers, body: body.as_bytes() };
        self.client.send(call).await.map(drop)
    }
}
