# Roles by user, group and executable with the BPF LSM hook: each task has those of whom it acts as at the moment.
. /lab/lib.sh

mkdir -p /srv/c
cd /srv/c
for file in users groups written both; do echo $file >$file; done
chmod 666 *
cat >policy.bfs <<'P'
policy classes;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/", "/sbin/", "/lab/", "/etc/";
allow stat on "/*", "/*/*", "/*/*/*";
role reader { allow read on "/srv/c/users", "/srv/c/both"; }
role member { allow read on "/srv/c/groups"; }
role writer { allow write, truncate, append on "/srv/c/written", "/srv/c/both"; }
user 1000 : reader;
user 1001 : writer;
group 50 : member;
group 60 : writer;
separate reader, writer;
P

want 0 timeout 300 boesfs exec -v --hook lsm --cap setuid --cap setgid policy.bfs -- sh -c '
    wrong() { echo "WRONG: $*"; exit 9; }
    as() { setpriv --reuid "$1" --regid "$1" "$2" "$3" sh -c "$4" 2>/dev/null; }
    cat users 2>/dev/null && wrong root reads
    as 1000 --groups 50 "cat users groups both" || wrong alice reads
    as 1000 --groups 50 "echo x >written" && wrong alice writes
    as 1000 --groups 1000 "cat groups" && wrong alice reads without the group
    as 1001 --groups 50 "echo bob >written; cat groups" || wrong bob writes
    as 1001 --groups 50 "cat users" && wrong bob reads
    # Nobody: roles that may not be held together.
    as 1000 --groups 60 "cat users" && wrong reads as one with separated roles
    as 1000 --groups 60 "echo x >both" && wrong writes as one with separated roles
    as 1000 --groups 50 "cat users" || wrong alice reads again
    exit 0
'
[ "$(cat written)" = bob ] || fail "written: $(cat written)"

# An executable: its own role, that of what it executes, and none of a copy. A child executes what its parent does.
mkdir -p /srv/c/bin
for name in keeper copy plain; do cp "$(readlink -f /bin/busybox)" /srv/c/bin/busybox-$name; done
cat >policy.bfs <<'P'
policy executables;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/", "/sbin/", "/etc/", "/srv/c/bin/";
allow stat on "/*", "/*/*", "/*/*/*";
role keeper { allow read on "/srv/c/users"; }
role anybody { deny read on "/srv/c/bin/busybox-copy"; }
exe "/srv/c/bin/busybox-keeper" : keeper;
exe "/srv/c/bin/busybox-plain" : anybody;
P
want 0 timeout 300 boesfs exec --hook lsm policy.bfs -- /srv/c/bin/busybox-plain sh -c '
    wrong() { echo "WRONG: $*"; exit 9; }
    /srv/c/bin/busybox-keeper cat users || wrong the keeper reads
    /srv/c/bin/busybox-keeper ash -c "(read line <users && echo child: \$line)" || wrong a child of the keeper reads
    /srv/c/bin/busybox-keeper ash -c "exec /srv/c/bin/busybox-plain cat users" 2>/dev/null && wrong what the keeper executes reads
    /srv/c/bin/busybox-copy cat users 2>/dev/null && wrong a copy reads
    (read line <users) 2>/dev/null && wrong plain reads
    (read line </srv/c/bin/busybox-copy) 2>/dev/null && wrong plain reads what it is denied
    /srv/c/bin/busybox-keeper ash -c "(read line </srv/c/bin/busybox-copy); exit 0" || wrong the keeper does what plain may not
    exit 0
'
