//! `rollcall serve` and `rollcall engine`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::uri::Authority;
use http::{Request, Response, StatusCode, Version};
use jiff::SignedDuration;
use tokio::net::TcpListener;

use super::data_folder::{self, RunningServer};
use super::fair_queue::{FairQueue, pause};
use super::listener::{self, Service};
use super::metrics::MetricsListener;
use super::{StoreOptions, local_operator};
use crate::admin::keys::{Expiry, NewCredentialType, NewKey};
use crate::admin::{self, tenants};
use crate::api::{self, Origin, Selection};
use crate::app::branding::Branding;
use crate::app::metrics::Observer;
use crate::app::{App, Clock};
use crate::auth::{LinkRecord, PageAccess, PageRole, PageSecret, PageSecretKind, Scope};
use crate::limits::{DEFAULT_LINK_SECONDS, LOCAL_EXPIRY_SECONDS, MAX_BODY_BYTES, MAX_TENANT_BYTES, REFUSAL_PAUSE_MS};
use crate::scim::{ErrorCode, ScimError};
use crate::store::background::Background;
use crate::store::dynamo::client;
use crate::store::dynamo::embedded::Engine;
use crate::store::dynamo::streams::Streams;
use crate::store::{Store, StoreError};
use crate::tenant::{TenantConfig, TenantName};
use crate::worker;
use crate::worker::backlog::Backlog;
use crate::worker::follow::Follower;

/// The tenant of a new store.
const DEMO: &str = "demo";

/// DynamoDB's own limit for a request.
const MAX_ENGINE_BODY_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct ServeOptions {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The scheme and host that clients use, if not the one they connect to (behind a proxy with TLS, say)
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Serve metrics on this address too, such as 127.0.0.1:9464: GET /metrics, without authentication
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    branding: BrandingOptions,
    #[command(flatten)]
    store: StoreOptions,
}

/// How the page for administrators looks, and who may frame it.
#[derive(Debug, Args)]
struct BrandingOptions {
    /// The name of your product on the page for administrators
    #[arg(long, value_name = "TEXT")]
    product_name: Option<String>,
    /// Its logo: an https:// address, or data:image/TYPE;base64,… of up to 2,000 bytes
    #[arg(long, value_name = "ADDRESS")]
    product_logo: Option<String>,
    /// Its colour, such as #0b4fb3; Rollcall darkens or lightens it until text in it can be read
    #[arg(long, value_name = "COLOUR")]
    product_color: Option<String>,
    /// The https:// address of your guide for customers, on Connect; {provider} in it becomes entra or okta
    #[arg(long, value_name = "ADDRESS")]
    product_guide: Option<String>,
    /// The origins that may frame the page, separated by commas, such as https://app.example.com
    #[arg(long, value_name = "ORIGINS")]
    frame_origins: Option<String>,
}

