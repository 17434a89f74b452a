# Roles of executables with the BPF LSM hook: entered when the file is executed, kept by forks and threads, left with the next execution; alone
# and together with those of users and groups.
# seconds: 600
. /lab/lib.sh

mkdir -p /srv/bin /srv/vault /srv/tmp /srv/up
chmod 1777 /srv/tmp
chmod 777 /srv/up
for file in exe alice staff two; do echo "$file" >"/srv/vault/$file"; done
cp /usr/bin/dash /srv/bin/keeper
cp /usr/bin/dash /srv/up/other
cat >policy.bfs <<'P'
policy roles;
default deny;
let program = "/srv/bin/keeper";
allow view, exec on "/usr/", "/lib*/", "/bin/", "/sbin/", "/etc/", "/srv/bin/";
allow stat on "/*", "/*/*";
allow all on "/srv/tmp/", "/srv/up/";
role keeper { allow read on "/srv/vault/exe"; }
role other { allow read on "/srv/vault/two"; }
role hers { allow read on "/srv/vault/alice"; }
role team { allow read on "/srv/vault/staff"; }
role one { allow read on "/srv/vault/two"; }
exe "{program}" : keeper;
exe "/srv/up/other" : other;
user 1000 : hers;
group 50 : team;
user 1001 : one;
separate keeper, one;
P

# inside STATUS SCRIPT: the script ends like this in the sandbox.
inside() {
    want "$1" timeout 200 boesfs exec --hook lsm --quiet --cap setuid,setgid --audit /tmp/work/audit policy.bfs -- sh -uc "$2"
}

# The executable's role, and nobody else has it: neither a copy, nor another name, nor a child, nor who is called the same, nor a
# script that the executable is not run for.
inside 0 '
reads() { what=$1; shift; "$@" -c "read line <\$0" "/srv/vault/$what" || { echo "cannot read $what: $*"; exit 11; }; }
refused() { what=$1; shift; if "$@" -c "read line <\$0" "/srv/vault/$what" 2>/dev/null; then echo "reads $what: $*"; exit 12; fi; }
wrong() { echo "WRONG: $*"; exit 13; }
k=/srv/bin/keeper
reads exe $k
refused exe sh
cp $k /srv/tmp/keeper && refused exe /srv/tmp/keeper
ln -s $k /srv/tmp/link && reads exe /srv/tmp/link
ln $k /srv/tmp/hard 2>/dev/null && wrong a hard link
refused exe $k -c "exec sh \"\$@\"" sh
refused exe $k -c "sh \"\$@\"; exit \$?" sh
reads exe sh -c "exec \"\$@\"" sh $k
$k -c "( read line </srv/vault/exe ) && ( ( read line </srv/vault/exe ) )" || wrong a fork of it cannot read
refused exe /lib64/ld-linux-x86-64.so.2 $k
printf "#!$k\nread line </srv/vault/exe\n" >/srv/tmp/script
chmod 755 /srv/tmp/script
/srv/tmp/script || wrong a script of it cannot read
cp /usr/bin/dash /srv/tmp/mine && mv /srv/tmp/mine $k 2>/dev/null && wrong replaced

# Whoever may give a file the name has the role run what he likes: by moving a file as by writing one.
reads two /srv/up/other
cp /usr/bin/dash /srv/tmp/mine && mv /srv/tmp/mine /srv/up/other || wrong cannot replace what may be replaced
reads two /srv/up/other
# What is executed counts when it is executed: the role stays with the program when its file loses the name, and does not come
# to one that is running when its file gets it. A file without a name has none.
/srv/up/other -c "
    mv /srv/up/other /srv/up/else && read line </srv/vault/two || exit 1
    /srv/up/else -c \"mv /srv/up/else /srv/up/other; read line </srv/vault/two\" 2>/dev/null && exit 2
    exit 0
" || wrong "a running program whose file moves: $?"
reads two /srv/up/other
exec 9</srv/up/other
rm /srv/up/other
/proc/self/fd/9 -c "read line </srv/vault/two" 2>/dev/null && wrong a file without a name has a role

