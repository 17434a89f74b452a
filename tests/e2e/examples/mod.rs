//! Each example does the work it is for, and refuses what it is against.

mod agent;
mod build;
mod function;
mod ledger;
mod ordinary_user;
mod readme;
mod web;
