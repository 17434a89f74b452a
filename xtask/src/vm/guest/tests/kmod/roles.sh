# Roles under the module: by user, by group, and by the file that a process executes, which the module finds out by itself. What an
# executable is follows its name, its removal, and a new policy.
# seconds: 300
. /lab/lib.sh

mkdir -p /srv/bin /srv/vault /srv/tmp /srv/sign
chmod 1777 /srv/tmp /srv/sign
for file in exe alice staff two; do echo "$file" >"/srv/vault/$file"; done
keeper() {
    rm -f /srv/bin/* /srv/tmp/*
    cp /usr/bin/dash /srv/bin/keeper
}
keeper
cat >policy.bfs <<'P'
policy roles;
default deny;
let program = "/srv/bin/keeper";
allow view, exec on "/usr/", "/lib*/", "/bin/", "/sbin/", "/etc/";
allow stat on "/*", "/*/*";
allow all on "/srv/bin/", "/srv/tmp/", "/srv/sign/";
role keeper { allow read on "/srv/vault/exe"; }
role hers { allow read on "/srv/vault/alice"; }
role team { allow read on "/srv/vault/staff"; }
role one { allow read on "/srv/vault/two"; }
role other { allow read on "/srv/vault/two"; }
exe "{program}" : keeper;
user 1000 : hers;
group 50 : team;
user 1001 : one;
group 51 : other;
separate one, other;
P

# inside STATUS OPTION... -- SCRIPT: the script ends like this in the sandbox.
inside() {
    want "$1" timeout 100 boesfs exec --hook kmod --quiet --cap setuid,setgid --audit /tmp/work/audit policy.bfs -- sh -uc "$2"
}

# What all scripts start with: `reads WHAT COMMAND...` and `refused WHAT COMMAND...` run a shell that reads that file of the vault.
start='
reads() { what=$1; shift; "$@" -c "read line <\$0" "/srv/vault/$what" || { echo "cannot read $what: $*"; exit 11; }; }
refused() { what=$1; shift; if "$@" -c "read line <\$0" "/srv/vault/$what" 2>/dev/null; then echo "reads $what: $*"; exit 12; fi; }
k=/srv/bin/keeper
'

# The executable's role, and nobody else has it: neither a copy, nor another name, nor a child, nor who is called the same.
inside 0 "$start"'
reads exe $k
refused exe sh
cp $k /srv/tmp/keeper && refused exe /srv/tmp/keeper
ln -s $k /srv/tmp/link && reads exe /srv/tmp/link
ln $k /srv/tmp/hard 2>/dev/null && refused exe /srv/tmp/hard
refused exe $k -c "exec sh \"\$@\"" sh
refused exe $k -c "sh \"\$@\"; exit \$?" sh
reads exe sh -c "exec \"\$@\"" sh $k
exit 0
'
# It goes with the name, and comes back with it; not with the file.
keeper
inside 0 "$start"'
$k -c "
    read line </srv/vault/exe || exit 1
    mv $k /srv/bin/else || exit 2
    if read line </srv/vault/exe; then exit 3; fi
    mv /srv/bin/else $k || exit 4
    read line </srv/vault/exe || exit 5
    rm $k || exit 6
    if read line </srv/vault/exe; then exit 7; fi
    cp /usr/bin/dash $k || exit 8
    if read line </srv/vault/exe; then exit 9; fi
    exit 0
" 2>/dev/null || { echo "keeper: $?"; exit 1; }
reads exe $k
'
# Where nobody inside may write to that path or give another file that name, nobody puts a program of his own there: not by a copy, a move, a
# link, an exchange, nor by moving directories. (A rule of the module's own against moves alone would keep nobody from copying.)
keeper
cp policy.bfs open.bfs
echo 'deny edit on "{program}";' >>policy.bfs
inside 0 "$start"'
cp /usr/bin/dash /srv/tmp/mine
exchange() { python3 -c "import ctypes, sys; sys.exit(ctypes.CDLL(None).renameat2(-100, b\"$1\", -100, b\"$2\", 2) != 0)"; }
attempts=0
fails() { if "$@" 2>/dev/null; then echo "done: $*"; exit 13; fi; attempts=$((attempts + 1)); }
fails cp /srv/tmp/mine $k
fails mv /srv/tmp/mine $k
fails ln -f /srv/tmp/mine $k
fails ln -sf /srv/tmp/mine $k
fails exchange /srv/tmp/mine $k
fails mv $k /srv/bin/else
fails rm $k
fails mv /srv/bin /srv/tmp/bin
mkdir /srv/tmp/new && cp /usr/bin/dash /srv/tmp/new/keeper
fails exchange /srv/tmp/new /srv/bin
[ $attempts = 9 ]
reads exe $k
refused exe /srv/tmp/mine
'
same /srv/bin/keeper /usr/bin/dash
[ "$(find /srv/bin -inum "$(stat -c %i /srv/bin/keeper)")" = /srv/bin/keeper ] || fail "the keeper has moved"
rm -r /srv/tmp/bin /srv/tmp/new
mv open.bfs policy.bfs

# Threads and forks have it as their process does.
keeper
inside 0 "$start"'$k -c "( read line </srv/vault/exe ) && ( ( read line </srv/vault/exe ) )"'

# Users and groups, alone and together with the executable; more groups than can be told are nobody.
inside 0 "$start"'
alice="setpriv --reuid 1000 --regid 1000 --clear-groups" staff="setpriv --reuid 1002 --regid 1002 --groups 50"
reads alice $alice sh
refused staff $alice sh
reads staff $staff sh
refused alice $staff sh
reads staff setpriv --reuid 1002 --regid 50 --clear-groups sh
refused alice sh
refused exe $alice sh
reads exe $alice $k
reads alice $alice $k
reads two setpriv --reuid 1001 --regid 1001 --clear-groups sh
reads two setpriv --reuid 1002 --regid 51 --clear-groups sh
many=$(seq -s , 100 131)
reads alice setpriv --reuid 1000 --regid 1000 --groups $many sh
refused alice setpriv --reuid 1000 --regid 1000 --groups $many,132 sh
'
# Separated roles at once are refused everything, also a look at what is not there.
inside 0 '
setpriv --reuid 1001 --regid 51 --clear-groups /usr/bin/true 2>/dev/null && exit 1
exit 0
'
grep -q '"path":"/srv/vault/exe"' audit || fail "refusals are not on record: $(head -3 audit)"

# A new policy has other executables: who runs has the role of the new one at once.
sed 's|^let program.*|let program = "/srv/bin/second";|' policy.bfs >second.bfs
cp policy.bfs live.bfs
cp /srv/bin/keeper /srv/bin/second
boesfs exec --hook kmod --quiet live.bfs -- /srv/bin/keeper -uc '
    read line </srv/vault/exe || exit 1
    : >/srv/sign/first
    while [ ! -e /srv/sign/go ]; do sleep 0.1; done
    if read line </srv/vault/exe; then exit 2; fi
    /srv/bin/second -c "read line </srv/vault/exe" || exit 3
    exit 0
' 2>/dev/null &
agent=$!
for try in $(seq 300); do
    [ ! -e /srv/sign/first ] || break
    usleep 100000
done
[ -e /srv/sign/first ] || fail "the sandbox did not start"
cp second.bfs live.bfs
want 0 boesfs reload "$agent"
: >/srv/sign/go
status=0
wait "$agent" || status=$?
[ "$status" = 0 ] || fail "after the reload: status $status"
