//! The agent: starts the sandbox, serves its file system, passes signals on, and ends with the command's status.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait, waitpid};

use super::channel::{self, Report};
use super::children::{self, Inherited};
use super::error::{SetupError, Step};
use super::layer::{Layer, Members};
use super::plan::Plan;
use super::privileges;
use super::reload::Asked;
use super::seccomp::Filter;
use super::sys::{self, Disposition, Fork, Lineage, Received, SignalSet, Target};
use super::terminal::Terminal;

/// The signals that the agent takes itself.
const TAKEN: [i32; 12] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTSTP,
    libc::SIGTTOU,
    libc::SIGWINCH,
];

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// By SIGINT while it had the terminal: whoever waits for the agent is to be interrupted as well.
    Interrupted,
}

/// Why there is no command that ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The sandbox could not be set up; nothing ran.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The sandbox was there, but the command could not be executed in it.
    #[error("cannot execute the command")]
    NotExecuted(#[source] io::Error),
}

/// Runs `plan`: sets the sandbox up, runs the command in it, and waits until every process in it has ended.
///
/// `layer` is what the hook does for it; what it holds is to be dropped after this returns, not before. `note` gets what people may want to know.
///
/// The calling process must have one thread until then; the calling thread must be the one that lives longest. It blocks the same signals as
/// before when this returns, and SIGHUP: who saw an agent here a moment ago may still ask it something with that, which is to end nobody.
///
/// # Errors
/// [`RunError`]; in both cases nothing of the workload is left.
pub fn run(plan: &Plan, layer: &mut dyn Layer, note: &mut dyn FnMut(&str)) -> Result<Ended, RunError> {
    refuse_directories()?;
    let filter = Filter::of(plan)?;
    // Where the caller ignores it, children would be reaped before anyone could ask how they ended.
    sys::set_disposition(libc::SIGCHLD, Disposition::Default);
    let taken = SignalSet::of(&TAKEN);
    let signals = taken.block();
    let incoming = taken.descriptor().step("watch for signals")?;
    let terminal = Terminal::open();
    let (channel, theirs) = channel::pair().step("make a socket pair")?;

    let gate = if layer.guards() { Some(pipe_with(PipeFlags::CLOEXEC).step("make a pipe")?) } else { None };
    let (waits, opens) = gate.unzip();

    let setup = match sys::fork(Lineage::Child).step("start a process")? {
        Fork::Child => {
            drop((channel, opens));
            let gate = waits.as_ref();
            children::setup(&Inherited {
                plan,
                filter: filter.as_ref(),
                channel: &theirs,
                gate,
                terminal: &terminal,
                signals,
            })
        }
        Fork::Parent(pid) => pid,
    };
    drop((theirs, waits));
    let limited = privileges::limit_agent(plan.keep);
    let mut agent = Agent {
        channel,
        terminal,
        layer,
        gate: opens,
        setup: Some(setup),
        init: None,
        workload: None,
        is_ready: false,
        failure: limited.err().map(RunError::from),
        ended: None,
    };
    if agent.failure.is_none() {
        let prepared = agent.layer.prepare();
        agent.failure = prepared.err().map(|error| SetupError::new("make the policy ready", error).into());
    }
    let result = agent.supervise(&incoming, note);
    agent.end_all();
    agent.terminal.take_back();
    // The rest comes too late for a command that has ended; a question gets an answer.
    while let Some(received) = sys::next_signal(&incoming) {
        if let Some(asked) = Asked::with(received) {
            asked.answer(&Err("the command has ended".to_owned()));
        }
    }
    signals.with(libc::SIGHUP).set();
    result
}

struct Agent<'a> {
    channel: OwnedFd,
    terminal: Terminal,
    layer: &'a mut dyn Layer,
    /// Lets the command's process go on; closed, it fails.
    gate: Option<OwnedFd>,
    setup: Option<Pid>,
    init: Option<Pid>,
    workload: Option<Pid>,
    is_ready: bool,
    failure: Option<RunError>,
    ended: Option<Ended>,
}

