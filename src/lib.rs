//! **Rollcall**: a SCIM 2.0 provisioning endpoint on AWS Lambda and DynamoDB.
//!
//! Where things are:
//!
//! - [`scim`]: the protocol (RFC 7643, 7644) as pure functions over JSON; clients' deviations in [`scim::deviation`].
//! - [`tenant`]: a tenant's name, profile, types of credential and settings.
//! - [`auth`]: keys, and the only place that creates a [`Tenant`](auth::Tenant).
//! - [`store`]: the only speaker of DynamoDB: tables, items, commits.
//! - [`sigv4`]: signed calls of AWS services for which no SDK is linked.
//! - [`api`]: the route table and one thin handler per route.
//! - [`admin`]: what operators do to tenants, keys and automation users, by command line or by the admin API.
//! - [`app`]: what every request shares: clock, profiles, identity providers' documents, log and metrics.
//! - [`worker`]: finishes what requests have committed and not carried out.
//! - [`limits`]: every bound, with its reason.
//! - `cli` (feature `local`): the command `rollcall`.
//! - `bin/lambda.rs` and `bin/rollcall.rs` only wire.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable
    )
)]
#![deny(missing_docs, unsafe_code, clippy::too_many_lines, clippy::excessive_nesting)]
// They panic where nobody reads: src/cli.rs has others.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod api;
pub mod app;
pub mod auth;
#[cfg(feature = "local")]
pub mod cli;
pub mod limits;
pub mod scim;
pub mod sigv4;
pub mod store;
pub mod tenant;
pub mod worker;
