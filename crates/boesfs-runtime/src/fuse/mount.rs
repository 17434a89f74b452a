//! Mounting and serving: the handshake, the threads, the end.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::thread::JoinHandle;

use fuser::InitFlags;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::Resource;

use super::descriptors;
use super::fs::{Answer, Fs, links_may_be_kept};
use super::wire::{Body, InHeader, Out, OutHeader, opcode};
use super::{Config, FuseError, Replacement, Unreplaceable, sys};

/// The most data in one write request, and in one reply.
const MAX_WRITE: u32 = 1 << 20;

/// Room for a request: the data of a write, and its headers. Other requests are far smaller.
const REQUEST: usize = MAX_WRITE as usize + 64 * 1024;

/// A served mount. Dropping it ends it.
pub struct Mount {
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Each request is answered under the shared lock; it is gone with the last thread.
    fs: Weak<RwLock<Fs>>,
    /// Where this process mounted it; nowhere, if someone else did.
    at: Mutex<Option<PathBuf>>,
}

impl Mount {
    /// Mounts at `path` and serves.
    ///
    /// # Errors
    /// See [`FuseError`].
    pub fn at(path: &Path, config: Config) -> Result<Mount, FuseError> {
        let device = open_device()?;
        let failed = |source: Errno| FuseError::Mount { path: path.to_owned(), source: source.into() };
        let options = mount_options(&device);
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("boesfs", path, "fuse.boesfs", flags, &*options).map_err(failed)?;
        let undo = |error| {
            // The error to tell is the first one.
            let _ = rustix::mount::unmount(path, UnmountFlags::DETACH);
            error
        };
        let mount = Mount::serve(device, config).map_err(undo)?;
        *super::node::lock(&mount.at) = Some(path.to_owned());
        Ok(mount)
    }

    /// Serves a mount that was made with `device` (see [`mount_options`]).
    ///
    /// # Errors
    /// See [`FuseError`].
    pub fn serve(device: OwnedFd, config: Config) -> Result<Mount, FuseError> {
        // As many descriptors and as large files as can be: the workload's own limits are the kernel's to keep.
        descriptors::limit();
        descriptors::raise(Resource::Fsize);
        let threads = config.threads.max(2);
        let agreed = handshake(&device, &config)?;
        let channels = channels(&device, threads)?;
        let mut fs = Fs::new(config, device)?;
        fs.passthrough &= agreed.contains(InitFlags::FUSE_PASSTHROUGH);
        fs.locks.set_forwarded(agreed.contains(InitFlags::FUSE_POSIX_LOCKS));
        fs.keeps_links = agreed.contains(InitFlags::FUSE_CACHE_SYMLINKS);
        let fs = Arc::new(RwLock::new(fs));
        let mount = Mount { threads: Mutex::default(), fs: Arc::downgrade(&fs), at: Mutex::default() };
        for (i, channel) in channels.into_iter().enumerate() {
            let fs = fs.clone();
            let worker = std::thread::Builder::new().name(format!("boesfs-{i}"));
            let failed = |source| FuseError::System { what: "start a thread", source };
            let thread = worker.spawn(move || work(&fs, &channel)).map_err(failed)?;
            super::node::lock(&mount.threads).push(thread);
        }
        Ok(mount)
    }

    /// Puts another policy in the place of the one in force: a request is judged by the one or the other.
    ///
    /// Names and attributes that the kernel holds by the old one are gone within [`Config::lifetime`]. A file that is open stays
    /// open; what its descriptor does without a request (passthrough, mappings, what the page cache has) is not judged anew.
    ///
    /// # Errors
    /// [`Unreplaceable`]: the one in force stays.
    pub fn replace(&self, new: Replacement) -> Result<(), Unreplaceable> {
        let fs = self.fs.upgrade().ok_or(Unreplaceable::Gone)?;
        fs.write().unwrap_or_else(PoisonError::into_inner).replace(new)
    }

