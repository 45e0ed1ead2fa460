//! What the SDK does at each call and this crate does not need: it is left out.

use std::sync::OnceLock;

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Endpoint, EndpointFuture, Params, ResolveEndpoint};
use aws_sdk_dynamodb::config::interceptors::BeforeSerializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;

/// Leaves out the headers that only AWS's statistics of SDKs read: `user-agent`, the id of an invocation, and the number
/// of the attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct WithoutStatistics;

impl Intercept for WithoutStatistics {
    fn name(&self) -> &'static str {
        "WithoutStatistics"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        const CAUSE: &str = "nobody reads them";
        config
            .interceptor_state()
            .store_put(disable_interceptor::<UserAgentInterceptor>(CAUSE))
            .store_put(disable_interceptor::<InvocationIdInterceptor>(CAUSE))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(CAUSE));
        Ok(())
    }
}

/// The endpoint of the first call, for all: what it depends on is the same for every call of a client. The SDK's own
/// resolver forgets it when the next call is of another table.
#[derive(Debug, Default)]
pub(super) struct OneEndpoint {
    resolver: DefaultResolver,
    first: OnceLock<Endpoint>,
}

impl ResolveEndpoint for OneEndpoint {
    fn resolve_endpoint<'a>(&'a self, params: &'a Params) -> EndpointFuture<'a> {
        if let Some(endpoint) = self.first.get() {
            return EndpointFuture::ready(Ok(endpoint.clone()));
        }
        EndpointFuture::new(async move {
            let endpoint = ResolveEndpoint::resolve_endpoint(&self.resolver, params).await?;
            Ok(self.first.get_or_init(|| endpoint).clone())
        })
    }
}
