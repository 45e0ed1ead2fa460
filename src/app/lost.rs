//! Batches of change records that Lambda gave up and kept in S3, whole.

use serde_json::Value;

use crate::sigv4::{ServiceCall, ServiceError, SignedClient};

/// What EventBridge says of a new object.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct LostBatch {
    bucket: BucketName,
    object: ObjectKey,
}

#[derive(Debug, Clone, serde::Deserialize)]
struct BucketName {
    name: String,
}

#[derive(Debug, Clone, serde::Deserialize)]
struct ObjectKey {
    key: String,
}

impl LostBatch {
    /// The key of the object.
    pub fn key(&self) -> &str {
        &self.object.key
    }

    /// The change records of the batch, as the worker was handed them.
    ///
    /// # Errors
    /// The error of S3; an object that Lambda did not write.
    pub async fn records(&self, client: &SignedClient) -> Result<Vec<Value>, ServiceError> {
        let part = |text: &str| percent_encoding::utf8_percent_encode(text, PATH).to_string();
        let path = format!("/{}/{}", part(&self.bucket.name), part(&self.object.key));
        let (service, host, method) = ("s3", "s3", "GET");
        let call = ServiceCall { service, host, method, path: &path, headers: &[], body: &[] };
        let object = client.send(call).await?;
        read(&object).ok_or_else(|| ServiceError::Refused(200, "the object holds no records".to_owned()))
    }
}

/// What S3 leaves as it is in a path.
const PATH: &percent_encoding::AsciiSet =
    &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/');

/// `payload` is the event, as text.
fn read(object: &[u8]) -> Option<Vec<Value>> {
    let object: Value = serde_json::from_slice(object).ok()?;
    let payload = match object.get("payload")? {
        Value::String(text) => serde_json::from_str(text).ok()?,
        other => other.clone(),
    };
    payload.get("Records")?.as_array().cloned()
}