impl BrandingOptions {
    fn branding(&self) -> Result<Branding, String> {
        Branding::read(|name| match name {
            "PRODUCT_NAME" => self.product_name.clone(),
            "PRODUCT_LOGO" => self.product_logo.clone(),
            "PRODUCT_COLOR" => self.product_color.clone(),
            "PRODUCT_GUIDE" => self.product_guide.clone(),
            "FRAME_ORIGINS" => self.frame_origins.clone(),
            _ => None,
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct EngineOptions {
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// The folder of the local store
    #[arg(long, value_name = "DIR", default_value = ".rollcall")]
    data: PathBuf,
}

pub(super) async fn run(options: ServeOptions) -> Result<(), String> {
    let branding = options.branding.branding()?;
    let listener = listener::bind(options.listen, "--listen").await?;
    let metrics = match options.metrics_listen {
        Some(address) => Some(MetricsListener::bind(address).await?),
        None => None,
    };
    let is_remote = options.store.is_remote();
    let endpoint = LocalEndpoint::open(listener, options.store).await?;
    let public_url = options.public_url.map(|url| url.trim_end_matches('/').to_owned());
    let display_url = public_url.clone().unwrap_or_else(|| endpoint.url());
    if let Some(metrics) = &metrics {
        outln!("Metrics: {}", metrics.url()?);
    }
    greet(endpoint.store(), &display_url, is_remote).await?;
    if public_url.is_none() && !endpoint.address.ip().is_loopback() {
        errln!(
            "rollcall: warning: clients on other machines choose the host of the links in answers, by their header Host; \
             set --public-url"
        );
    }
    let endpoint = LocalEndpoint { public_url, branding, metrics, ..endpoint };
    endpoint.serve_until(std::future::pending()).await
}

/// An endpoint of this process, before it serves.
pub(super) struct LocalEndpoint {
    listener: TcpListener,
    address: SocketAddr,
    public_url: Option<String>,
    branding: Branding,
    metrics: Option<MetricsListener>,
    options: StoreOptions,
    opened: Opened,
    /// How this process calls itself where several follow the same streams.
    owner: String,
}

impl LocalEndpoint {
    /// Opens the store. For an embedded one, it first does what an earlier process left.
    ///
    /// # Errors
    /// Why the store cannot be opened, and what to do.
    pub(super) async fn open(listener: TcpListener, options: StoreOptions) -> Result<Self, String> {
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let owner = hex::encode(getrandom::u64().map_err(|e| e.to_string())?.to_be_bytes());
        let opened = open(&options, &owner).await?;
        let (public_url, branding) = (None, Branding::default());
        Ok(Self { listener, address, public_url, branding, metrics: None, options, opened, owner })
    }

    pub(super) fn store(&self) -> &Store {
        &self.opened.store
    }

    /// Where it listens, without a public URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves until Ctrl-C, or until something else of this process is done.
    ///
    /// # Errors
    /// When the process cannot listen for signals, and the errors of what it waits for.
    pub(super) async fn serve_until(self, done: impl Future<Output = Result<(), String>>) -> Result<(), String> {
        let Self { listener, address, public_url, branding, metrics, options, opened, owner } = self;
        let Opened { store, follower, engine } = opened;
        let is_followed = follower.is_some();
        let backlog = follower.as_ref().map(Follower::backlog).unwrap_or_default();
        let mut workers = follower.map(|follower| tokio::spawn(follower.run())).into_iter().collect::<Vec<_>>();
        workers.extend(engine.clone().map(|engine| tokio::spawn(expire(engine))));
        if let Some(engine) = &engine {
            engine.wait_once();
        }
        // In the cloud, the function `stream` does it; elsewhere the follower does, if there are streams.
        let counts = !is_followed;
        let leased = store.clone();
        if !options.aws {
            workers.push(tokio::spawn(worker::run(store.clone(), Clock::System, counts)));
        }
        let queue = FairQueue::new(std::thread::available_parallelism().map_or(1, usize::from));
        let store = if engine.is_some() { store.with_background(background(&queue)) } else { store };
        let observer = metrics.as_ref().map_or(Observer::Log, MetricsListener::observer);
        workers.extend(metrics.map(|metrics| tokio::spawn(metrics.serve())));
        let app = App { public_url, branding, observer, ..App::new(store).map_err(|e| e.to_string())? };
        let folder = (!options.is_remote()).then_some(options.data);
        let secret = folder.as_ref().map(|_| local_operator::new_secret()).transpose()?;
        if let Some(folder) = &folder {
            data_folder::announce(folder, &RunningServer { url: local_url(address), secret: secret.clone() })?;
        }
        let service = ScimService(Arc::new(Shared { app, secret, address, queue, backlog, engine }));
        let served = tokio::select! {
            served = listener::serve(listener, service) => served,
            done = done => done,
        };
        folder.iter().for_each(|folder| data_folder::withdraw(folder));
        // A runtime that ends while the worker waits for the store would panic in it.
        for worker in workers {
            worker.abort();
            // Whether it ended by itself or was aborted is the same here.
            let _ = worker.await;
        }
        if is_followed && folder.is_none() {
            // Another process on the endpoint goes on at once; else it waits for the end of the lease.
            let _ = leased.release_follower(&owner).await;
        }
        served
    }
}

/// What goes on after an answer does so in the line of its tenant.
fn background(queue: &FairQueue) -> Background {
    let queue = queue.clone();
    Background::new(move |tenant, work| drop(tokio::spawn(queue.run(tenant.as_str(), work))))
}

/// What a server works on.
struct Opened {
    store: Store,
    /// Who follows the streams, if there are any that no Lambda follows.
    follower: Option<Follower>,
    /// The embedded engine, if it is one.
    engine: Option<Engine>,
}

/// Deletes what has expired, from time to time, as DynamoDB does by itself.
async fn expire(engine: Engine) {
    loop {
        if let Err(error) = engine.delete_expired() {
            tracing::error!(%error, "what has expired is still there");
        }
        tokio::time::sleep(Duration::from_secs(LOCAL_EXPIRY_SECONDS)).await;
    }
}

/// The store, and who follows its streams. For an embedded one, it first does what an earlier process left.
async fn open(options: &StoreOptions, owner: &str) -> Result<Opened, String> {
    if let Some(url) = &options.endpoint_url {
        let store = options.open().await?;
        let streams = client::streams_of_endpoint(url).await?;
        let follower = Follower::one_of_several(store.clone(), streams, Clock::System, owner.to_owned());
        let follower = match follower.has_streams().await {
            Ok(true) => Some(follower),
            other => {
                let why = other.err().unwrap_or_else(|| "the tables have no streams".to_owned());
                errln!("rollcall: warning: there is no feed of changes: {why}");
                None
            }
        };
        return Ok(Opened { store, follower, engine: None });
    }
    if options.aws {
        return Ok(Opened { store: options.open().await?, follower: None, engine: None });
    }
    let engine = data_folder::open_alone(&options.data).await?;
    let store = options.store_on(&engine).await?;
    let mut follower = Follower::alone(store.clone(), Streams::Embedded(engine.clone()), Clock::System);
    if let Err(error) = follower.catch_up().await {
        tracing::error!(%error, "the feed stands still");
    }
    Ok(Opened { store, follower: Some(follower), engine: Some(engine) })
}

/// The endpoint on a socket.
#[derive(Clone)]
struct ScimService(Arc<Shared>);

struct Shared {
    app: App,
    /// What this machine's own commands know.
    secret: Option<String>,
    address: SocketAddr,
    queue: FairQueue,
    backlog: Backlog,
    /// The embedded engine, if it is one.
    engine: Option<Engine>,
}

impl Shared {
    /// An answer, once all that it says is on the disk.
    async fn on_disk(&self, answer: Response<Bytes>) -> Response<Bytes> {
        let Some(engine) = &self.engine else { return answer };
        let Err(error) = engine.on_disk().await else { return answer };
        if !answer.status().is_server_error() {
            self.app.observer.record_disk_failure();
        }
        api::refusal(StoreError::Unavailable(error).into())
    }
}

impl Service for ScimService {
    const LIMIT: usize = MAX_BODY_BYTES;

    async fn answer(&self, mut request: Request<Bytes>) -> Response<Bytes> {
        let Shared { app, secret, address, queue, backlog, .. } = &*self.0;
        if request.version() == Version::HTTP_11 && request.headers().get_all(HOST).iter().count() != 1 {
            let detail =
                "the request must have one header Host (RFC 9112 section 3.2); most clients send it by themselves";
            return api::refusal(ScimError::new(ErrorCode::NoHost, detail));
        }
        if local_operator::is_operator(&request, secret.as_deref()) {
            return self.0.on_disk(local_operator::answer(app, request).await).await;
        }
        let origin = origin(&request, *address);
        request.extensions_mut().insert(origin);
        // Whoever sends no credentials is of no tenant.
        let tenant = request.uri().path().split('/').nth(1).filter(|_| request.headers().contains_key(AUTHORIZATION));
        let tenant: String = tenant.unwrap_or_default().chars().take(MAX_TENANT_BYTES).collect();
        if is_write(&request) {
            pause(backlog.pause(Clock::System.now())).await;
            queue.wait_to_write(&tenant).await;
        }
        let answer = self.0.on_disk(queue.run(&tenant, api::handle(app, &Selection::all(), request)).await).await;
        if is_too_fast(&answer) {
            tokio::time::sleep(Duration::from_millis(REFUSAL_PAUSE_MS)).await;
        }
        answer
    }

    async fn is_refused_by_head(&self, request: &Request<Bytes>) -> bool {
        let Shared { app, secret, .. } = &*self.0;
        !local_operator::is_operator(request, secret.as_deref())
            && api::is_refused_by_head(app, &Selection::all(), request).await
    }
}

/// Whether the client sends more than it may. What the protection holds comes at no rate.
fn is_too_fast(answer: &Response<Bytes>) -> bool {
    answer.status() == StatusCode::TOO_MANY_REQUESTS && answer.extensions().get() != Some(&ErrorCode::Held)
}

/// Whether a request may change users or groups.
fn is_write(request: &Request<Bytes>) -> bool {
    !request.method().is_safe() && !request.uri().path().ends_with("/.search")
}

/// Where this machine's own commands reach a server: one that listens on every address does so on the loopback, too.
fn local_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

/// The host that the client named, if it is one; else where we listen.
fn origin(request: &Request<Bytes>, address: SocketAddr) -> Origin {
    let named = request.headers().get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let host =
        named.filter(|host| !host.as_str().contains('@')).map_or_else(|| address.to_string(), |host| host.to_string());
    Origin(format!("http://{host}"))
}

/// Prints how to connect. A new store gets the tenant `demo`. Its key is printed this once.
async fn greet(store: &Store, url: &str, is_remote: bool) -> Result<(), String> {
    let all = store.tenants().await.map_err(|e| e.to_string())?;
    if all.is_empty() && !is_remote {
        let demo: TenantName = DEMO.parse().map_err(|e: crate::tenant::BadTenantName| e.to_string())?;
        let now = Clock::System.now();
        store.add_tenant(&demo, &TenantConfig::default(), now).await.map_err(|e| e.to_string())?;
        let new = NewKey {
            tenant: demo,
            description: "created by rollcall serve at its first start".to_owned(),
            automation: None,
            scopes: vec![Scope::Read, Scope::Write],
            not_before: None,
            expires: Expiry::Default,
            credential_type: NewCredentialType::Bearer,
        };
        let new_key = admin::keys::add(store, new, now).await.map_err(|e| e.to_string())?;
        let token = new_key.secret.unwrap_or_default();
        let tenant_url = format!("{url}/{DEMO}/scim/v2");
        outln!("Tenant URL: {tenant_url}");
        outln!("Secret token: {token}");
        print_link(store, url, &DEMO.parse().map_err(|e: crate::tenant::BadTenantName| e.to_string())?).await?;
        outln!("Try it: curl -H 'Authorization: Bearer {token}' '{tenant_url}/Users'");
        return Ok(());
    }
    for tenant in &all {
        let profile = tenants::profile_of(store, tenant).await.map_err(|e| e.to_string())?;
        outln!("Tenant URL: {url}{}", profile.base_path(tenant.name.as_str()));
    }
    if let (Some(tenant), false) = (all.iter().find(|tenant| tenant.name.as_str() == DEMO), is_remote) {
        print_link(store, url, &tenant.name).await?;
    }
    outln!("Rollcall prints a secret token once. Create another one: rollcall key create {DEMO} --description TEXT");
    Ok(())
}

/// Prints a link to the page of the tenant that everybody tries first.
async fn print_link(store: &Store, url: &str, tenant: &TenantName) -> Result<(), String> {
    outln!("Page for administrators: {}", page_link(store, url, tenant).await?);
    Ok(())
}

/// A new link to the page of a tenant, for an operator.
///
/// # Errors
/// When the system has no random numbers, or the store fails.
pub(super) async fn page_link(store: &Store, url: &str, tenant: &TenantName) -> Result<String, String> {
    let secret = PageSecret::mint(PageSecretKind::Link).map_err(|e| e.to_string())?;
    let now = Clock::System.now();
    let link = LinkRecord {
        tenant: tenant.clone(),
        id: secret.id().clone(),
        hash: secret.hash(),
        access: PageAccess { role: PageRole::Operate, is_operator: true, person: None },
        created: now,
        expires: now + SignedDuration::from_secs(DEFAULT_LINK_SECONDS),
        used: None,
        revoked: None,
    };
    store.add_link(&link, now).await.map_err(|e| e.to_string())?;
    Ok(format!("{url}/{tenant}/manage#{}", secret.reveal()))
}

pub(super) async fn engine(options: EngineOptions) -> Result<(), String> {
    let listener = listener::bind(options.listen, "--listen").await?;
    let engine = data_folder::open_alone(&options.data).await?;
    let address = listener.local_addr().map_err(|e| e.to_string())?;
    data_folder::announce(&options.data, &RunningServer { url: local_url(address), secret: None })?;
    outln!("DynamoDB endpoint: http://{address}");
    let expiry = tokio::spawn(expire(engine.clone()));
    let served = listener::serve(listener, engine).await;
    data_folder::withdraw(&options.data);
    expiry.abort();
    served
}

impl Service for Engine {
    const LIMIT: usize = MAX_ENGINE_BODY_BYTES;

    async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let target = request.headers().get("x-amz-target").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let (status, body) = tokio::task::block_in_place(|| self.call(&operation, request.body()));
        let (status, body) = match self.on_disk().await {
            Ok(()) => (status, body),
            Err(error) => (500, error.into_bytes()),
        };
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        response
    }

    async fn is_refused_by_head(&self, _: &Request<Bytes>) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sends_too_much_waits_for_a_refusal() {
        let answer = |code| api::refusal(ScimError::retry(code, "wait"));
        assert!(is_too_fast(&answer(ErrorCode::RateLimited)));
        assert!(is_too_fast(&answer(ErrorCode::Throttled)));
        assert!(!is_too_fast(&answer(ErrorCode::Held)));
    }
}
