//! The interleavings of the other tests, alone: a change of them is compiled within a minute.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod interleavings;
#[expect(dead_code, reason = "the support is for all tests, and these are some of them")]
mod support;
