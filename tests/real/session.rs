//! One start of the sandbox for many attempts: the policy at as many sites, the trees, the run, the audit stream.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::object::build;
use boesfs_codegen::pack::compile;
use boesfs_codegen::tables::Packed;
use boesfs_lang::ops::{Op, Ops};
use boesfs_lang::pattern::{Component, Extent, Pattern};
use boesfs_lang::policy::{Effect, Policy, Record, Rule};
use boesfs_runtime::hook::Hook;
use serde::Deserialize;

use crate::actor::{self, Outcome};
use crate::case::Case;
use crate::plan::{Attempt, Session};
use crate::site::{Ground, Wanted, make};

/// The `boesfs` under test.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("BOESFS").map_or_else(|| env!("CARGO_BIN_EXE_boesfs").into(), PathBuf::from)
}

/// The path in the stream of a file that no name leads to.
const UNNAMED: &str = "/(unnamed)";
/// What a record has in the place of names that the kernel had no room for: the last ones, or those before. Which site it is of cannot
/// be seen.
const CUT: &str = "...";
/// Paths that are longer may have such records.
const LONGEST: usize = 4096;
/// So many directories the LSM hook goes up to the root of a mount: what is deeper is refused (docs/lsm.md).
const DEEPEST: usize = 128;

/// Whether a record of a path that was cut.
pub(crate) fn is_cut(line: &Line) -> bool {
    line.path.split('/').any(|name| name == CUT)
}

/// Whether a path is longer than every record has it.
pub(crate) fn is_long(hook: Hook, path: &[Vec<u8>]) -> bool {
    is_too_deep(hook, path) || path.iter().map(|name| name.len() + 1).sum::<usize>() > LONGEST
}

/// Whether the hook may refuse what has this path since it is too deep. The names of the mount, which do not count, are few.
pub(crate) fn is_too_deep(hook: Hook, path: &[Vec<u8>]) -> bool {
    hook == Hook::Lsm && path.len() > DEEPEST
}

/// What the hook says of that in the end.
const TOO_DEEP: &str = "requests were refused: deeper below their mount than 128 directories";

/// A line of the audit stream.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Line {
    pub(crate) op: String,
    pub(crate) path: String,
    pub(crate) effect: String,
    pub(crate) audit: bool,
    pub(crate) cause: String,
    pub(crate) rule: Option<Place>,
    pub(crate) lost: u64,
}

/// The rule of a line.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Place {
    pub(crate) id: u32,
}

