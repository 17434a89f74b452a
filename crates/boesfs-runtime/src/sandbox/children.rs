//! The three processes between the agent and the command.
//!
//! ```text
//! agent (outside)
//!  ├── setup     new namespaces, mounts the tree and /dev, forks the other two, ends
//!  ├── init      process 1 of the pid namespace: mounts /proc, swaps the root, then only waits for the agent's end
//!  └── workload  gives up its privileges and becomes the command
//! ```
//!
//! Setup stays outside of the pid namespace so that the FUSE file system, mounted by it, names processes as the agent knows
//! them. Init and workload are the agent's own children (`CLONE_PARENT`): it waits for the command itself. When the agent
//! ends, however that is, init's end of the channel closes and its parent-death signal comes: init ends, and the
//! kernel kills everything in its pid namespace.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, chdir, getpid, set_dumpable_behavior, set_parent_process_death_signal,
    setpgid, setrlimit, setsid,
};
use rustix::thread::CapabilitySet;

use super::channel::{self, Report};
use super::error::{SetupError, Step};
use super::namespaces::{self, Privilege};
use super::plan::{Command, Plan, StartDir};
use super::privileges;
use super::proc;
use super::seccomp::{Filter, Tracing};
use super::sys::{self, Disposition, Fork, Lineage, SignalSet};
use super::terminal::Terminal;
use super::tree::Tree;
use super::{dev, find, handed};

/// What the children inherit from the agent.
pub(super) struct Inherited<'a> {
    pub(super) plan: &'a Plan,
    /// What refuses system calls, unless something else does.
    pub(super) filter: Option<&'a Filter>,
    pub(super) channel: &'a OwnedFd,
    /// Where the command's process hears that the sandbox is under guard, if it is to wait for that.
    pub(super) gate: Option<&'a OwnedFd>,
    pub(super) terminal: &'a Terminal,
    /// The signals that were blocked before the agent blocked its own.
    pub(super) signals: SignalSet,
}

/// The setup process, from its first step to its end.
pub(super) fn setup(inherited: &Inherited<'_>) -> ! {
    let status = match try_setup(inherited) {
        Ok(()) => 0,
        Err(error) => {
            report_failure(inherited.channel, &error);
            1
        }
    };
    sys::exit(status)
}

fn try_setup(inherited: &Inherited<'_>) -> Result<(), SetupError> {
    die_with_the_agent(inherited.channel)?;
    if let Some(cgroup) = &inherited.plan.cgroup {
        // With all that it starts from here on.
        rustix::io::write(&**cgroup, b"0").step("enter the sandbox's cgroup")?;
    }
    namespaces::enter(Privilege::of_caller())?;
    let tree = Tree::new(inherited.plan, |device| channel::send(inherited.channel, &Report::Mounted(device)))?;
    for note in tree.notes() {
        tell(inherited.channel, &Report::Note(note.clone()))?;
    }
    tree.enter()?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).step("make a pipe");
    let ((ready, done), (devices, made)) = (pipe()?, pipe()?);
    let init = match sys::fork(Lineage::Sibling).step("start the sandbox's init process")? {
        Fork::Child => {
            drop((ready, made));
            init(inherited, &tree, &devices, done)
        }
        Fork::Parent(pid) => pid,
    };
    tell(inherited.channel, &Report::Init(init))?;
    drop((done, devices));
    // While init mounts /proc. It leaves the host's tree, where the devices are, when this is done.
    dev::mount(&tree)?;
    rustix::io::write(&made, b"r").step("talk to the sandbox's init process")?;
    let workload = match sys::fork(Lineage::Sibling).step("start the command's process")? {
        Fork::Child => workload(inherited, &tree, &ready),
        Fork::Parent(pid) => pid,
    };
    tell(inherited.channel, &Report::Workload(workload))
}

/// Init, from its first step on. It ends when the agent does.
fn init(inherited: &Inherited<'_>, tree: &Tree, devices: &OwnedFd, done: OwnedFd) -> ! {
    if let Err(error) = try_init(inherited, tree, devices) {
        report_failure(inherited.channel, &error);
        sys::exit(1);
    }
    // A workload that never hears this fails, and says so.
    let _ = rustix::io::write(&done, b"r");
    drop(done);
    // Nothing that the workload could reach: it need not wait for it.
    if inherited.filter.is_some_and(|filter| filter.apply().is_err()) {
        sys::exit(1);
    }
    let Ok(channel) = inherited.channel.try_clone() else { sys::exit(1) };
    if sys::close_all_but(vec![channel.as_fd()]).is_err() {
        sys::exit(1);
    }
    // Nothing is ever sent: this returns when the agent's end is closed. EINTR aside, there is nothing to go on for.
    while let Err(Errno::INTR) = rustix::io::read(&channel, &mut [0u8; 1]) {}
    sys::exit(0)
}