impl Agent<'_> {
    /// Until the command has ended, or can no longer be started.
    fn supervise(&mut self, incoming: &OwnedFd, note: &mut dyn FnMut(&str)) -> Result<Ended, RunError> {
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let mut fds =
                [PollFd::new(&self.channel, PollFlags::IN), PollFd::from_borrowed_fd(incoming.as_fd(), PollFlags::IN)];
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(SetupError::new("wait for the sandbox", error).into()),
            }
            while let Some(received) = sys::next_signal(incoming) {
                self.take_signal(received, note);
            }
            // After the children were looked at: what they said before they ended is there by now.
            self.hear(note);
            if let (Some(ended), None) = (self.ended, &self.failure) {
                return Ok(ended);
            }
        }
    }

    /// Takes the reports that wait.
    fn hear(&mut self, note: &mut dyn FnMut(&str)) {
        loop {
            let failure = match channel::receive(&self.channel, RecvFlags::DONTWAIT) {
                Ok(None) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => SetupError::new("hear from the sandbox", error).into(),
                Ok(Some(Report::Mounted(device))) => match self.layer.serve(device) {
                    Ok(()) => continue,
                    Err(error) => SetupError::new("serve the file system", error).into(),
                },
                Ok(Some(Report::Ready)) => {
                    self.is_ready = true;
                    match self.guard() {
                        Ok(()) => continue,
                        Err(error) => SetupError::new("put the sandbox under guard", error).into(),
                    }
                }
                Ok(Some(Report::Init(pid))) => {
                    self.init = Some(pid);
                    continue;
                }
                Ok(Some(Report::Workload(pid))) => {
                    self.workload = Some(pid);
                    // It may have ended already, unknown as it was.
                    self.reap();
                    match self.guard() {
                        Ok(()) => continue,
                        Err(error) => SetupError::new("put the sandbox under guard", error).into(),
                    }
                }
                Ok(Some(Report::Failed { step, errno })) => {
                    let (step, help) = match step.split_once('\n') {
                        Some((step, help)) => (step.to_owned(), Some(help.to_owned())),
                        None => (step, None),
                    };
                    let source = io::Error::from_raw_os_error(errno);
                    SetupError { step, source, help }.into()
                }
                Ok(Some(Report::NotExecuted { errno })) => RunError::NotExecuted(io::Error::from_raw_os_error(errno)),
                Ok(Some(Report::Note(text))) => {
                    note(&text);
                    continue;
                }
            };
            // The first failure is the cause of those that follow.
            self.failure.get_or_insert(failure);
        }
    }

    /// Puts the sandbox under guard, once it is ready and both processes are known, and lets the command's process go on.
    fn guard(&mut self) -> io::Result<()> {
        let (true, Some(init), Some(workload)) = (self.is_ready, self.init, self.workload) else { return Ok(()) };
        let Some(gate) = self.gate.take() else { return Ok(()) };
        self.layer.guard(Members { init, workload })?;
        // One that has ended meanwhile is found by its end.
        let _ = rustix::io::write(&gate, b"g");
        Ok(())
    }

    fn take_signal(&mut self, received: Received, note: &mut dyn FnMut(&str)) {
        if let Some(asked) = Asked::with(received) {
            let result = self.layer.reload();
            note(result.as_ref().map_or_else(|kept| kept.as_str(), |done| done.as_str()));
            asked.answer(&result);
            return;
        }
        let Received { signal, by_kernel, .. } = received;
        match signal {
            libc::SIGCHLD => self.reap(),
            libc::SIGCONT => {
                if let Some(workload) = self.workload {
                    self.terminal.resume(workload);
                }
            }
            libc::SIGTTOU => {}
            _ => self.pass_on(signal, by_kernel),
        }
    }

    /// Gives the workload a signal that the agent got: its whole group, where a terminal sent it.
    fn pass_on(&mut self, signal: i32, by_kernel: bool) {
        let Some(workload) = self.workload else {
            if matches!(signal, libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT) {
                // Nothing runs yet: end as the command would have.
                self.ended = Some(Ended::Signaled(signal));
            }
            return;
        };
        let sent =
            if by_kernel { sys::send(Target::Group(workload), signal) } else { Err(io::ErrorKind::Other.into()) };
        if sent.is_err() {
            // Not a group leader yet, or any more; one that has ended is about to be reaped.
            let _ = sys::send(Target::Process(workload), signal);
        }
    }

    /// Looks at which children ended or stopped.
    fn reap(&mut self) {
        if let Some(status) = ended(self.setup) {
            self.setup = None;
            if status.exit_status() != Some(0) {
                self.fail("set the sandbox up");
            }
        }
        while let Some(workload) = self.workload {
            match waitpid(Some(workload), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((_, status))) => match status.stopping_signal() {
                    Some(signal) => self.terminal.workload_stopped(workload, signal),
                    None => {
                        self.workload = None;
                        self.ended = Some(how(status, self.terminal.is_lent()));
                    }
                },
                Err(Errno::INTR) => {}
                Ok(None) | Err(_) => break,
            }
        }
        if self.ended.is_none() && !self.layer.stands() {
            self.fail("keep the sandbox under guard");
        }
        if ended(self.init).is_some() {
            self.init = None;
            if self.ended.is_none() {
                self.fail("keep the sandbox's init process");
            }
        }
    }

    /// A child failed. If it said why, that is already on its way, and is heard first.
    fn fail(&mut self, step: &str) {
        self.hear(&mut |_| {});
        let ended = io::Error::other("the process ended early");
        self.failure.get_or_insert_with(|| SetupError::new(step, ended).into());
    }

    /// Kills what is left, and waits until it is gone. With init, the kernel kills all of its pid namespace.
    fn end_all(&mut self) {
        for pid in [self.init, self.workload, self.setup].into_iter().flatten() {
            // These are unreaped children: the ids are theirs.
            let _ = sys::send(Target::Process(pid), libc::SIGKILL);
        }
        // Any child is reaped, not these alone: init ends once everything in its pid namespace has been reaped, by whomever.
        // Other children, of whoever this process was before it became the agent, are not waited for.
        let mut left: Vec<Pid> = [self.workload, self.init, self.setup].into_iter().flatten().collect();
        while !left.is_empty() {
            match wait(WaitOptions::empty()) {
                Ok(Some((pid, _))) => left.retain(|known| *known != pid),
                Ok(None) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

/// How child `pid` ended, if it did.
fn ended(pid: Option<Pid>) -> Option<WaitStatus> {
    let (_, status) = waitpid(Some(pid?), WaitOptions::NOHANG).ok()??;
    Some(status)
}

fn how(status: WaitStatus, has_terminal: bool) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Ended::Exited(status),
        (None, Some(libc::SIGINT)) if has_terminal => Ended::Interrupted,
        (None, signal) => Ended::Signaled(signal.unwrap_or(libc::SIGKILL)),
    }
}

/// A directory as standard input, output or error would open the host's tree to the workload (`openat(0, "..")`).
fn refuse_directories() -> Result<(), SetupError> {
    let streams = [
        ("standard input", rustix::stdio::stdin()),
        ("standard output", rustix::stdio::stdout()),
        ("standard error", rustix::stdio::stderr()),
    ];
    for (name, fd) in streams {
        let Ok(stat) = fstat(fd) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Err(SetupError::new(format!("pass {name} on"), Errno::ISDIR)
                .help("an open directory is a way around the policy: redirect it from a file or /dev/null"));
        }
    }
    Ok(())
}
