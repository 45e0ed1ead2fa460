//! Sub-requests: the operations of a Bulk, `/Me`, and what an operator does at the command line.

use bytes::Bytes;
use http::Request;
use http::header::{HOST, USER_AGENT};

use super::context::{Origin, RequestContext, Route};
use super::path::RequestTarget;
use super::trace::RequestTrace;
use crate::auth::Principal;

impl<'a> RequestContext<'a> {
    /// A sub-request by the same authorized caller; its age is this one's. Its id must be its own:
    /// by it a request knows what it wrote.
    pub(super) fn sub_request<'b>(
        &self,
        (route, target): (&'static Route, RequestTarget),
        request: &'b Request<Bytes>,
        request_id: &'b str,
        caller: &'b Principal,
    ) -> RequestContext<'b>
    where
        'a: 'b,
    {
        let started = self.started;
        RequestContext {
            app: self.app,
            routes: self.routes,
            route,
            target,
            request,
            request_id,
            started,
            caller: Some(caller),
            is_of_bulk: false,
            trace: RequestTrace::default(),
        }
    }

    /// This request, as if it had come to another path below the tenant's base URL; none if no route is there.
    pub(super) fn reroute<'b>(&'b self, path: &str, caller: &'b Principal) -> Option<RequestContext<'b>> {
        let target = RequestTarget::parse(&format!("{}{path}", self.target.base))?;
        let route = self.routes.iter().find(|route| route.method == self.route.method && route.accepts(&target))?;
        Some(self.sub_request((route, target), self.request, self.request_id, caller))
    }

    /// A request to another place below the tenant's base URL, from the same client.
    pub(super) fn sub_request_builder(&self, method: &str, path: &str) -> Result<Request<Bytes>, http::Error> {
        self.request_at(method, &format!("{}{path}", self.target.base))
    }

    /// A request to an address of this endpoint, from the same client.
    pub(super) fn request_at(&self, method: &str, uri: &str) -> Result<Request<Bytes>, http::Error> {
        let mut request = Request::builder().method(method).uri(uri).body(Bytes::new())?;
        if let Some(host) = self.request.headers().get(HOST) {
            request.headers_mut().insert(HOST, host.clone());
        }
        if let Some(agent) = self.request.headers().get(USER_AGENT) {
            request.headers_mut().insert(USER_AGENT, agent.clone());
        }
        if let Some(origin) = self.request.extensions().get::<Origin>() {
            request.extensions_mut().insert(origin.clone());
        }
        Ok(request)
    }

    /// The rows of the route table.
    pub(super) fn routes(&self) -> &'static [Route] {
        self.routes
    }
}
