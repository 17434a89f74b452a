# What the module remembers of a name or an open file, in place of asking again, ends where it is not so any more: after a rename here or
# below, a new owner or mode below, an object that takes another's place, and a new policy.
# seconds: 200
. /lab/lib.sh

dir=/srv/known
mkdir -p $dir/list $dir/closed $dir/sign
for file in a b c; do echo "$file" >$dir/list/$file; done
echo in >$dir/closed/f
echo held >$dir/held
echo dark >$dir/dark
cat >first.bfs <<'P'
policy known;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/";
allow stat on "/*", "/*/*";
allow all on "/srv/known/";
hide stat on "/srv/known/list/**/secret";
deny read on "/srv/known/**/*.pem";
deny write on "/srv/known/**/*.ro";
deny read, write on "/srv/known/dark";
P
sed 's|^hide.*|hide stat on "/srv/known/list/b"; deny read, map on "/srv/known/held";|' first.bfs >second.bfs
cp first.bfs live.bfs

# The sandbox and this script take turns: `tell X`, and `await X`.
turns $dir/sign >$dir/sign/turns
cat >>$dir/sign/turns <<'T'
listed() { [ "$(echo $(ls /srv/known/list))" = "$1" ] || { echo "listed: $(echo $(ls /srv/known/list)), not $1"; exit 91; }; }
refused() { if "$@" 2>/dev/null; then echo "not refused: $*"; exit 92; fi; }
allowed() { "$@" || { echo "refused: $*"; exit 93; }; }
T
boesfs exec --hook kmod --quiet --no-native live.bfs -- sh -uc '
. /srv/known/sign/turns
cd /srv/known/list
exec 3</srv/known/held
# Known, and so listed without a question; renamed here, it is not found any more.
cat a b c >/dev/null
listed "a b c"
mv c secret
listed "a b"
refused test -e secret
# Made here, in one question: the rights are those of the name, and move with it.
allowed sh -c "echo x >new.pem"
refused cat new.pem
allowed sh -c "echo x >new"
allowed cat new
allowed mv new was.pem
refused cat was.pem
refused mv was.pem new
refused sh -c "echo x >made.ro"
refused test -e made.ro
refused sh -c "echo x <>both.pem"
refused test -e both.pem
rm new.pem was.pem
# Opened for neither reading nor writing, a file would still tell its size by lseek(2).
refused python3 -c "import os; os.lseek(os.open(\"../dark\", 3), 0, 2)"
allowed python3 -c "import os; os.lseek(os.open(\"../held\", 3), 0, 2)"
allowed test -e ../closed/f
tell in1; await out1
# Renamed below.
listed "a b c"
# A new owner and mode of a directory below, seen by who is in it and who is not.
refused test -e ../closed/f
tell in2; await out2
allowed test -e ../closed/f
# Another object of that name below.
[ "$(cat a)" = other ] || { echo "the old file"; exit 94; }
read -r line <&3
tell in3; await out3
# A new policy.
listed "a c secret"
exec 4<../list/a
refused sh -c "cat <&3"
refused cat ../held
allowed sh -c "cat <&4"
' >said 2>&1 &
agent=$!
. $dir/sign/turns
trap 'cat said' EXIT
await in1
mv $dir/list/secret $dir/list/c
chown 1 $dir/closed
chmod 700 $dir/closed
tell out1
await in2
chmod 755 $dir/closed
echo other >$dir/list/fresh
mv $dir/list/fresh $dir/list/a
tell out2
await in3
mv $dir/list/b $dir/list/secret
echo b >$dir/list/b
cp second.bfs live.bfs
want 0 boesfs reload "$agent"
tell out3
status=0
wait "$agent" || status=$?
[ "$status" = 0 ] || fail "status $status"

# What a sandbox does itself is neither judged nor on record: the policy may kill for a look at the root.
cat >root.bfs <<'P'
policy root;
default deny;
allow view, exec on "/usr/", "/lib*/", "/bin/";
kill stat on "/";
P
want 0 boesfs exec --hook kmod --quiet --no-native --audit records root.bfs -- true
[ ! -s records ] || fail "on record: $(cat records)"