fn try_init(inherited: &Inherited<'_>, tree: &Tree, devices: &OwnedFd) -> Result<(), SetupError> {
    die_with_the_agent(inherited.channel)?;
    setsid().step("start a session")?;
    // Children whose parents are gone are reaped by the kernel.
    sys::set_disposition(libc::SIGCHLD, Disposition::Ignore);
    proc::mount(tree, inherited.plan.tracing)?;
    privileges::bound_to(CapabilitySet::empty())?;
    hear(devices)?;
    Tree::replace_the_hosts()?;
    privileges::drop_all_but(CapabilitySet::empty())?;
    if inherited.gate.is_some() {
        tell(inherited.channel, &Report::Ready)?;
    }
    // Its memory is a copy of the agent's: not to be read or traced by the workload, which may have the same user.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).step("make the init process untraceable")
}

/// The workload's process, until it becomes the command.
fn workload(inherited: &Inherited<'_>, tree: &Tree, ready: &OwnedFd) -> ! {
    let command = &inherited.plan.command;
    let status = match try_workload(inherited, tree, ready) {
        Ok(()) => {
            let error = execute(command);
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let _ = channel::send(inherited.channel, &Report::NotExecuted { errno });
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
        Err(error) => {
            report_failure(inherited.channel, &error);
            1
        }
    };
    sys::exit(status)
}

fn try_workload(inherited: &Inherited<'_>, tree: &Tree, ready: &OwnedFd) -> Result<(), SetupError> {
    die_with_the_agent(inherited.channel)?;
    // Its own process group: kill(0, ...) in the sandbox does not reach the agent, nor whoever started it.
    setpgid(None, None).step("start a process group")?;
    inherited.terminal.lend_at_start(getpid());
    // While it waits anyhow.
    privileges::bound_to(inherited.plan.keep)?;
    for opened in std::iter::once(ready).chain(inherited.gate) {
        if rustix::io::read(opened, &mut [0u8; 1]).step("wait for the sandbox")? != 1 {
            return Err(SetupError::new("wait for the sandbox", io::Error::from(io::ErrorKind::BrokenPipe)));
        }
    }
    // Not left to the change of the root by init, which may have missed this process.
    tree.take_as_root()?;
    let command = &inherited.plan.command;
    match &command.dir {
        StartDir::Named(dir) => {
            let dir_shown = dir.display();
            chdir(dir.as_path()).step(format_args!("start in {dir_shown}"))?;
        }
        StartDir::Current(dir) => {
            if let Err(error) = chdir(dir.as_path()) {
                let note = format!("{} is not in the sandbox ({error}): starting in /", dir.display());
                tell(inherited.channel, &Report::Note(note))?;
            }
        }
    }
    sys::set_disposition(libc::SIGPIPE, Disposition::Default);
    inherited.signals.set();
    sys::close_on_exec_from(3).step("close inherited descriptors")?;
    if inherited.plan.tracing == Tracing::Refused {
        // A core dump would show the memory of who holds a role to whoever made it crash.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).step("turn core dumps off")?;
    }
    privileges::drop_all_but(inherited.plan.keep)?;
    handed::confine(inherited.plan)?;
    inherited.filter.map_or(Ok(()), Filter::apply)
}

/// Waits until the process at the other end of a pipe is done with its part.
fn hear(pipe: &OwnedFd) -> Result<(), SetupError> {
    match rustix::io::read(pipe, &mut [0u8; 1]).step("wait for the sandbox")? {
        1 => Ok(()),
        _ => Err(SetupError::new("wait for the sandbox", io::Error::from(io::ErrorKind::BrokenPipe))),
    }
}

/// Becomes the command; on return, why not. As execvp(3), with the new environment's `PATH`.
fn execute(command: &Command) -> io::Error {
    let Some(program) = command.args.first() else { return io::ErrorKind::InvalidInput.into() };
    let mut refused = None;
    for path in find::candidates(program, &command.env) {
        let error = execute_file(&path, command);
        match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => {}
            // Another directory of PATH may hold one that may be executed.
            Some(libc::EACCES) => refused = Some(error),
            _ => return error,
        }
    }
    refused.unwrap_or_else(|| io::Error::from_raw_os_error(libc::ENOENT))
}

fn execute_file(path: &CStr, command: &Command) -> io::Error {
    let error = sys::exec(path, &command.args, &command.env);
    if error.raw_os_error() != Some(libc::ENOEXEC) {
        return error;
    }
    // A script without `#!`: the shell's.
    let shell = c"/bin/sh";
    let args: Vec<CString> =
        [shell, path].into_iter().map(CStr::to_owned).chain(command.args[1..].iter().cloned()).collect();
    sys::exec(shell, &args, &command.env)
}

/// Ties the calling process to the agent's life.
fn die_with_the_agent(channel: &OwnedFd) -> Result<(), SetupError> {
    set_parent_process_death_signal(Some(Signal::KILL)).step("tie the sandbox to its agent")?;
    // Dead already, before the signal was asked for? Then its end of the channel is closed.
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(channel, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).step("see whether the agent lives")?;
    if fds[0].revents().contains(PollFlags::HUP) {
        sys::exit(1);
    }
    Ok(())
}

fn tell(channel: impl AsFd, report: &Report) -> Result<(), SetupError> {
    channel::send(channel, report).step("talk to the agent")
}

fn report_failure(channel: impl AsFd, error: &SetupError) {
    let help = error.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let errno = error.source.raw_os_error().unwrap_or(0);
    // An agent that cannot be told sees the process end before the command was started.
    let _ = channel::send(channel, &Report::Failed { step: format!("{}{help}", error.step), errno });
}