/// What came of a batch of attempts: of all of them under the policy as it is, then of all of them under the one that records.
pub(crate) struct Batch {
    /// The policy that ran, as far as it speaks of the site of each attempt: no other's patterns match there, and with all of them
    /// the definition takes much longer to answer.
    pub(crate) policies: Vec<Policy>,
    pub(crate) packed: Packed,
    /// The components of each attempt's site.
    pub(crate) sites: Vec<Vec<Vec<u8>>>,
    /// How each ended without a policy, and under it.
    pub(crate) native: Vec<Outcome>,
    pub(crate) guarded: Vec<Outcome>,
    /// What the stream says of each.
    pub(crate) audit: Vec<Vec<Line>>,
    /// Refusals of the stream that are of no attempt's making.
    pub(crate) strays: Vec<String>,
    /// What took how long.
    pub(crate) took: Vec<(&'static str, Duration)>,
}

/// Measures one part after the other.
struct Watch(Instant, Vec<(&'static str, Duration)>);

impl Watch {
    /// What has been done since the last part.
    fn part(&mut self, name: &'static str) {
        self.1.push((name, self.0.elapsed()));
        self.0 = Instant::now();
    }
}

/// Runs attempts of one session, each at two sites of its own in one sandbox: at one the policy is as it is written, at the other it
/// records what it allows, too.
pub(crate) fn run(hook: Hook, case: &Case, policy: &Policy, attempts: &[Attempt]) -> Batch {
    let mut watch = Watch(Instant::now(), Vec::new());
    let ground = Ground::new();
    let program = ground.path().join("actor");
    std::fs::copy(actor::program(), &program).expect("copy the actor");
    let executed: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, executed).expect("chmod");
    let twice: Vec<&Attempt> = attempts.iter().chain(attempts).collect();
    let sites = |tree: &str, count| (0..count).map(|i| ground.site(tree, i)).collect::<Vec<_>>();
    let (guarded_sites, native_sites) = (sites("s", twice.len()), sites("n", attempts.len()));
    let guarded = twice.iter().copied().enumerate().map(|(i, attempt)| ("s", i, attempt));
    let native = attempts.iter().enumerate().map(|(i, attempt)| ("n", i, attempt));
    for (tree, number, attempt) in guarded.chain(native) {
        let site = ground.path().join(tree).join(number.to_string());
        let wanted = Wanted {
            tree: &case.tree,
            path: &case.requests[attempt.request].path,
            at: attempt.at,
            other: attempt.way.other,
            size: attempt.before,
            owner: (attempt.owner, attempt.gid),
            program: &program,
            exe: attempt.exe.as_deref(),
        };
        make(&site, &wanted);
    }
    watch.part("trees");
    let (plain, recorded) = guarded_sites.split_at(attempts.len());
    let recording = recording(policy.clone());
    let policies = guarded_sites.iter().zip(&twice).enumerate().map(|(i, (site, attempt))| {
        let of = if i < attempts.len() { policy } else { &recording };
        let leave = leave(&program, [*attempt].into_iter().zip([site]));
        with(at_sites(of, std::slice::from_ref(site)), Vec::new(), leave)
    });
    let policies: Vec<Policy> = policies.collect();
    let rules = policy.rules.len() as u32;
    let leave = leave(&program, twice.iter().copied().zip(&guarded_sites));
    let mut policy = at_sites(policy, plain);
    let more = at_sites(&recording, recorded);
    policy.subjects.exes.extend(more.subjects.exes);
    let policy = with(policy, more.rules, leave);
    let packed = compile(&policy, &Limits::default()).unwrap_or_else(|big| panic!("{}: {big:?}", case.name));
    let object = ground.path().join("policy.o");
    std::fs::write(&object, build(&policy, &packed).expect("an object")).expect("write the object");
    watch.part("compiling");

    let lines = |attempts: &[&Attempt], sites: &[Vec<Vec<u8>>]| -> String {
        let of = |(i, attempt): (usize, &&Attempt)| attempt.line(i, &sites[i], &case.requests[attempt.request].path);
        attempts.iter().enumerate().map(of).collect()
    };
    let mut control = Command::new(&program);
    control.arg("--native").current_dir("/");
    let (once, _) = actor::run(control, &lines(&twice[..attempts.len()], &native_sites), attempts.len());
    let native = [once.as_slice(), &once].concat();
    watch.part("natively");
    let mut sandbox = exec(hook, &attempts[0].session);
    // A pipe, since no command may change a file with its own stream, and some of these policies allow everything.
    sandbox.args(["--audit", "/proc/self/fd/2"]).arg(&object).arg("--").arg(&program).current_dir("/");
    let (guarded, stream) = actor::run(sandbox, &lines(&twice, &guarded_sites), twice.len());
    watch.part("in sandboxes");
    let long: Vec<usize> = (0..twice.len())
        .filter(|i| {
            let path = guarded_sites[*i].iter().chain(&case.requests[twice[*i].request].path);
            is_long(hook, &path.cloned().collect::<Vec<_>>())
        })
        .collect();
    let (mut audit, strays) = read(&stream, &ground, twice.len(), &long);
    for (site, lines) in audit.iter_mut().enumerate() {
        for place in lines.iter_mut().filter_map(|line| line.rule.as_mut()) {
            place.id = at_site(place.id, rules, site >= attempts.len());
        }
    }
    watch.part("reading records");
    Batch { policies, packed, sites: guarded_sites, native, guarded, audit, strays, took: watch.1 }
}

/// The number that a rule of both policies together has in that of one site. `rules` is how many one of them has.
fn at_site(rule: u32, rules: u32, is_recording: bool) -> u32 {
    let of_other = u32::MAX;
    match (rule, is_recording) {
        (rule, _) if rule == 2 * rules => rules,
        (rule, true) => rule.checked_sub(rules).unwrap_or(of_other),
        (rule, false) if rule < rules => rule,
        _ => of_other,
    }
}

/// The same policy, with what it allows recorded: so that the rule that allows is seen, too.
fn recording(mut policy: Policy) -> Policy {
    for rule in policy.rules.iter_mut().filter(|rule| rule.effect == Effect::Allow) {
        rule.record = Record::Audit;
    }
    policy
}

/// `boesfs exec`, up to the policy.
pub(crate) fn exec(hook: Hook, session: &Session) -> Command {
    let mut command = Command::new(binary());
    command.args(["exec", "--quiet", "--no-native", "--hook", hook.name()]);
    match session {
        Session::Roles(roles) => drop(command.args(roles.iter().flat_map(|role| ["--role", role]))),
        Session::Users => drop(command.args(["--cap", "setuid,setgid"])),
        Session::Caller => {}
    }
    command
}

/// The stream, by attempt, and the refusals that belong to none.
///
/// What may be of each of the attempts `long`, since its path is cut, is given to all of them.
fn read(stream: &str, ground: &Ground, count: usize, long: &[usize]) -> (Vec<Vec<Line>>, Vec<String>) {
    let (mut lines, mut strays) = (vec![Vec::new(); count], Vec::new());
    let prefix = format!("{}/", ground.path().join("s").display());
    for text in stream.lines() {
        // Not a record: what was refused without a verdict, and counted.
        if text.starts_with("boesfs: ") {
            if !long.is_empty() && text.ends_with(TOO_DEEP) {
                continue;
            }
            strays.push(text.to_owned());
            continue;
        }
        let mut line: Line = serde_json::from_str(text).unwrap_or_else(|error| panic!("not a record: {text}: {error}"));
        assert_eq!(line.lost, 0, "the stream has lost records");
        // The kernel's own name for a file without one, by its inode.
        if let Some((folder, number)) = line.path.rsplit_once("/#")
            && number.parse::<u64>().is_ok()
        {
            line.path = format!("{folder}/#tmpfile");
        }
        let site = line.path.strip_prefix(&prefix).and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
        match site {
            Some(site) => lines[site].push(line),
            None if !long.is_empty() && is_cut(&line) => {
                long.iter().for_each(|attempt| lines[*attempt].push(line.clone()));
            }
            // A file without a name is of some attempt's, and nothing says which.
            None if line.effect == "allow" || line.path == UNNAMED => {}
            // A watch by fanotify asks for the statistics of the file system's root as well.
            None if line.op == "statfs" && ground.path().starts_with(&line.path) => {}
            None => strays.push(text.to_owned()),
        }
    }
    (lines, strays)
}

/// The policy, said of every site in place of the root.
///
/// A pattern becomes one for each site, all of one rule: ranks grow alike.
fn at_sites(policy: &Policy, sites: &[Vec<Vec<u8>>]) -> Policy {
    let mut policy = policy.clone();
    let prefixed = |site: &[Vec<u8>], pattern: &Pattern| {
        let prefix = site.iter().cloned().map(Component::Literal);
        Pattern { components: prefix.chain(pattern.components.iter().cloned()).collect(), extent: pattern.extent }
    };
    let everywhere =
        |patterns: &[Pattern]| sites.iter().flat_map(|site| patterns.iter().map(|p| prefixed(site, p))).collect();
    for rule in &mut policy.rules {
        rule.patterns = everywhere(&rule.patterns);
        rule.except = everywhere(&rule.except);
        rule.pattern_spans = rule.pattern_spans.iter().copied().cycle().take(rule.patterns.len()).collect();
    }
    let exes = std::mem::take(&mut policy.subjects.exes);
    for (site, exe) in sites.iter().flat_map(|site| exes.iter().map(move |exe| (site, exe))) {
        let mut exe = exe.clone();
        exe.subject = site.iter().cloned().chain(exe.subject).collect();
        policy.subjects.exes.push(exe);
    }
    policy
}

/// What the actor is by: itself, and the executables of these attempts at their sites.
fn leave<'a>(program: &Path, attempts: impl Iterator<Item = (&'a Attempt, &'a Vec<Vec<u8>>)>) -> Vec<Pattern> {
    let object = |path: Vec<Vec<u8>>| Pattern {
        components: path.into_iter().map(Component::Literal).collect(),
        extent: Extent::Object,
    };
    let components = |path: &Path| -> Vec<Vec<u8>> {
        use std::os::unix::ffi::OsStrExt;
        path.components().skip(1).map(|part| part.as_os_str().as_bytes().to_vec()).collect()
    };
    let entered = attempts.filter_map(|(attempt, site)| Some((attempt.exe.as_ref()?, site)));
    let mut patterns = vec![object(components(program))];
    patterns.extend(entered.map(|(exe, site)| object(site.iter().chain(exe).cloned().collect())));
    patterns
}

/// The policy with `more` rules, and a last one: leave to run what these patterns say.
fn with(mut policy: Policy, more: Vec<Rule>, leave: Vec<Pattern>) -> Policy {
    policy.rules.extend(more);
    let span = policy.rules.first().map_or_else(|| panic!("a policy without rules"), |rule| rule.span);
    let ops = Ops::of(&[Op::Exec, Op::Read, Op::Map]);
    policy.rules.push(Rule {
        effect: Effect::Allow,
        record: Record::Refusals,
        ops,
        named: ops,
        role: None,
        pattern_spans: vec![span; leave.len()],
        patterns: leave,
        except: Vec::new(),
        when: None,
        span,
        when_span: None,
    });
    policy
}

/// Attempts by session, in batches of at most `size`.
pub(crate) fn batches(attempts: Vec<Attempt>, size: usize) -> Vec<Vec<Attempt>> {
    let mut sessions: BTreeMap<Session, Vec<Attempt>> = BTreeMap::new();
    for attempt in attempts {
        sessions.entry(attempt.session.clone()).or_default().push(attempt);
    }
    sessions.into_values().flat_map(|all| all.chunks(size).map(<[Attempt]>::to_vec).collect::<Vec<_>>()).collect()
}