# With users and groups; roles that may not be held together are refused everything.
alice="setpriv --reuid 1000 --regid 1000 --groups 50"
reads alice $alice sh
reads staff $alice sh
refused exe $alice sh
reads exe $alice $k
reads alice $alice $k
reads staff $alice $k
refused alice sh
bob="setpriv --reuid 1001 --regid 1001 --clear-groups"
reads two $bob sh
refused two $bob $k
refused exe $bob $k
exit 0
'
grep -q '"path":"/srv/vault/exe"' audit || fail "refusals are not on record: $(head -3 audit)"

# Threads have the role as their process does, and what a thread executes is what its process becomes.
cat >/srv/bin/threads.py <<'P'
import os, sys, threading
seen = []
def look():
    try:
        open("/srv/vault/exe").close()
        seen.append(True)
    except PermissionError:
        seen.append(False)
thread = threading.Thread(target=look)
thread.start()
thread.join()
if seen != [sys.argv[1] == "has"]:
    sys.exit(f"a thread: {seen}")
if sys.argv[1] == "has":
    threading.Thread(target=lambda: os.execv("/usr/bin/sh", ["sh", "-c", "read line </srv/vault/exe"])).start()
P
sed 's|^let program.*|let program = "/srv/bin/python";|' policy.bfs >python.bfs
cp "$(readlink -f /usr/bin/python3)" /srv/bin/python
export PYTHONHOME=/usr
want 2 timeout 100 boesfs exec --hook lsm --quiet python.bfs -- /srv/bin/python /srv/bin/threads.py has
want 0 timeout 100 boesfs exec --hook lsm --quiet python.bfs -- python3 /srv/bin/threads.py lacks

# A policy that gives other rights to the same executables takes the place of one, also for programs that run already; one that gives roles
# to others does not, and the sandbox stays as it is.
cat >worker.sh <<'S'
tried() {
    for file in exe two; do
        if ( read line <"/srv/vault/$file" ) 2>/dev/null; then echo "$1 $file" >>/srv/tmp/seen; fi
    done
}
while ! [ -e /srv/tmp/end ]; do
    for step in before after; do
        if [ -e "/srv/tmp/$step" ]; then tried "$step"; mv "/srv/tmp/$step" "/srv/tmp/$step.done"; fi
    done
    usleep 10000
done
S
# turn STEP: the worker, which runs all the while, has tried what it can read now.
turn() {
    : >"/srv/tmp/$1"
    while [ -e "/srv/tmp/$1" ]; do
        kill -0 $agent 2>/dev/null || fail "the sandbox ended early: $(cat said)"
        usleep 10000
    done
}
rm -f /srv/tmp/seen
cp worker.sh /srv/bin/worker.sh
cp policy.bfs live.bfs
boesfs exec --hook lsm --quiet live.bfs -- /srv/bin/keeper /srv/bin/worker.sh 2>said &
agent=$!
turn before
# Other states, and the executables in another order: the numbers of both policies differ.
sed -e '/^exe/d' -e 's|^role keeper.*|role keeper { allow read on "/srv/vault/two"; }|' policy.bfs >live.bfs
cat >>live.bfs <<'P'
deny all on "/srv/more/of/them/", "/a/b/c/d/", "/**/*.secret";
exe "/srv/up/other" : other;
exe "{program}" : keeper;
P
want 0 boesfs reload $agent 2>told || fail "$(cat told)"
turn after
sed -i 's|^exe "/srv/up/other".*|exe "/srv/up/another" : other;|' live.bfs
want 1 boesfs reload $agent 2>told
has told 'give roles to the same executables'
sed -i '/^exe/d' live.bfs
cat >>live.bfs <<'P'
exe "{program}" : keeper;
P
want 1 boesfs reload $agent 2>told
turn after
: >/srv/tmp/end
wait $agent || fail "the worker ended with $?: $(cat said)"
printf 'before exe\nafter two\nafter two\n' | cmp - /srv/tmp/seen || fail "seen: $(cat /srv/tmp/seen)"

# For a cgroup that is there nobody has seen what its tasks execute.
mkdir /sys/fs/cgroup/box
want 125 boesfs exec --hook lsm --cgroup /sys/fs/cgroup/box policy.bfs 2>said
has said 'name the roles with --role'
rmdir /sys/fs/cgroup/box
