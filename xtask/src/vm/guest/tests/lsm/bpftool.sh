# An object that was compiled with --autoload is one for everybody's loader: bpftool loads and attaches all that is in it, nobody is judged by
# that, and `boesfs exec` judges by the same object.
# seconds: 600
. /lab/lib.sh

mkdir -p /srv/www/site /srv/www/log
echo page >/srv/www/site/index.html
echo closed >/srv/www/nginx.conf
pins=/sys/fs/bpf/boesfs
want 0 boesfsc compile --autoload lsm /lab/source/examples/web/web.bfs -o web.o

# refused TEXT OPTION...: it does not run, and says this.
refused() {
    text=$1
    shift
    want 125 boesfs exec "$@" -- true 2>said
    has said "$text"
}
if uname -r | awk -F. '{ exit !($1 < 6 || $1 == 6 && $2 + 0 < 12) }'; then
    # Not for kernels as old as this one, whoever loads it.
    want 255 bpftool prog loadall web.o $pins autoattach 2>said
    [ ! -e $pins ] || fail "there are pins: $(ls $pins)"
    refused 'the object has lsm_file_open_path for Linux 6.12 and later alone, compile the policy without --autoload' --hook lsm --role editor web.o
    exit 0
fi

start=$(cut -d. -f1 /proc/uptime)
want 0 bpftool prog loadall web.o $pins autoattach
echo "lab: bpftool: $(ls $pins | wc -l) programs within $(($(cut -d. -f1 /proc/uptime) - start)) s"
for pin in "$pins"/*; do
    case $(basename "$pin") in
    # To be run, not attached.
    boesfs_*) of=prog kind=' syscall ' ;;
    rename_ends) of=link kind='attach_type trace_fexit' ;;
    *) of=link kind='attach_type lsm_mac' ;;
    esac
    # Of links, version 7.5 says that it was asked for something else, and shows them all the same.
    bpftool $of show pinned "$pin" >shown 2>&1 || [ $of = link ] || fail "$pin is no program: $(cat shown)"
    has shown "$kind"
done
[ -e $pins/lsm_file_open_path ] && [ -e $pins/rename_ends ] || fail "programs are missing: $(ls $pins)"
[ ! -e $pins/lsm_inode_permission ] || fail "every walk on the machine is asked about"

# asked: how often the program about opening was run since that is counted.
asked() {
    bpftool prog show name lsm_file_open_path | sed -n 's/.* run_cnt \([0-9]*\).*/\1/p'
}
# unjudged: what the policy refuses to everybody, done.
unjudged() {
    cat /srv/www/nginx.conf >/dev/null || fail "$1: a task is judged"
    touch /srv/www/new && mv /srv/www/new /srv/www/newer && chmod 600 /srv/www/newer && rm /srv/www/newer || fail "$1: a task is judged"
    mkdir /srv/www/d && mv /srv/www/d /srv/www/e && rmdir /srv/www/e || fail "$1: a task is judged"
    ls -l /srv/www >/dev/null && ln -s x /srv/www/l && readlink /srv/www/l >/dev/null && rm /srv/www/l || fail "$1: a task is judged"
}
echo 1 >/proc/sys/kernel/bpf_stats_enabled
before=$(asked)
unjudged 'not armed'
after=$(asked)
[ "${after:-0}" -gt "${before:-0}" ] || fail "the programs are not asked: $before, $after"
echo 0 >/proc/sys/kernel/bpf_stats_enabled

# Armed, too: no cgroup has the id 0 that the session has.
cat >run.py <<'P'
import ctypes, struct, sys
def bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes, 128)
    got = ctypes.CDLL(None, use_errno=True).syscall(321, command, attributes, 128)
    if got < 0:
        sys.exit(f"bpf({command}): error {ctypes.get_errno()}")
    return got
path = ctypes.create_string_buffer(sys.argv[1].encode())
BPF_OBJ_GET, BPF_PROG_TEST_RUN = 7, 10
program = bpf(BPF_OBJ_GET, struct.pack("Q", ctypes.addressof(path)))
context = ctypes.create_string_buffer(72)
bpf(BPF_PROG_TEST_RUN, struct.pack("2I2I2Q2I2I2Q", program, 0, 0, 0, 0, 0, 0, 0, 72, 0, ctypes.addressof(context), 0))
P
want 0 python3 run.py $pins/boesfs_arm
bpftool map dump name .data.live 2>/dev/null | grep -q '"armed": 1' || fail "it is not armed: $(bpftool map show)"
unjudged armed

# All of it goes with the pins. A listing that meets a program just as it goes is cut short, and tells nothing.
rm -r $pins
for try in $(seq 2400); do
    if bpftool prog list >programs 2>&1 && ! grep -q ' name lsm_file_open_path ' programs; then
        break
    fi
    usleep 100000
done
grep -q ' name lsm_file_open_path ' programs && fail "programs are left: $(cat programs)"

# The same object judges.
inside() {
    want "$1" timeout 100 boesfs exec --quiet --hook lsm --role editor web.o -- sh -c "$2"
}
inside 0 '
    cat /srv/www/site/index.html || exit 2
    cat /srv/www/nginx.conf && exit 3
    echo more >>/srv/www/site/index.html || exit 4
    echo more >/srv/www/log/new && exit 5
    mv /srv/www/site/index.html /srv/www/index.html && exit 6
    exit 0
'
[ "$(cat /srv/www/site/index.html | tr '\n' ' ')" = 'page more ' ] || fail "what is allowed is not"

refused 'no program that judges access(2): compile the policy without --autoload' --hook lsm --judge-access --role editor web.o
refused 'no programs for the kernel module: compile the policy without --autoload' --hook kmod --role editor web.o
want 0 boesfs exec -v --chdir /usr --role editor web.o -- /usr/bin/true 2>said
has said ', hook fuse,'
want 0 boesfs exec -v --chdir /usr --judge-access --role editor web.o -- /usr/bin/true 2>said
has said 'not with the lsm hook but with fuse:'
has said ', hook fuse,'
echo 'policy lab; default allow; deny read on "/srv/www/nginx.conf";' >lab.bfs
want 0 boesfsc compile --autoload lsm lab.bfs
want 0 boesfs exec -v --chdir /usr lab.o -- /usr/bin/true 2>said
has said ', hook lsm,'
has said 'program lsm_file_open_path:'
