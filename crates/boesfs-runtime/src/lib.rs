//! Runs programs under a BoesFS policy.
