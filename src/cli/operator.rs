//! What operators ask for, by the admin API: of a deployment over HTTPS with an admin key, or of the tables themselves,
//! in this process, with the credentials that open them.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::data_folder::RunningServer;
use super::{StoreAccess, StoreOptions, local_operator};
use crate::admin::tenants::{self, Chosen};
use crate::api;
use crate::app::{App, Clock};
use crate::store::Store;
use crate::tenant::{OPERATOR_TENANT, Settings, TenantName};

/// What an admin key may be sent to without TLS, to the letter.
const LOCAL_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// The header of a dry run.
pub(super) const DRY_RUN: &str = "rollcall-dry-run";

/// Longest answer taken: the keys of a tenant with many clients.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Which deployment to work on.
#[derive(Debug, Args)]
pub(super) struct OperatorOptions {
    /// Work through the admin API of the endpoint at this address, such as https://scim.example.com
    #[arg(long, value_name = "URL", conflicts_with_all = ["data", "aws", "endpoint_url"])]
    url: Option<String>,
    /// A key of the tenant `admin` with the scope `admin`, for --url
    #[arg(long, value_name = "KEY", env = "ROLLCALL_ADMIN_KEY", hide_env_values = true)]
    admin_key: Option<AdminKey>,
    #[command(flatten)]
    store: StoreOptions,
}

/// A key of the operators. `Debug` prints nothing of it.
#[derive(Clone)]
struct AdminKey(String);

impl FromStr for AdminKey {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for AdminKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminKey")
    }
}

/// The way to a deployment.
pub(super) enum OperatorClient {
    Direct(Box<App>),
    Remote { url: String, key: String },
    Served(RunningServer),
}

impl OperatorOptions {
    /// Whether it opens tables that are on no disk of this machine.
    pub(super) fn opens_remote_tables(&self) -> bool {
        self.url.is_none() && self.store.is_remote()
    }

    /// Finds the way.
    pub(super) async fn open(self) -> Result<OperatorClient, String> {
        let Some(url) = self.url else {
            return match self.store.access().await? {
                StoreAccess::Here(store) => {
                    Ok(OperatorClient::Direct(Box::new(App::new(store).map_err(|e| e.to_string())?)))
                }
                StoreAccess::Served(server) => Ok(OperatorClient::Served(server)),
            };
        };
        let key = self
            .admin_key
            .ok_or("--admin-key is missing; pass it with --url, or set the variable ROLLCALL_ADMIN_KEY")?;
        check_url(("--url", &url), "https://scim.example.com")?;
        Ok(OperatorClient::Remote { url: url.trim_end_matches('/').to_owned(), key: key.0 })
    }
}

impl OperatorClient {
    /// Asks for something below `/admin/v1`.
    ///
    /// # Errors
    /// What the answer says is wrong, or that there was none.
    pub(super) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.ask_with(method, path, body, false).await
    }

    /// The same; of a dry run nothing is written.
    ///
    /// # Errors
    /// What the answer says is wrong, or that there was none.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        is_dry: bool,
    ) -> Result<Value, String> {
        let text = body.map(Value::to_string).unwrap_or_default();
        let dry = is_dry.then(|| (HeaderName::from_static(DRY_RUN), "true".to_owned()));
        let (status, answer) = match self {
            Self::Direct(app) => {
                let request = Request::builder().method(method).uri(format!("/{OPERATOR_TENANT}/v1{path}"));
                let request = dry.into_iter().fold(request, |request, (name, value)| request.header(name, value));
                let response =
                    api::handle_as_operator(app, request.body(Bytes::from(text)).map_err(|e| e.to_string())?).await;
                (response.status(), response.into_body())
            }
            Self::Remote { url, key } => {
                let authorization = (AUTHORIZATION, format!("Bearer {key}"));
                let headers = std::iter::once(authorization).chain(dry);
                sent(format!("{url}/{OPERATOR_TENANT}/v1{path}"), headers, &method, text).await?
            }
            Self::Served(server) => {
                let path = format!("/{OPERATOR_TENANT}/v1{path}");
                let headers = std::iter::once(secret_header(server)?).chain(dry);
                sent(format!("{}{path}", server.url), headers, &method, text).await?
            }
        };
        read(status, &answer)
    }

    /// Creates the operators' tenant if it does not exist. Their first key needs it, and only
    /// who holds the tables can create it.
    pub(super) async fn need_operators(&self) -> Result<(), String> {
        let Self::Direct(app) = self else { return Ok(()) };
        create_operators(&app.store).await
    }
}

