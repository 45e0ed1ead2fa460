//! DynamoDB inside the process, for `rollcall serve` and for tests: the SDK's connector calls the engine directly.

use std::sync::Arc;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;

/// An engine.
#[derive(Clone)]
pub struct Engine(Arc<Database>);

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// An engine that forgets everything when it is dropped.
    ///
    /// # Errors
    /// What the engine says.
    pub fn in_memory() -> Result<Self, String> {
        Database::memory().map(|db| Self(Arc::new(db))).map_err(|e| e.to_string())
    }

    /// An engine that keeps its data in a file; several processes may have it open.
    ///
    /// # Errors
    /// What the engine says, such as that the file cannot be opened.
    pub fn in_file(path: &str) -> Result<Self, String> {
        Database::new(path).map(|db| Self(Arc::new(db))).map_err(|e| e.to_string())
    }

    /// The engine as the SDK's transport.
    pub fn http_client(&self) -> SharedHttpClient {
        SharedHttpClient::new(self.clone())
    }

    /// Carries out one call: the operation's name as in `x-amz-target`, and its JSON body. Answers with the HTTP
    /// status and JSON body that DynamoDB would.
    pub fn call(&self, operation: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let db = &self.0;
        macro_rules! dispatch {
            ($($name:literal => $method:ident),* $(,)?) => {
                match operation {
                    $($name => answer(serde_json::from_slice(body).map(|request| db.$method(request))),)*
                    _ => (400, unknown(operation)),
                }
            };
        }
        dispatch!(
            "CreateTable" => create_table,
            "DescribeTable" => describe_table,
            "DeleteTable" => delete_table,
            "ListTables" => list_tables,
            "GetItem" => get_item,
            "PutItem" => put_item,
            "UpdateItem" => update_item,
            "DeleteItem" => delete_item,
            "Query" => query,
            "Scan" => scan,
            "BatchGetItem" => batch_get_item,
            "BatchWriteItem" => batch_write_item,
            "TransactWriteItems" => transact_write_items,
            "TransactGetItems" => transact_get_items,
        )
    }
}

fn answer<T: serde::Serialize>(outcome: serde_json::Result<Result<T, DynoxideError>>) -> (u16, Vec<u8>) {
    match outcome {
        Ok(Ok(reply)) => match serde_json::to_vec(&reply) {
            Ok(body) => (200, body),
            Err(e) => (500, e.to_string().into_bytes()),
        },
        Ok(Err(e)) => (e.status_code(), e.to_json().into_bytes()),
        Err(e) => (400, exception("SerializationException", &e.to_string())),
    }
}

fn unknown(operation: &str) -> Vec<u8> {
    exception("UnknownOperationException", operation)
}

fn exception(code: &str, message: &str) -> Vec<u8> {
    let kind = format!("com.amazon.coral.service#{code}");
    serde_json::json!({"__type": kind, "message": message}).to_string().into_bytes()
}

impl HttpConnector for Engine {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engine = self.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            let body = without_token(&operation, request.body().bytes().unwrap_or_default());
            let (status, body) = off_the_reactor(move || engine.call(&operation, &body));
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/x-amz-json-1.0")
                .body(SdkBody::from(body))
                .map_err(|e| ConnectorError::other(e.into(), None))?;
            HttpResponse::try_from(response).map_err(|e| ConnectorError::other(e.into(), None))
        })
    }
}

/// A transaction without its `ClientRequestToken`. The engine looks at all tokens of the last ten minutes at each
/// transaction, which is most of its work when there are thousands; within one process no answer is lost, and none is
/// sent twice.
fn without_token(operation: &str, body: &[u8]) -> Vec<u8> {
    if operation == "TransactWriteItems"
        && let Ok(serde_json::Value::Object(mut request)) = serde_json::from_slice(body)
    {
        request.shift_remove("ClientRequestToken");
        return serde_json::Value::Object(request).to_string().into_bytes();
    }
    body.to_vec()
}

/// A write waits for the disk; other requests go on meanwhile where the runtime has other threads.
fn off_the_reactor<T>(work: impl FnOnce() -> T) -> T {
    let flavor = tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor());
    match flavor {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl HttpClient for Engine {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
