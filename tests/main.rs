//! Every test that needs more than one module: the real handlers and the real SDK over an embedded engine.

#![allow(clippy::excessive_nesting, reason = "tables of cases are nested loops")]

mod access;
mod admin;
mod budget;
mod bulk;
mod bulk_bounds;
mod circles;
mod concurrency;
mod crash;
mod credentials;
mod differential;
mod doctor;
mod doors;
mod dry_run;
mod feed;
mod filters;
mod fuzz;
mod group_members;
mod groups;
mod guards;
mod hostile;
mod idp;
mod interleavings;
mod isolation;
mod key_life;
mod keys;
mod layers;
mod log;
mod one_process;
mod openapi;
mod paging;
mod profiles;
mod properties;
mod protection;
mod protocol;
mod search;
mod serve;
mod stale;
mod support;
mod sweep;
mod template;
mod token_endpoint;
mod tokens;
mod users;
mod wire;
