//! What the tests stand on: places, policies for them, and runs of `boesfs exec`.

mod audit;
mod build;
mod run;
mod site;

pub(crate) use audit::records;
pub(crate) use build::program;
pub(crate) use run::{Run, Sandbox, boesfs, boesfsc, hook, native};
pub(crate) use site::{Site, example_text, repository};
