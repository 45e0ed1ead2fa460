//! The SNS topic of a deployment.

use crate::sigv4::{ServiceCall, SignedClient};

/// A topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: SignedClient,
    arn: String,
}

impl Topic {
    /// The topic of that ARN.
    #[must_use]
    pub fn new(client: SignedClient, arn: String) -> Self {
        Self { client, arn }
    }

    /// Publishes a sentence. Subscribers may filter by the attributes `type` and `tenant`.
    ///
    /// # Errors
    /// What SNS says.
    pub async fn publish(&self, kind: &str, tenant: &str, sentence: &str) -> Result<(), String> {
        let (body, headers) =
            (self.form(kind, tenant, sentence), [("content-type", "application/x-www-form-urlencoded")]);
        let (service, host, method, path) = ("sns", "sns", "POST", "/");
        let call = ServiceCall { service, host, method, path, headers: &headers, body: body.as_bytes() };
        self.client.send(call).await.map(drop).map_err(|e| e.to_string())
    }

    fn form(&self, kind: &str, tenant: &str, sentence: &str) -> String {
        let subject = format!("Rollcall: {kind} of {tenant}");
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("Action", "Publish"),
            ("Version", "2010-03-31"),
            ("TopicArn", self.arn.as_str()),
            ("Subject", subject.as_str()),
            ("Message", sentence),
            ("MessageAttributes.entry.1.Name", "type"),
            ("MessageAttributes.entry.1.Value.DataType", "String"),
            ("MessageAttributes.entry.1.Value.StringValue", kind),
            ("MessageAttributes.entry.2.Name", "tenant"),
            ("MessageAttributes.entry.2.Value.DataType", "String"),
            ("MessageAttributes.entry.2.Value.StringValue", tenant),
        ] {
            form.append_pair(name, value);
        }
        form.finish()
    }
}
