//! The interleavings of the other tests, alone: a change of them is compiled within a minute.

#![allow(dead_code, reason = "the support is for all tests")]

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod interleavings;
mod support;
