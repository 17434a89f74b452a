# The whole jobs: `sh jobs.sh NAME`, after `sh jobs.sh NAME-prepare`. JOBS_DIR is where the work is done.
set -eu
dir=${JOBS_DIR:-/b}
case $1 in
untar-prepare) rm -rf "$dir/untarred" && mkdir "$dir/untarred" ;;
untar) tar xf /lab/tree.tar -C "$dir/untarred" ;;
tar-prepare) ;;
tar) tar cf - -C "$dir" tree | cat >/dev/null ;;
find-prepare) ;;
find) find "$dir/tree" -type f -size +2k >/dev/null ;;
grep-prepare) ;;
grep) grep -r needle "$dir/tree" >/dev/null || [ $? = 1 ] ;;
build-prepare) rm -f "$dir"/build/*.o ;;
build) cd "$dir/build" && make -s all ;;
git-status-prepare) ;;
git-status) cd "$dir/tree" && git status --short >/dev/null ;;
esac