/// Asks the server that has the store open, as the user whose folder it is.
///
/// # Errors
/// What the answer says is wrong, or that there was none.
pub(super) async fn ask_server(
    server: &RunningServer,
    method: &Method,
    path: &str,
    body: String,
) -> Result<Value, String> {
    let header = std::iter::once(secret_header(server)?);
    let (status, answer) = sent(format!("{}{path}", server.url), header, method, body).await?;
    read(status, &answer)
}

/// What only the user whose folder it is can send to a server.
fn secret_header(server: &RunningServer) -> Result<(HeaderName, String), String> {
    let secret = server.secret.clone().ok_or_else(|| {
        format!("rollcall engine serves this store; add --endpoint-url {} instead of --data", server.url)
    })?;
    Ok((HeaderName::from_static(local_operator::SECRET), secret))
}

fn read(status: StatusCode, answer: &Bytes) -> Result<Value, String> {
    let answer: Value = match answer.is_empty() {
        true => Value::Null,
        false => serde_json::from_slice(answer)
            .map_err(|_| format!("the server answered status {status} without JSON; check --url"))?,
    };
    if status.is_success() {
        return Ok(answer);
    }
    let detail = answer.get("detail").and_then(Value::as_str).unwrap_or("the server gave no reason; read its log");
    Err(format!("{detail} (status {})", status.as_u16()))
}

/// Whether a host is this very machine.
pub(super) fn is_local(host: &str) -> bool {
    LOCAL_HOSTS.iter().any(|local| host.eq_ignore_ascii_case(local))
}

/// Whether a secret may be sent to an address: by TLS, or to this very machine. `named` is what the command line calls the
/// address, and `example` is one.
///
/// # Errors
/// What is wrong with the address.
pub(super) fn check_url((named, url): (&str, &str), example: &str) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{named} {url} {why}"));
    if !url.contains("://") {
        return refuse(&format!("lacks https://; write one such as {example}"));
    }
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(e) => return refuse(&format!("is not a URL ({e}); write one such as {example}")),
    };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return refuse(&format!("has no scheme or no host; write one such as {example}"));
    };
    if authority.as_str().contains('@') {
        return refuse("contains a user name; pass the secret as an option of its own");
    }
    if uri.query().is_some() {
        return refuse("has a query; remove it");
    }
    match scheme {
        "https" => Ok(()),
        "http" if is_local(authority.host()) => Ok(()),
        _ => refuse("does not start with https://, so others could read the secret; use HTTPS"),
    }
}

/// Creates the operators' tenant if it is not there.
///
/// # Errors
/// When the store does not do it.
pub(super) async fn create_operators(store: &Store) -> Result<(), String> {
    let name: TenantName = OPERATOR_TENANT.parse().map_err(|e: crate::tenant::BadTenantName| e.to_string())?;
    if store.tenant(&name).await.map_err(|e| e.to_string())?.is_none() {
        let profile = Chosen::shipped("default").map_err(|e| e.to_string())?;
        let result = tenants::add(store, &name, &profile, Settings::default(), Clock::System.now()).await;
        result.map_err(|e| e.to_string())?;
    }
    Ok(())
}

async fn sent(
    url: String,
    headers: impl Iterator<Item = (HeaderName, String)>,
    method: &Method,
    body: String,
) -> Result<(StatusCode, Bytes), String> {
    let connector = HttpsConnectorBuilder::new().with_webpki_roots().https_or_http().enable_http1().build();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let request = Request::builder().method(method).uri(&url);
    let request = headers.fold(request, |request, (name, value)| request.header(name, value));
    let request = request.header(CONTENT_TYPE, "application/json");
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|e| format!("--url is not a valid address ({e}); write one such as https://scim.example.com"))?;
    let response = client
        .request(request)
        .await
        .map_err(|e| format!("{url} did not answer ({e}); check the address, then try again"))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    Ok((
        status,
        body.map_err(|e| format!("{url} closed the connection during its answer ({e}); try again"))?.to_bytes(),
    ))
}

#[cfg(test)]
mod tests {
    use super::check_url;

    #[test]
    fn an_admin_key_goes_by_tls_or_to_this_machine() {
        for url in [
            "https://scim.example.com",
            "https://x/stage",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "http://LOCALHOST",
            "HTTPS://x",
        ] {
            assert_eq!(check_url(("--url", url), ""), Ok(()), "{url}");
        }
        for url in [
            "http://scim.example.com",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example:3000",
            "http://127.0.0.1@evil.example",
            "http://localhost:x@evil.example",
            "https://user:password@scim.example.com",
            "http://[::2]:3000",
            "http://127.0.0.2",
            "ftp://localhost",
            "localhost:3000",
            "https://",
            "https://x?y",
            "//localhost",
            "",
        ] {
            assert!(check_url(("--url", url), "").is_err(), "{url}");
        }
    }
}