    /// Waits until the mount is gone.
    pub fn join(&self) {
        let threads = std::mem::take(&mut *super::node::lock(&self.threads));
        for thread in threads {
            // A thread that panicked has ended, which is what is waited for.
            let _ = thread.join();
        }
    }

    /// Unmounts, where this process mounted it, and waits for the end.
    ///
    /// # Errors
    /// Where unmounting fails: `EBUSY` while a process uses the mount.
    pub fn unmount(self) -> Result<(), FuseError> {
        let at = super::node::lock(&self.at).take();
        if let Some(path) = at {
            let unmounted = rustix::mount::unmount(&path, UnmountFlags::empty());
            if let Err(source) = unmounted {
                *super::node::lock(&self.at) = Some(path.clone());
                return Err(FuseError::Mount { path, source: source.into() });
            }
        }
        self.join();
        Ok(())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Some(path) = super::node::lock(&self.at).take() {
            // Detached where it is busy: it goes with its last user.
            let _ = rustix::mount::unmount(&path, UnmountFlags::DETACH);
        }
    }
}

impl std::fmt::Debug for Mount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mount").field("at", &self.at).finish_non_exhaustive()
    }
}

/// Opens `/dev/fuse`.
///
/// # Errors
/// [`FuseError::Device`]
pub fn open_device() -> Result<OwnedFd, FuseError> {
    rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| FuseError::Device(errno.into()))
}

/// The data argument of mount(2) for a mount that `device` serves, with the ids of the process that mounts.
///
/// The type is `fuse.boesfs`, the flags at least nosuid and nodev. There is no `default_permissions`: with it the kernel asks
/// for attributes to check permissions, in the same words as stat(2) does, and `stat` could not be refused apart.
#[must_use]
pub fn mount_options(device: &OwnedFd) -> std::ffi::CString {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let options = format!("fd={},rootmode=40000,user_id={uid},group_id={gid},allow_other", device.as_raw_fd());
    std::ffi::CString::new(options).unwrap_or_default()
}

/// Shakes hands, by way of `fuser`, and gives the features both sides agreed on.
fn handshake(device: &OwnedFd, config: &Config) -> Result<InitFlags, FuseError> {
    let wanted = wanted(config);
    let agreed = Arc::new(Mutex::new(InitFlags::empty()));
    let hand = Hand { wanted, agreed: agreed.clone() };
    let device = device.try_clone().map_err(FuseError::Handshake)?;
    let session = fuser::Session::from_fd(hand, device, fuser::SessionACL::All, fuser::Config::default());
    drop(session.map_err(FuseError::Handshake)?);
    let agreed = *super::node::lock(&agreed);
    Ok(agreed)
}

/// The features to ask for.
fn wanted(config: &Config) -> InitFlags {
    let mut wanted = InitFlags::FUSE_ASYNC_READ
        | InitFlags::FUSE_ATOMIC_O_TRUNC
        | InitFlags::FUSE_BIG_WRITES
        | InitFlags::FUSE_DONT_MASK
        | InitFlags::FUSE_HAS_IOCTL_DIR
        | InitFlags::FUSE_AUTO_INVAL_DATA
        | InitFlags::FUSE_DO_READDIRPLUS
        | InitFlags::FUSE_READDIRPLUS_AUTO
        | InitFlags::FUSE_ASYNC_DIO
        | InitFlags::FUSE_PARALLEL_DIROPS
        | InitFlags::FUSE_HANDLE_KILLPRIV_V2
        | InitFlags::FUSE_MAX_PAGES
        | InitFlags::FUSE_NO_EXPORT_SUPPORT;
    if !config.policy.rights.lock_follows_open() {
        wanted |= InitFlags::FUSE_POSIX_LOCKS | InitFlags::FUSE_FLOCK_LOCKS;
    }
    if links_may_be_kept(config.session, &*config.policy.rights) {
        wanted |= InitFlags::FUSE_CACHE_SYMLINKS;
    }
    if config.passthrough == super::Passthrough::Auto && rustix::process::geteuid().is_root() {
        wanted |= InitFlags::FUSE_PASSTHROUGH;
    }
    wanted
}

