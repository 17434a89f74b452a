# Roles by user and group with the BPF LSM hook: each task has those of whom it acts as at the moment.
. /lab/lib.sh

mkdir -p /srv/c
cd /srv/c
for file in users groups written both; do echo $file >$file; done
chmod 666 *
mkdir drop same
chmod 777 drop same
echo x >same/f
chmod 666 same/f
cat >policy.bfs <<'P'
policy classes;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/", "/sbin/", "/lab/", "/etc/";
allow stat on "/*", "/*/*", "/*/*/*";
allow stat, create, link, rename, unlink, write on "/srv/c/drop/", "/srv/c/same/";
role reader { allow read on "/srv/c/users", "/srv/c/both", "/srv/c/drop/"; }
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
    as 1000 --groups 1,2,3,4,5,6,50 "cat users groups both" || wrong alice reads by the last of her groups
    as 1000 --groups 50 "echo x >written" && wrong alice writes
    as 1000 --groups 1000 "cat groups" && wrong alice reads without the group
    as 1001 --groups 50 "echo bob >written; cat groups" || wrong bob writes
    as 1001 --groups 50 "cat users" && wrong bob reads
    # Nobody: roles that may not be held together.
    as 1000 --groups 60 "cat users" && wrong reads as one with separated roles
    as 1000 --groups 60 "echo x >both" && wrong writes as one with separated roles
    as 1000 --groups 50 "cat users" || wrong alice reads again
    # What others could open at the new name and not at the old one stays where it is, whoever moves it.
    for who in 1000 1001 1002; do
        as $who --groups $who "ln same/f drop/f" && wrong $who links a file to where readers read it
        as $who --groups $who "mv same/f drop/f" && wrong $who moves a file to where readers read it
        as $who --groups $who "mv same/f same/g && ln same/g same/f && rm same/g" || wrong $who has no other name for it
    done
    exit 0
'
[ "$(cat written)" = bob ] || fail "written: $(cat written)"
