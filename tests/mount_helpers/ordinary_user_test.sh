#!/usr/bin/env bash
# An ordinary user formats, fills, mounts, uses and unmounts a cluster of his own, by fusermount3, in a private mount
# namespace; and what he may not do is said in one line. usage: ordinary_user_test.sh BIN_DIRECTORY
set -euo pipefail
bin=$(realpath "$1")
if [ "${2:-}" != inside ]; then
  exec bash "$(dirname "$0")/../support/private_mounts.sh" - bash "$0" "$bin" inside
fi

# fusermount3 wants users that have a name.
user=$(id -u nobody) other=$(id -u daemon)
work=$(mktemp -d /tmp/pxfs-ordinary-XXXXXX)
cleanup() { umount -l "$work/home/m" 2>/dev/null || true; umount -l /dev/fuse "$work/dev" 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
fail() { echo "FAILED: $*" >&2; cat "$work"/err "$work"/c/log/* >&2 2>/dev/null || true; exit 1; }
expect() { # EXPECTED ACTUAL WHAT
  [ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"
}
# The build directory may be closed to others.
mkdir "$work/bin"
cp "$bin"/{pxfs,pxfs-job,mount.pxfs,umount.pxfs} "$work/bin"
chmod 755 "$work"
# Where udev runs it is everybody's.
mkdir "$work/dev"
mount -t tmpfs tmpfs "$work/dev"
mknod -m 666 "$work/dev/fuse" c 10 229
mount --bind "$work/dev/fuse" /dev/fuse
mkdir -m 755 "$work/home"
chown $user:$user "$work/home"
cd "$work/home"
export PATH="$work/bin:$PATH" PXFS_CLUSTER="$work/home/c"
as() { # UID COMMAND...
  local uid=$1
  shift
  setpriv --reuid "$uid" --regid "$uid" --clear-groups -- "$@"
}
check_error() { # PATTERN COMMAND...
  local pattern=$1 got=0
  shift
  "$@" >"$work/out" 2>"$work/err" || got=$?
  expect 1 "$got" "status of $*"
  expect 1 "$(wc -l <"$work/err")" "lines of error of $*"
  grep -q -- "$pattern" "$work/err" || fail "$*: no '$pattern' in: $(cat "$work/err")"
}
gone() { # PID: waits for its end
  timeout 20 tail -s 0.02 --pid="$1" -f /dev/null || fail "process $1 has not ended"
}
supervisor() { sed -n 's/.*"supervisor_pid": *\([0-9]*\).*/\1/p' c/run/mounts/*.json; }
daemon() { sed -n 's/.*"daemon_pid": *\([0-9]*\).*/\1/p' c/run/mounts/*.json; }

as $user pxfs format c --volume v1 --volume v2 >/dev/null 2>&1 || fail "format"
as $user mkdir m src
as $user sh -c 'echo one >src/one; echo two >src/two; chmod 444 src/two'
cp /bin/true src/root
chmod 6755 src/root

# Bringing in without a mount: what was root's is the user's, and has no set-id bits.
as $user pxfs ingest --no-progress src pxfs:/ --cluster c >"$work/out" 2>&1 || fail "ingest: $(cat "$work/out")"
as $user pxfs where pxfs:/src/one --cluster c >"$work/out" || fail "where"
grep -q "$work/home/v[12]/objects/" "$work/out" || fail "where: $(cat "$work/out")"
as $user pxfs fsck --cluster c >"$work/out" 2>&1 || fail "fsck: $(cat "$work/out")"

# The mount, and the one line about what it does without.
as $user mount.pxfs c m 2>"$work/err" || fail "mount.pxfs"
expect 1 "$(wc -l <"$work/err")" "lines said at the mount"
grep -q "without passthrough" "$work/err" || fail "said at the mount"
line=$(grep " $work/home/m fuse.pxfs " /proc/mounts)
case "$line" in "c "*nosuid,nodev*user_id=$user*) ;; *) fail "mount table: $line" ;; esac
expect one "$(as $user cat m/src/one)" "what was brought in"
expect "$user $user 755" "$(as $user stat -c '%u %g %a' m/src/root)" "a file that was root's"
expect "444" "$(as $user stat -c '%a' m/src/two)" "the mode of a file that is read-only"
as $user sh -ec '
  cd m
  mkdir d
  echo text >d/file; ln d/file d/hard; ln -s file d/soft; mkfifo d/fifo
  (umask 0777; echo closed >d/closed) # readable for nobody, but written by who made it
  [ "$(stat -c %a d/closed)" = 0 ]
  chmod 400 d/closed; [ "$(cat d/closed)" = closed ]
  chmod 600 d/closed; echo more >>d/closed
  mv d/file d/moved; [ "$(cat d/soft 2>/dev/null || echo dangling)" = dangling ]
  setfattr -n user.colour -v red d/moved; [ "$(getfattr --only-values -n user.colour d/moved)" = red ]
  dd if=/dev/zero of=d/big bs=1M count=8 status=none; truncate -s 5M d/big; [ "$(stat -c %s d/big)" = 5242880 ]
  cp -a /etc/services d/; cmp /etc/services d/services
  touch -d 2001-02-03 d/moved; [ "$(stat -c %Y d/moved)" = "$(date -d 2001-02-03 +%s)" ]
  ! chown 0 d/moved 2>/dev/null
  rm d/hard
' || fail "using the mount"
as $user pxfs status >"$work/out" 2>"$work/err" || fail "status"
as $user pxfs where m/d/big >"$work/out" 2>"$work/err" || fail "where on the mount"
# It is for this user alone.
as $other ls m >/dev/null 2>&1 && fail "another user got in"
check_error "only where root" as $user pxfs-job submit -o pxfs:/out -- true

# The mount outlives its daemon.
old=$(daemon)
kill -9 "$old"
gone "$old"
expect text "$(as $user cat m/d/moved)" "reading after the daemon was killed"

# umount.
pid=$(supervisor)
check_error "" as $other fusermount3 -u m
as $user fusermount3 -u m || fail "fusermount3 -u"
gone "$pid"
as $user mount.pxfs c m -o ro,noatime,passthrough=on 2>"$work/err" || fail "mounting read-only"
expect 1 "$(wc -l <"$work/err")" "lines said at the second mount"
as $user sh -c 'touch m/new 2>/dev/null' && fail "writing to a read-only mount"
pid=$(supervisor)
as $user umount.pxfs m || fail "umount.pxfs"
[ ! -d "/proc/$pid" ] || case "$(ps -o stat= -p "$pid" || true)" in ""|Z*) ;; *) fail "umount.pxfs did not wait" ;; esac
as $user mount.pxfs c m 2>/dev/null || fail "mounting a third time"
pid=$(supervisor)
kill "$pid" # what unmounts for root does so here
gone "$pid"
grep " $work/home/m " /proc/mounts && fail "SIGTERM left the mount"
# Of the daemon that was killed sessions are left for a while.
as $user pxfs fsck --repair --cluster c >"$work/out" 2>&1 || true
as $user pxfs fsck --cluster c >"$work/out" 2>&1 || fail "fsck after it all: $(cat "$work/out")"
errors=$(grep -hE '^[^ ]+ [0-9]+ [EC] ' c/log/* | grep -v 'ended with signal' || true)
expect "" "$errors" "errors in the log"

# What is refused, in a line.
check_error "somebody else" as $other mount.pxfs c m
check_error "allow_other" as $user mount.pxfs c m -o allow_other
check_error "strictatime" as $user mount.pxfs c m -o strictatime
mkdir -m 700 "$work/home/roots"
check_error "fusermount3" as $user mount.pxfs c "$work/home/roots"
check_error "copy through a mount" as $other pxfs ingest src pxfs:/ --cluster c
check_error "adopt" as $user pxfs ingest --adopt src pxfs:/b --cluster c
umount /dev/fuse
mount --bind /dev/null /dev/fuse
check_error "fusermount3" as $user mount.pxfs c m
expect "" "$(grep " $work/home/m " /proc/mounts || true)" "a failed mount"
echo "1 passed, 0 failed"
