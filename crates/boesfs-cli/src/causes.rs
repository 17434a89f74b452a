//! Errors for people.

use std::error::Error;

/// What an error says, and its causes, each once: some errors end with their cause by themselves.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !said.ends_with(&text) {
            said = format!("{said}: {text}");
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read it: {source}")]
    struct Tells {
        source: io::Error,
    }

    #[test]
    fn a_cause_is_told_once() {
        let end = || io::Error::other("the disk is gone");
        let told = anyhow::Error::new(Tells { source: end() }).context("cannot start");
        assert_eq!(with_causes(told.as_ref()), "cannot start: cannot read it: the disk is gone");
        let untold = Err::<(), _>(end()).context("cannot read it").context("cannot start").expect_err("it is one");
        assert_eq!(with_causes(untold.as_ref()), "cannot start: cannot read it: the disk is gone");
    }
}
