// Ways to what a file has besides data: attributes, times, owners, extended attributes, locks, watches.
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <utime.h>

#include "actor.h"

static struct stat status;
static struct statfs statistics;
static char value[256];
static const char *const ACL = "system.posix_acl_access";

static int reading(const struct attempt *a) { return STEP("open", open(a->path, O_RDONLY | O_CLOEXEC)); }
static int looking(const struct attempt *a) { return STEP("open", open(a->path, O_PATH | O_CLOEXEC)); }

static void stat_stat(const struct attempt *a) { STEP("stat", syscall(SYS_stat, a->path, &status)); }
static void stat_lstat(const struct attempt *a) { STEP("lstat", syscall(SYS_lstat, a->path, &status)); }
static void stat_fstatat(const struct attempt *a) { STEP("newfstatat", syscall(SYS_newfstatat, AT_FDCWD, a->path, &status, 0)); }
static void stat_empty_path(const struct attempt *a) { STEP("newfstatat", syscall(SYS_newfstatat, looking(a), "", &status, AT_EMPTY_PATH)); }
static void stat_statx(const struct attempt *a) {
    struct statx found;
    STEP("statx", statx(AT_FDCWD, a->path, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &found));
}
static void stat_access(const struct attempt *a) { STEP("access", access(a->path, F_OK)); }
static void stat_faccessat2(const struct attempt *a) { STEP("faccessat2", syscall(SYS_faccessat2, AT_FDCWD, a->path, F_OK, AT_EACCESS)); }

static void readlink_readlink(const struct attempt *a) { STEP("readlink", readlink(a->path, value, sizeof value)); }
static void readlink_empty_path(const struct attempt *a) {
    STEP("readlinkat", readlinkat(STEP("open", open(a->path, O_PATH | O_NOFOLLOW | O_CLOEXEC)), "", value, sizeof value));
}
static void readlink_follow(const struct attempt *a) { STEP("open through the link", open(a->path, O_RDONLY | O_CLOEXEC)); }

static void chmod_chmod(const struct attempt *a) { STEP("chmod", chmod(a->path, a->mode)); }
static void chmod_fchmod(const struct attempt *a) { STEP("fchmod", fchmod(reading(a), a->mode)); }
static void chmod_fchmodat(const struct attempt *a) { STEP("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, a->path, a->mode)); }
static void chmod_fchmodat2(const struct attempt *a) { STEP("fchmodat2", syscall(452, AT_FDCWD, a->path, a->mode, AT_SYMLINK_NOFOLLOW)); }
static void chmod_acl(const struct attempt *a) {
    // Version 2: owner rwx, user 0 rwx, group rwx, mask rwx, others rwx.
    uint32_t acl[] = {2, 0x00070001, ~0u, 0x00070004, ~0u, 0x00070020, ~0u};
    STEP("setxattr", setxattr(a->path, ACL, acl, sizeof acl, 0));
}
static void chmod_remove_acl(const struct attempt *a) { STEP("removexattr", removexattr(a->path, ACL)); }

static void chown_chown(const struct attempt *a) { STEP("chown", chown(a->path, geteuid(), getegid())); }
static void chown_lchown(const struct attempt *a) { STEP("lchown", lchown(a->path, geteuid(), getegid())); }
static void chown_fchown(const struct attempt *a) { STEP("fchown", fchown(reading(a), geteuid(), getegid())); }
static void chown_empty_path(const struct attempt *a) { STEP("fchownat", fchownat(looking(a), "", geteuid(), getegid(), AT_EMPTY_PATH)); }

static void utimes_utimensat(const struct attempt *a) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    STEP("utimensat", utimensat(AT_FDCWD, a->path, times, 0));
}
static void utimes_now(const struct attempt *a) { STEP("utimensat", utimensat(AT_FDCWD, a->path, NULL, 0)); }
static void utimes_futimens(const struct attempt *a) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    STEP("futimens", futimens(reading(a), times));
}
static void utimes_utimes(const struct attempt *a) {
    struct timeval times[2] = {{1, 0}, {1, 0}};
    STEP("utimes", syscall(SYS_utimes, a->path, times));
}
static void utimes_utime(const struct attempt *a) {
    struct utimbuf times = {1, 1};
    STEP("utime", syscall(SYS_utime, a->path, &times));
}

static void getxattr_getxattr(const struct attempt *a) { STEP("getxattr", getxattr(a->path, "user.there", value, sizeof value)); }
static void getxattr_lgetxattr(const struct attempt *a) { STEP("lgetxattr", lgetxattr(a->path, "user.there", value, sizeof value)); }
static void getxattr_fgetxattr(const struct attempt *a) { STEP("fgetxattr", fgetxattr(reading(a), "user.there", value, sizeof value)); }
static void getxattr_acl(const struct attempt *a) { STEP("getxattr", getxattr(a->path, ACL, value, sizeof value)); }

