//! The conformance corpus: how a file below `tests/conformance/` is read. `tests/conformance/README.md` describes the format.

use std::path::{Path, PathBuf};

use boesfs_lang::cond::{Arg, Args};
use boesfs_lang::eval::{Cause, Verdict};
use boesfs_lang::ops::Op;
use boesfs_lang::policy::{Effect, Policy, Record, RuleId};
use boesfs_lang::subjects::ClassId;

/// One file of the corpus.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) policy: Policy,
    /// The objects that hooks find: none of the engines here looks at them.
    pub(crate) tree: Vec<Object>,
    pub(crate) requests: Vec<Expected>,
}

/// An object of the tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) path: Vec<Vec<u8>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File,
    Link(Vec<u8>),
}

/// A request, and what must be answered.
pub(crate) struct Expected {
    /// Line in the file, from 1.
    pub(crate) line: usize,
    pub(crate) subject: Subject,
    pub(crate) class: ClassId,
    pub(crate) op: Op,
    pub(crate) path: Vec<Vec<u8>>,
    pub(crate) args: Args,
    pub(crate) verdict: Verdict,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Whoever it is, these roles are active.
    Roles(Vec<String>),
    /// A process of this user and these groups, which runs this executable: no roles but theirs.
    Process { user: Option<u32>, groups: Vec<u32>, exe: Option<Vec<Vec<u8>>> },
}

/// Every file of the corpus, by name.
pub(crate) fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "case"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no case", folder.display());
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Case {
    let name = file.file_name().expect("a file has a name").to_string_lossy().into_owned();
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    parse(&name, &text).unwrap_or_else(|(line, error)| panic!("{name}:{line}: {error}"))
}

type Wrong = (usize, String);

/// Reads the text of a case.
pub(crate) fn parse(name: &str, text: &str) -> Result<Case, Wrong> {
    let mut sections: [Option<Vec<(usize, &str)>>; 3] = [None, None, None];
    let mut current = None;
    for (line, text) in (1..).zip(text.lines()) {
        if let Some(section) = text.strip_prefix("== ") {
            let section = ["policy", "tree", "requests"].iter().position(|known| *known == section);
            let section = section.ok_or((line, "an unknown section".into()))?;
            if sections[section].replace(Vec::new()).is_some() {
                return Err((line, "a section that stands twice".into()));
            }
            current = Some(section);
        } else if let Some(section) = current {
            sections[section].get_or_insert_default().push((line, text));
        } else if !text.is_empty() && !text.starts_with('#') {
            return Err((line, "text before the first section".into()));
        }
    }
    let [policy, tree, requests] = sections;
    let policy = policy.ok_or((0, "no policy".to_owned()))?;
    let first = policy.first().map_or(0, |(line, _)| *line);
    let source: String = policy.iter().map(|(_, text)| format!("{text}\n")).collect();
    let checked = boesfs_lang::check(&boesfs_lang::Input::new(name, &source));
    let policy = checked.map_err(|rejected| (first, rejected.to_string()))?.policy;
    let rules = Rules::new(&policy);

    let lines = |section: Option<Vec<(usize, &str)>>| {
        let lines = section.unwrap_or_default().into_iter().map(|(line, text)| (line, text.to_owned()));
        lines.filter(|(_, text)| !text.trim().is_empty() && !text.starts_with('#')).collect::<Vec<_>>()
    };
    let tree = lines(tree)
        .into_iter()
        .map(|(line, text)| object(&text).map_err(|error| (line, error)))
        .collect::<Result<Vec<_>, _>>()?;
    let requests = lines(requests)
        .into_iter()
        .map(|(line, text)| expected(&policy, &rules, line, &text).map_err(|error| (line, error)))
        .collect::<Result<Vec<_>, _>>()?;
    if requests.is_empty() {
        return Err((0, "no requests".into()));
    }
    if let Some(tag) = rules.unused(&requests) {
        return Err((first, format!("no request is decided by the rule marked @{tag}")));
    }
    Ok(Case { name: name.to_owned(), policy, tree, requests })
}

/// The rules by their mark: the comment `// @mark` behind the line that ends them.
struct Rules(Vec<(String, RuleId)>);

