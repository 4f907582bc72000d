//! Whatever a file or a command line holds: no panic, no hang, no memory beyond what docs/limits.md states,
//! and an error of one line.
//!
//! Inputs are made from good ones by a few changes, which proptest draws and, where an input fails, makes fewer.
//! The number of an input decides all of it. `MEMTORCH_FUZZ` says how many inputs each format gets,
//! `MEMTORCH_FUZZ_FROM` the number of the first.

#![allow(unreachable_pub, reason = "modules use each other's parts")]

mod allocator;
mod arguments;
mod arrays;
mod bytes;
#[path = "../common/mod.rs"]
mod common;
mod data_sets;
mod experiments;
mod found;
mod harness;
mod networks;
mod saved;
mod text;

#[global_allocator]
static MEMORY: allocator::Counting = allocator::Counting;
