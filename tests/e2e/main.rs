//! End to end: real programs under the shipped policies, by the shipped commands.
//!
//! [`bypass`] runs the known ways around sandboxes, [`examples`] the work that each example is for.
//! Whatever a test needs and does not find is a failure: nothing is skipped.

mod bypass;
mod examples;
mod rig;