impl Rules {
    fn new(policy: &Policy) -> Rules {
        let file = &policy.sources.files()[0];
        let mark = |rule: &boesfs_lang::policy::Rule| {
            let end = file.text[rule.span.end as usize..].lines().next().unwrap_or_default();
            let (_, mark) = end.split_once("// @")?;
            Some(mark.split_whitespace().next().unwrap_or_default().to_owned())
        };
        let marked = policy.rules.iter().zip(0..).filter_map(|(rule, i)| Some((mark(rule)?, RuleId(i))));
        Rules(marked.collect())
    }

    fn get(&self, mark: &str) -> Result<RuleId, String> {
        let mut found = self.0.iter().filter(|(known, _)| known == mark).map(|(_, rule)| *rule);
        match (found.next(), found.next()) {
            (Some(rule), None) => Ok(rule),
            (Some(_), Some(_)) => Err(format!("two rules are marked @{mark}")),
            (None, _) => Err(format!("no rule is marked @{mark}")),
        }
    }

    fn unused(&self, requests: &[Expected]) -> Option<&str> {
        let decides = |rule| requests.iter().any(|request| request.verdict.cause == Cause::Rule(rule));
        self.0.iter().find(|(_, rule)| !decides(*rule)).map(|(mark, _)| mark.as_str())
    }
}

fn object(text: &str) -> Result<Object, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (kind, at) = match words.as_slice() {
        ["dir", at] => (Kind::Dir, at),
        ["file", at] => (Kind::File, at),
        ["link", at, "->", to] => (Kind::Link(bytes(to)?), at),
        _ => return Err("an object is `dir PATH`, `file PATH` or `link PATH -> TARGET`".into()),
    };
    Ok(Object { kind, path: path(at)? })
}

fn expected(policy: &Policy, rules: &Rules, line: usize, text: &str) -> Result<Expected, String> {
    let (request, answer) = text.rsplit_once(" -> ").ok_or("no ` -> `")?;
    let (subject, request) = match request.strip_prefix("as ") {
        Some(rest) => rest.split_once(": ").ok_or("no `: ` behind the subject")?,
        None => ("", request),
    };
    let mut words = request.split_whitespace();
    let op = words.next().and_then(Op::from_name).ok_or("no operation")?;
    let path = path(words.next().ok_or("no path")?)?;
    let mut args = Args::default();
    for word in words {
        let (name, value) = word.split_once('=').ok_or(format!("`{word}` is no argument"))?;
        let arg = Arg::from_name(name).ok_or(format!("`{name}` is no argument"))?;
        if !op.carries(arg) {
            return Err(format!("`{op}` carries no `{name}`"));
        }
        args = args.with(arg, number(value)?);
    }
    let subject = self::subject(subject)?;
    let class = class(policy, &subject)?;
    Ok(Expected { line, subject, class, op, path, args, verdict: verdict(rules, answer)? })
}

fn number(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0o") {
        Some(octal) => u64::from_str_radix(octal, 8),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("`{text}`: {error}"))
}

fn subject(text: &str) -> Result<Subject, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.as_chunks::<2>().0;
    let of = |kind: &str| -> Vec<&str> { pairs.iter().filter(|pair| pair[0] == kind).map(|pair| pair[1]).collect() };
    let ids = |kind: &str| {
        let id = |value: &str| value.parse().map_err(|_| format!("`{value}` is no number"));
        of(kind).into_iter().map(id).collect::<Result<Vec<u32>, String>>()
    };
    match words.as_slice() {
        [names] => Ok(Subject::Roles(names.split(',').map(str::to_owned).collect())),
        _ if words.len() == 2 * pairs.len() && pairs.iter().all(|[k, _]| ["user", "group", "exe"].contains(k)) => {
            let exe = of("exe").first().copied().map(path).transpose()?;
            Ok(Subject::Process { user: ids("user")?.first().copied(), groups: ids("group")?, exe })
        }
        _ => Err("a subject is `ROLE,ROLE` or `user N group N exe PATH`".into()),
    }
}

fn class(policy: &Policy, subject: &Subject) -> Result<ClassId, String> {
    let subjects = &policy.subjects;
    let roles = match subject {
        Subject::Roles(names) => names
            .iter()
            .map(|name| subjects.role_by_name(name).ok_or(format!("no role `{name}`")))
            .collect::<Result<Vec<_>, _>>()?,
        Subject::Process { user, groups, exe } => {
            let exe: Option<Vec<&[u8]>> = exe.as_ref().map(|exe| exe.iter().map(Vec::as_slice).collect());
            subjects.roles_of(*user, groups, exe.as_deref())
        }
    };
    subjects.class_of(&roles).ok_or_else(|| "nobody may have these roles at once".into())
}

