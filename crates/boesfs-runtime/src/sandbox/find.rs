//! Where a command's program may be, as execvp(3) looks for it.

use std::ffi::{CStr, CString};

/// `PATH` where the environment has none.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

/// The files to try, in order.
pub(super) fn candidates(program: &CStr, env: &[CString]) -> Vec<CString> {
    let name = program.to_bytes();
    if name.contains(&b'/') {
        return vec![program.to_owned()];
    }
    if name.is_empty() {
        return Vec::new();
    }
    let path = env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(|byte| *byte == b':')
        .filter_map(|dir| {
            let dir = if dir.is_empty() { b"." } else { dir };
            // Made of parts without NUL.
            CString::new([dir, b"/", name].concat()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_execvp() {
        let env = [c"A=1".to_owned(), c"PATH=/x::/y".to_owned()];
        assert_eq!(candidates(c"ls", &env), [c"/x/ls".to_owned(), c"./ls".to_owned(), c"/y/ls".to_owned()]);
        assert_eq!(candidates(c"./ls", &env), [c"./ls".to_owned()]);
        assert!(candidates(c"", &env).is_empty());
    }
}
