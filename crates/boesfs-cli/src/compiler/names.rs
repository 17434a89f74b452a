//! Numbers of user and group names: from a file, from this machine, or not at all.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use boesfs_lang::check::Names;

use crate::load::SystemNames;

/// Where numbers of names come from. The file goes before the machine.
#[derive(Debug, Default)]
pub struct Mapping {
    users: BTreeMap<String, u32>,
    groups: BTreeMap<String, u32>,
    system: Option<SystemNames>,
}

impl Mapping {
    /// Names of the file `users`, and of this machine if `system_users`.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it makes no sense.
    pub fn new(users: Option<&Path>, system_users: bool) -> Result<Mapping> {
        let mut mapping = match users {
            Some(path) => {
                let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
                Mapping::parse(&text).with_context(|| path.display().to_string())?
            }
            None => Mapping::default(),
        };
        mapping.system = system_users.then_some(SystemNames);
        Ok(mapping)
    }

    /// Lines of `user NAME ID` or `group NAME ID`; empty ones and those that begin with `#` say nothing.
    fn parse(text: &str) -> Result<Mapping> {
        let mut mapping = Mapping::default();
        for (line, number) in text.lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (table, name, id) = match words.as_slice() {
                ["user", name, id] => (&mut mapping.users, name, id),
                ["group", name, id] => (&mut mapping.groups, name, id),
                _ => bail!("line {number}: expected `user NAME NUMBER` or `group NAME NUMBER`"),
            };
            let Ok(id) = id.parse() else { bail!("line {number}: `{id}` is no user or group id") };
            if table.insert((*name).to_owned(), id).is_some_and(|before| before != id) {
                bail!("line {number}: `{name}` has another number above");
            }
        }
        Ok(mapping)
    }
}

impl Names for Mapping {
    fn user(&self, name: &str) -> Option<u32> {
        self.users.get(name).copied().or_else(|| self.system.and_then(|system| system.user(name)))
    }

    fn group(&self, name: &str) -> Option<u32> {
        self.groups.get(name).copied().or_else(|| self.system.and_then(|system| system.group(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_lines_of_kind_name_number() {
        let mapping = Mapping::parse("# people\nuser alice 1000\n\n group  www-data 33\n").expect("a mapping");
        assert_eq!((mapping.user("alice"), mapping.user("www-data")), (Some(1000), None));
        assert_eq!(mapping.group("www-data"), Some(33));
        for bad in ["alice 1000", "user alice", "user alice x", "user a 1\nuser a 2", "user a -1"] {
            assert!(Mapping::parse(bad).is_err(), "{bad}");
        }
    }
}
