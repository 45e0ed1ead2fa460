//! The streams of an engine: of the one in this process, or of an endpoint. Lambda reads them in the cloud; here the
//! worker does it itself.

use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::{Value, json};

use crate::sigv4::{AMAZON_ROOTS, ServiceCall, ServiceError, SignedClient};
use crate::store::dynamo::embedded::Engine;

/// Most shards of one page of `DescribeStream`.
const SHARDS_A_PAGE: usize = 100;

/// Where the streams are.
#[derive(Debug, Clone)]
pub enum Streams {
    /// The engine in this process.
    Embedded(Engine),
    /// An endpoint, by signed calls.
    Endpoint(SignedClient),
}

/// Why a stream does not answer with records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Records after the place are gone.
    #[error("records that were not read are gone")]
    Trimmed,
    /// The place must be asked for again.
    #[error("the iterator has expired")]
    Expired,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// A shard of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardDescription {
    /// Its id.
    pub id: String,
    /// The shard whose records come before.
    pub parent: Option<String>,
    /// The sequence number where it begins.
    pub first: Option<String>,
}

impl ShardDescription {
    fn read(shard: &Value) -> Option<Self> {
        let text = |path: &str| shard.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let first = text("/SequenceNumberRange/StartingSequenceNumber");
        Some(Self { id: text("/ShardId")?, parent: text("/ParentShardId"), first })
    }
}

/// Some records, as Lambda would hand them over, and where to go on.
#[derive(Debug, Clone)]
pub struct RecordPage {
    /// The records.
    pub records: Vec<Value>,
    /// The place after them; none at the end of a shard that has ended.
    pub next: Option<String>,
}

impl Streams {
    /// The streams of an endpoint.
    ///
    /// # Errors
    /// When the client cannot be built.
    pub fn of_endpoint(url: &str, region: String, credentials: SharedCredentialsProvider) -> Result<Self, String> {
        let client = SignedClient::new(region, credentials, Some(url.to_owned()), AMAZON_ROOTS.to_vec())?;
        Ok(Self::Endpoint(client))
    }

    /// The newest stream of a table: its ARN, another one each time that it is switched on. `None` for a table without.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn newest(&self, table: &str) -> Result<Option<String>, StreamError> {
        let listed = self.ask("ListStreams", &json!({"TableName": table})).await?;
        let streams = listed.get("Streams").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let label = |stream: &&Value| stream.get("StreamLabel").and_then(Value::as_str).map(str::to_owned);
        let newest = streams.iter().max_by_key(label).and_then(|stream| stream.get("StreamArn")?.as_str());
        Ok(newest.map(str::to_owned))
    }

    /// The shards of a stream, in the order in which the engine lists them.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn shards(&self, arn: &str) -> Result<Vec<ShardDescription>, StreamError> {
        let mut shards = Vec::new();
        let mut request = json!({"StreamArn": arn, "Limit": SHARDS_A_PAGE});
        loop {
            let answer = self.ask("DescribeStream", &request).await?;
            let page = answer.pointer("/StreamDescription/Shards").and_then(Value::as_array);
            shards.extend(page.into_iter().flatten().filter_map(ShardDescription::read));
            let Some(last) = answer.pointer("/StreamDescription/LastEvaluatedShardId").and_then(Value::as_str) else {
                return Ok(shards);
            };
            request = json!({"StreamArn": arn, "Limit": SHARDS_A_PAGE, "ExclusiveStartShardId": last});
        }
    }

    /// The place in a shard after the record of that sequence number; without one, the oldest record.
    ///
    /// # Errors
    /// [`StreamError::Trimmed`] when records after it are gone; else the error of the engine.
    pub async fn iterator(&self, arn: &str, shard: &str, after: Option<&str>) -> Result<String, StreamError> {
        let mut request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
        if let Some(after) = after {
            request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": after});
            self.check_kept(arn, shard, after).await?;
        }
        let found = self.ask("GetShardIterator", &request).await?;
        let iterator = found.get("ShardIterator").and_then(Value::as_str);
        iterator.map(str::to_owned).ok_or_else(|| StreamError::Other("the engine names no iterator".to_owned()))
    }

    /// The embedded engine does not say by itself what it has forgotten: its shard then begins later.
    async fn check_kept(&self, arn: &str, shard: &str, after: &str) -> Result<(), StreamError> {
        let shards = self.shards(arn).await?;
        let first = shards.into_iter().find(|known| known.id == shard).and_then(|known| known.first);
        let number = |text: &str| text.parse::<u128>().ok();
        match first.is_some_and(|first| number(after) < number(&first)) {
            true => Err(StreamError::Trimmed),
            false => Ok(()),
        }
    }

    /// The records after a place, at most so many.
    ///
    /// # Errors
    /// As [`iterator`](Self::iterator); [`StreamError::Expired`] when the place is too old to be used.
    pub async fn records(&self, arn: &str, iterator: &str, limit: usize) -> Result<RecordPage, StreamError> {
        let mut answer = self.ask("GetRecords", &json!({"ShardIterator": iterator, "Limit": limit})).await?;
        let mut records = match answer.get_mut("Records").map(Value::take) {
            Some(Value::Array(records)) => records,
            _ => Vec::new(),
        };
        for record in records.iter_mut().filter_map(Value::as_object_mut) {
            record.insert("eventSourceARN".to_owned(), arn.into());
        }
        let next = answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned);
        Ok(RecordPage { records, next })
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, StreamError> {
        let body = request.to_string();
        let (is_fine, answer) = match self {
            Self::Embedded(engine) => {
                let (status, answer) = engine.call_off_the_reactor(operation, body.as_bytes());
                (status == 200, answer)
            }
            Self::Endpoint(client) => {
                let target = format!("DynamoDBStreams_20120810.{operation}");
                let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target.as_str())];
                let (method, path) = ("POST", "/");
                let (service, host) = ("dynamodb", "streams.dynamodb");
                let call = ServiceCall { service, host, method, path, headers: &headers, body: body.as_bytes() };
                match client.send(call).await {
                    Ok(answer) => (true, answer),
                    Err(ServiceError::Refused(_, answer)) => (false, answer.into_bytes()),
                    Err(error @ ServiceError::Unavailable(_)) => return Err(StreamError::Other(error.to_string())),
                }
            }
        };
        if is_fine {
            return serde_json::from_slice(&answer).map_err(|e| StreamError::Other(e.to_string()));
        }
        let text = String::from_utf8_lossy(&answer);
        Err(match text {
            text if text.contains("TrimmedDataAccessException") => StreamError::Trimmed,
            text if text.contains("ExpiredIteratorException") => StreamError::Expired,
            text => StreamError::Other(text.into_owned()),
        })
    }
}
