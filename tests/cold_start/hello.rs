//! The smallest Lambda function of this runtime: `make cold-start` measures the start of Rollcall's by it.

use lambda_http::{Body, Error, Request, Response, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    run(service_fn(|_: Request| async { Ok::<_, Error>(Response::new(Body::Text("hello".to_owned()))) })).await
}
