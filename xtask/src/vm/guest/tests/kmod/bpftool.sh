# A policy object is one for everybody's loader: bpftool registers it with the module by a link that it pins, a mount goes by it, and when
# the pin goes, everything is denied.
# seconds: 300
. /lab/lib.sh
mkdir -p /srv/tree/closed /srv/judged /srv/links
mount -t bpf bpf /srv/links
echo text >/srv/tree/open
echo secret >/srv/tree/closed/secret
cat >shelf.bfs <<'P'
policy shelf;
default deny;
allow all on "/srv/tree/";
deny read on "/srv/tree/closed/**";
hide all on "/srv/tree/gone";
P
: >/srv/tree/gone
want 0 boesfsc compile shelf.bfs -o shelf.o

status=0
bpftool struct_ops register shelf.o /srv/links >said 2>&1 || status=$?
# Version 7.5 ends by a signal when it tells what it has registered, if that belongs to a module.
case $status in 0 | 139) ;; *) cat said; fail "bpftool ended with status $status" ;; esac
[ -e /srv/links/boesfs_policy ] || { cat said; fail "no link is pinned: $(ls /srv/links)"; }
want 0 mount -t boesfs -o lower=/srv/tree,at=/srv/tree,policy=shelf none /srv/judged

[ "$(cat /srv/judged/open)" = text ] || fail "what is allowed is not"
echo more >>/srv/judged/open || fail "what is allowed is not"
same /srv/judged/open /srv/tree/open
want 1 cat /srv/judged/closed/secret 2>refusal
has refusal 'Permission denied'
want 1 cat /srv/judged/gone 2>refusal
has refusal 'No such file'
[ "$(ls /srv/judged | tr '\n' ' ')" = 'closed open ' ] || fail "a listing: $(ls /srv/judged)"

# A policy of that name is there, and no other can have it.
want 255 bpftool struct_ops register shelf.o >said 2>&1

# Who opens and reads while the policy goes is refused from then on, whatever he has got open.
cat >open.py <<'P'
import os, sys, time
def reads(fd):
    try:
        return os.pread(fd, 4, 0)
    except PermissionError:
        return None
held = []
open("opening", "w")
while True:
    try:
        held.append(os.open("/srv/judged/open", os.O_RDONLY))
    except PermissionError:
        break
    if len(held) > 100:
        os.close(held.pop(0))
# Walking ends first; the programs answer until the last moment.
end = time.monotonic() + 2
while time.monotonic() < end:
    read = [fd for fd in held if reads(fd)]
if read:
    sys.exit(f"{len(read)} of {len(held)} files are read without a policy")
P
python3 open.py &
opener=$!
while [ ! -e opening ]; do usleep 10000; done
rm /srv/links/boesfs_policy
# Links go when the last grace period has passed.
for try in $(seq 100); do
    cat /srv/judged/open >/dev/null 2>&1 || break
    usleep 100000
done
want 1 cat /srv/judged/open 2>refusal
has refusal 'Permission denied'
want 1 ls /srv/judged 2>refusal
want 0 wait "$opener"
want 0 umount /srv/judged
umount /srv/links
unused