static void setxattr_setxattr(const struct attempt *a) { STEP("setxattr", setxattr(a->path, "user.new", "v", 1, 0)); }
static void setxattr_lsetxattr(const struct attempt *a) { STEP("lsetxattr", lsetxattr(a->path, "user.new", "v", 1, 0)); }
static void setxattr_fsetxattr(const struct attempt *a) { STEP("fsetxattr", fsetxattr(reading(a), "user.new", "v", 1, 0)); }
static void setxattr_remove(const struct attempt *a) { STEP("removexattr", removexattr(a->path, "user.there")); }
static void setxattr_lremove(const struct attempt *a) { STEP("lremovexattr", lremovexattr(a->path, "user.there")); }
static void setxattr_fremove(const struct attempt *a) { STEP("fremovexattr", fremovexattr(reading(a), "user.there")); }

static void listxattr_listxattr(const struct attempt *a) { STEP("listxattr", listxattr(a->path, value, sizeof value)); }
static void listxattr_llistxattr(const struct attempt *a) { STEP("llistxattr", llistxattr(a->path, value, sizeof value)); }
static void listxattr_flistxattr(const struct attempt *a) { STEP("flistxattr", flistxattr(reading(a), value, sizeof value)); }

static void lock_flock(const struct attempt *a) { STEP("flock", flock(reading(a), LOCK_SH | LOCK_NB)); }
static void posix(const struct attempt *a, int command) {
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
    STEP("fcntl", fcntl(reading(a), command, &lock));
}
static void lock_setlk(const struct attempt *a) { posix(a, F_SETLK); }
static void lock_getlk(const struct attempt *a) { posix(a, F_GETLK); }
static void lock_ofd(const struct attempt *a) { posix(a, F_OFD_SETLK); }

static void ioctl_flags(const struct attempt *a) {
    int flags;
    STEP("ioctl", ioctl(reading(a), FS_IOC_GETFLAGS, &flags));
}
static void ioctl_version(const struct attempt *a) {
    int version;
    STEP("ioctl", ioctl(reading(a), FS_IOC_GETVERSION, &version));
}

static void statfs_statfs(const struct attempt *a) { STEP("statfs", statfs(a->path, &statistics)); }
static void statfs_fstatfs(const struct attempt *a) { STEP("fstatfs", fstatfs(looking(a), &statistics)); }

static void watch_inotify(const struct attempt *a) {
    STEP("inotify_add_watch", inotify_add_watch(STEP("inotify_init1", inotify_init1(IN_CLOEXEC)), a->path, IN_MODIFY));
}
static void watch_fanotify(const struct attempt *a) {
    int group = STEP("fanotify_init", fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_FID | FAN_CLOEXEC, 0));
    STEP("fanotify_mark", fanotify_mark(group, FAN_MARK_ADD, FAN_MODIFY, AT_FDCWD, a->path));
}

const struct named_way meta_ways[] = {
    {"stat.stat", stat_stat}, {"stat.lstat", stat_lstat}, {"stat.fstatat", stat_fstatat}, {"stat.empty_path", stat_empty_path},
    {"stat.statx", stat_statx}, {"stat.access", stat_access}, {"stat.faccessat2", stat_faccessat2},
    {"readlink.readlink", readlink_readlink}, {"readlink.empty_path", readlink_empty_path}, {"readlink.follow", readlink_follow},
    {"chmod.chmod", chmod_chmod}, {"chmod.fchmod", chmod_fchmod}, {"chmod.fchmodat", chmod_fchmodat},
    {"chmod.fchmodat2", chmod_fchmodat2}, {"chmod.acl", chmod_acl},
    {"chmod.remove_acl", chmod_remove_acl},
    {"chown.chown", chown_chown}, {"chown.lchown", chown_lchown}, {"chown.fchown", chown_fchown}, {"chown.empty_path", chown_empty_path},
    {"utimes.utimensat", utimes_utimensat}, {"utimes.now", utimes_now}, {"utimes.futimens", utimes_futimens},
    {"utimes.utimes", utimes_utimes}, {"utimes.utime", utimes_utime},
    {"getxattr.getxattr", getxattr_getxattr}, {"getxattr.lgetxattr", getxattr_lgetxattr},
    {"getxattr.fgetxattr", getxattr_fgetxattr}, {"getxattr.acl", getxattr_acl},
    {"setxattr.setxattr", setxattr_setxattr}, {"setxattr.lsetxattr", setxattr_lsetxattr}, {"setxattr.fsetxattr", setxattr_fsetxattr},
    {"setxattr.remove", setxattr_remove}, {"setxattr.lremove", setxattr_lremove}, {"setxattr.fremove", setxattr_fremove},
    {"listxattr.listxattr", listxattr_listxattr}, {"listxattr.llistxattr", listxattr_llistxattr}, {"listxattr.flistxattr", listxattr_flistxattr},
    {"lock.flock", lock_flock}, {"lock.setlk", lock_setlk}, {"lock.getlk", lock_getlk}, {"lock.ofd", lock_ofd},
    {"ioctl.getflags", ioctl_flags}, {"ioctl.getversion", ioctl_version},
    {"statfs.statfs", statfs_statfs}, {"statfs.fstatfs", statfs_fstatfs},
    {"watch.inotify", watch_inotify}, {"watch.fanotify", watch_fanotify},
    {NULL, NULL},
};
