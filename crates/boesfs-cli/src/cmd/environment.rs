//! The command's environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Result, bail};

/// What a scrubbed environment keeps: what programs need to find their way, and nothing that secrets are handed over in.
const KEPT: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "TZ", "LANG"];

/// This process's own, as `NAME=VALUE`.
pub(super) fn inherited() -> Vec<OsString> {
    std::env::vars_os().map(|(name, value)| join(&name, &value)).collect()
}

/// This process's own, without what is neither ordinary nor in `keep`.
pub(super) fn scrubbed(keep: &[OsString]) -> Vec<OsString> {
    std::env::vars_os().filter(|(name, _)| is_kept(name, keep)).map(|(name, value)| join(&name, &value)).collect()
}

/// `env` with the variables of `set`, each `NAME=VALUE`, in place of older ones.
pub(super) fn with(mut env: Vec<OsString>, set: &[OsString]) -> Result<Vec<OsString>> {
    for entry in set {
        let bytes = entry.as_bytes();
        let Some(end) = bytes.iter().position(|byte| *byte == b'=').filter(|end| *end > 0) else {
            bail!("--set-env {}: write it as NAME=VALUE", entry.display());
        };
        env.retain(|other| !other.as_bytes().starts_with(&bytes[..=end]));
        env.push(entry.clone());
    }
    Ok(env)
}

fn is_kept(name: &OsStr, keep: &[OsString]) -> bool {
    KEPT.iter().any(|kept| *kept == name) || name.as_bytes().starts_with(b"LC_") || keep.iter().any(|kept| kept == name)
}

fn join(name: &OsStr, value: &OsStr) -> OsString {
    let mut entry = name.to_owned();
    entry.push("=");
    entry.push(value);
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces() {
        let env = with(vec!["A=1".into(), "AB=2".into()], &["A=3".into()]).expect("valid");
        assert_eq!(env, ["AB=2", "A=3"]);
        assert!(with(Vec::new(), &["=x".into()]).is_err());
        assert!(with(Vec::new(), &["x".into()]).is_err());
    }

    #[test]
    fn secrets_are_not_kept() {
        assert!(is_kept(OsStr::new("PATH"), &[]) && is_kept(OsStr::new("LC_ALL"), &[]));
        assert!(!is_kept(OsStr::new("AWS_SECRET_ACCESS_KEY"), &[]) && !is_kept(OsStr::new("LD_PRELOAD"), &[]));
        assert!(is_kept(OsStr::new("EDITOR"), &["EDITOR".into()]));
    }
}
