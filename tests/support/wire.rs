//! The wire between SDK and engine.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use rollcall::store::dynamo::embedded::Engine;
use serde_json::{Value, json};

/// How long a call is under way: long enough that calls issued together overlap. Tests with a paused clock pay nothing.
const LATENCY: Duration = Duration::from_millis(2);

/// One call to DynamoDB.
#[derive(Debug, Clone)]
pub struct DynamoCall {
    pub operation: String,
    pub body: Value,
}

/// An answer: status and body.
pub type Answer = (u16, Value);

/// What a layer does with a call. The methods of all layers run in order: every `before`, the latency, the engine,
/// every `after`.
pub trait Layer: Send + Sync {
    /// `Some` answers in the engine's stead; an `Err` is a broken connection.
    fn before(&self, _call: &DynamoCall) -> Result<Option<Answer>, Lost> {
        Ok(None)
    }

    /// Holds the call back for as long as it likes.
    fn hold<'a>(&'a self, _call: &'a DynamoCall) -> Held<'a> {
        Box::pin(async {})
    }

    /// Whether it loses answers, so that the SDK sends a transaction again. After a crash nothing is sent.
    fn loses_answers(&self) -> bool {
        false
    }

    /// Sees the answer, or loses it.
    fn after(&self, _call: &DynamoCall, _answer: &Answer) -> Result<(), Lost> {
        Ok(())
    }
}

/// How long a call is held back.
pub type Held<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A broken connection.
#[derive(Debug)]
pub struct Lost;

#[derive(Debug, Clone)]
pub enum Backend {
    Engine(Engine),
    Remote(Client),
}

pub struct Wire {
    engine: Engine,
    layers: Vec<Arc<dyn Layer>>,
}

impl Wire {
    /// A client on the wire. A remote endpoint is spoken to directly, without layers.
    pub fn client(backend: Backend, layers: Vec<Arc<dyn Layer>>) -> Client {
        match backend {
            Backend::Remote(client) => client,
            Backend::Engine(engine) => {
                let connector = SharedHttpClient::new(Connector(Arc::new(Self { engine, layers })));
                let client = rollcall::store::dynamo::client::from_connector(connector);
                // A layer holds a call for as long as it likes.
                Client::from_conf(client.config().to_builder().timeout_config(TimeoutConfig::disabled()).build())
            }
        }
    }

    async fn call(&self, call: DynamoCall) -> Result<Answer, Lost> {
        let mut instead = None;
        let mut entered = Vec::new();
        let mut lost = false;
        for layer in &self.layers {
            entered.push(layer);
            match layer.before(&call) {
                Ok(None) => {}
                Ok(answer) => instead = answer,
                Err(Lost) => lost = true,
            }
            if lost || instead.is_some() {
                break;
            }
        }
        for layer in &entered {
            layer.hold(&call).await;
        }
        tokio::time::sleep(LATENCY).await;
        let answer = match instead {
            Some(answer) => answer,
            None if lost => (0, Value::Null),
            None => {
                let (status, body) = self.engine.call(&call.operation, self.body_of(&call).to_string().as_bytes());
                (status, serde_json::from_slice(&body).unwrap())
            }
        };
        for layer in entered {
            lost |= layer.after(&call, &answer).is_err();
        }
        if lost { Err(Lost) } else { Ok(answer) }
    }

    /// Without the token of a transaction where nothing is sent twice: at each transaction the engine looks at all
    /// tokens of the last ten minutes, which is most of a large test's time.
    fn body_of(&self, call: &DynamoCall) -> Value {
        let mut body = call.body.clone();
        if let Some(fields) = body.as_object_mut()
            && !self.layers.iter().any(|layer| layer.loses_answers())
        {
            fields.shift_remove("ClientRequestToken");
        }
        body
    }
}

#[derive(Clone)]
struct Connector(Arc<Wire>);

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.0.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap();
            let operation = target.rsplit('.').next().unwrap().to_owned();
            let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
            body["ReturnConsumedCapacity"] = json!("TOTAL");
            let (status, body) = wire
                .call(DynamoCall { operation, body })
                .await
                .map_err(|Lost| ConnectorError::io("the connection broke".into()))?;
            let response = http::Response::builder()
                .status(status)
                .header("content-type", "application/x-amz-json-1.0")
                .body(SdkBody::from(body.to_string()))
                .unwrap();
            Ok(HttpResponse::try_from(response).unwrap())
        })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl DynamoCall {
    /// Every item that the call writes: table and key, as one text.
    pub fn written_items(&self) -> Vec<(String, String)> {
        let text = |key: &Value| {
            key.as_object().unwrap().values().map(|value| value["S"].as_str().unwrap()).collect::<Vec<_>>().join("/")
        };
        self.written_keys().into_iter().map(|(table, key)| (table, text(&key))).collect()
    }

    /// Every item that the call writes: table and key. Of a put's item, only the table's key attributes count.
    pub fn written_keys(&self) -> Vec<(String, Value)> {
        let of = |body: &Value| {
            let table = body["TableName"].as_str().unwrap().to_owned();
            let item = body.get("Key").or_else(|| body.get("Item")).unwrap();
            let key = key_names(&table).into_iter().map(|name| (name.to_owned(), item[name].clone())).collect();
            (table, key)
        };
        match self.operation.as_str() {
            "PutItem" | "UpdateItem" | "DeleteItem" => vec![of(&self.body)],
            "TransactWriteItems" => {
                let items = self.body["TransactItems"].as_array().unwrap();
                items.iter().flat_map(|item| item.as_object().unwrap().values()).map(of).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// The key attributes of a table.
pub fn key_names(table: &str) -> [&'static str; 2] {
    match table.rsplit('-').next().unwrap() {
        "users" => ["tenant", "userName"],
        "keys" => ["tenant", "keyId"],
        "tokens" => ["tenant", "tokenId"],
        "groups" => ["tenant", "id"],
        _ => ["pk", "sk"],
    }
}