/// Takes part in the handshake and nothing else.
struct Hand {
    wanted: InitFlags,
    agreed: Arc<Mutex<InitFlags>>,
}

impl fuser::Filesystem for Hand {
    fn init(&mut self, _request: &fuser::Request, kernel: &mut fuser::KernelConfig) -> std::io::Result<()> {
        let unsupported = |what: &str| std::io::Error::new(std::io::ErrorKind::Unsupported, what.to_owned());
        let both = self.wanted & kernel.capabilities();
        if !both.contains(InitFlags::FUSE_ATOMIC_O_TRUNC | InitFlags::FUSE_DONT_MASK) {
            return Err(unsupported("it is too old"));
        }
        kernel.add_capabilities(both).map_err(|_| unsupported("it takes back a feature it offered"))?;
        kernel.set_max_write(MAX_WRITE).map_err(|_| unsupported("it refuses the size of writes"))?;
        let _ = kernel.set_max_background(64);
        if both.contains(InitFlags::FUSE_PASSTHROUGH) {
            // 1: the tree below may itself be stacked once.
            kernel.set_max_stack_depth(1).map_err(|_| unsupported("it refuses to stack"))?;
        }
        *super::node::lock(&self.agreed) = both;
        Ok(())
    }
}

/// A channel for each thread, so that they do not wait for one another.
///
/// Before Linux 6.2 only a device opened in the user namespace that mounted can become one (`fuse_dev_ioctl` in the kernel's
/// `fs/fuse/dev.c`), and this process may be outside of it: the threads then take turns at the first device.
fn channels(device: &OwnedFd, threads: usize) -> Result<Vec<OwnedFd>, FuseError> {
    let what = "open another FUSE channel";
    let mut channels = Vec::new();
    for _ in 0..threads {
        let fresh = open_device()?;
        channels.push(match sys::clone_channel(device.as_fd(), fresh.as_fd()) {
            Ok(()) => fresh,
            Err(Errno::INVAL) => device.try_clone().map_err(|source| FuseError::System { what, source })?,
            Err(errno) => return Err(FuseError::System { what, source: errno.into() }),
        });
    }
    Ok(channels)
}

/// One thread: takes requests and answers them until the mount is gone.
fn work(fs: &RwLock<Fs>, channel: &OwnedFd) {
    // The umask is the thread's own from here on. Without that, nothing can be made with the right one.
    if sys::unshare_fs().is_err() {
        return;
    }
    let mut request: Vec<u8> = Vec::with_capacity(REQUEST);
    let mut out = Out::new(MAX_WRITE as usize);
    loop {
        request.clear();
        match rustix::io::read(channel, rustix::buffer::spare_capacity(&mut request)) {
            Ok(_) => {}
            // Interrupted, or the request was taken back before it was read.
            Err(Errno::INTR | Errno::AGAIN | Errno::NOENT) => continue,
            Err(_) => return,
        }
        let mut body = Body(&request);
        let Ok(header) = body.take::<InHeader>() else { return };
        if header.opcode == opcode::DESTROY {
            let done = OutHeader { len: size_of::<OutHeader>() as u32, error: 0, unique: header.unique };
            let _ = rustix::io::write(channel, bytemuck::bytes_of(&done));
            return;
        }
        out.clear();
        let fs = fs.read().unwrap_or_else(PoisonError::into_inner);
        let result = match fs.dispatch(header, channel.as_fd(), body, &mut out) {
            Ok(Answer::Later) => continue,
            Ok(Answer::Now) => Ok(()),
            Err(errno) => Err(errno),
        };
        // It fails where the request was interrupted, or the mount is gone, which the next read tells. Before another policy comes:
        // what the kernel keeps of an answer is counted from there on.
        let _ = rustix::io::write(channel, out.message(header.unique, result));
        drop(fs);
    }
}