fn verdict(rules: &Rules, text: &str) -> Result<Verdict, String> {
    let (record, text) = match text.split_once(' ') {
        Some(("audit", rest)) => (Record::Audit, rest),
        Some(("quiet", rest)) => (Record::Quiet, rest),
        _ => (Record::Refusals, text),
    };
    let (effect, cause) = text.split_once(' ').ok_or("an answer is an effect and a cause")?;
    let effect = [Effect::Allow, Effect::Deny, Effect::Hide, Effect::Kill].into_iter().find(|e| e.name() == effect);
    let cause = match cause.trim() {
        "default" => Cause::Default,
        "not-granted" => Cause::NotGranted,
        mark => {
            Cause::Rule(rules.get(mark.strip_prefix('@').ok_or("a cause is `@MARK`, `default` or `not-granted`")?)?)
        }
    };
    Ok(Verdict { effect: effect.ok_or("an unknown effect")?, record, cause })
}

fn path(text: &str) -> Result<Vec<Vec<u8>>, String> {
    let bytes = bytes(text)?;
    let mut components = Vec::new();
    boesfs_runtime::engine::components(&bytes, &mut components).map_err(|error| error.to_string())?;
    Ok(components.into_iter().map(<[u8]>::to_vec).collect())
}

/// Bytes with escapes: `\xNN`, `\\`, and `\{N:TEXT}`, which is TEXT N times.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.extend(plain.bytes());
        rest = if let Some(rest) = escape.strip_prefix('\\') {
            out.push(b'\\');
            rest
        } else if let Some(hex) = escape.strip_prefix('x') {
            let (digits, rest) = hex.split_at_checked(2).ok_or("`\\x` needs two digits")?;
            out.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
            rest
        } else if let Some(repeat) = escape.strip_prefix('{') {
            let (inner, rest) = repeat.split_once('}').ok_or("`\\{` without `}`")?;
            let (times, inner) = inner.split_once(':').ok_or("`\\{` without `:`")?;
            let times: usize = times.parse().map_err(|_| format!("`{times}` is no number"))?;
            out.extend(bytes(inner)?.repeat(times));
            rest
        } else {
            return Err("escapes are `\\xNN`, `\\\\` and `\\{N:TEXT}`".into());
        };
    }
    out.extend(rest.bytes());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> String {
        match parse("x.case", text) {
            Ok(_) => panic!("no error"),
            Err((line, error)) => format!("{line}: {error}"),
        }
    }

    #[test]
    fn mistakes_are_found() {
        let policy = "== policy\ndefault deny;\nallow read on \"/a\"; // @a\n== requests\n";
        let with = |request: &str| wrong(&format!("{policy}read /a -> allow @a\n{request}"));
        assert_eq!(with("read /a allow @a"), "6: no ` -> `");
        assert_eq!(with("raed /a -> allow @a"), "6: no operation");
        assert_eq!(with("read a -> allow @a"), "6: the path is not absolute");
        assert_eq!(with("read /a size -> allow @a"), "6: `size` is no argument");
        assert_eq!(with("stat /a size=1 -> allow @a"), "6: `stat` carries no `size`");
        assert_eq!(with("read /a -> allow @b"), "6: no rule is marked @b");
        assert_eq!(with("as x: read /a -> allow @a"), "6: no role `x`");
        assert_eq!(wrong("== polcy\n"), "1: an unknown section");
        assert_eq!(wrong(policy), "0: no requests");
        assert!(
            wrong(&format!("{policy}read /b -> deny default")).contains("no request is decided by the rule marked @a")
        );
        assert!(wrong("== policy\ndefault maybe;\n== requests\n").starts_with("2: error"));
    }

    #[test]
    fn escapes() {
        assert_eq!(bytes(r"/a\x20\\\{3:/d}\{2:\xff}"), Ok(b"/a \\/d/d/d\xff\xff".to_vec()));
        assert!(bytes(r"\q").is_err());
    }
}
