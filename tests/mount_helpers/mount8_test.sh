#!/usr/bin/env bash
# mount(8), fstab, remount and umount(8) as users have them, with the helpers installed in a private copy of /sbin.
# usage: mount8_test.sh BIN_DIRECTORY
set -euo pipefail
bin=$(realpath "$1")
if [ "${2:-}" != inside ]; then
  exec bash "$(dirname "$0")/../support/private_mounts.sh" - bash "$0" "$bin" inside
fi

work=$(mktemp -d /tmp/pxfs-mount8-XXXXXX)
trap 'umount -l "$work"/m* 2>/dev/null || true; umount -l "$sbin" "$work/overlay" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; cat "$work"/c/log/* >&2 || true; exit 1; }
expect() { # EXPECTED ACTUAL WHAT
  [ "$1" = "$2" ] || fail "$3: expected '$1', got '$2'"
}
sbin=$(realpath /sbin)
mkdir "$work/overlay"
mount -t tmpfs tmpfs "$work/overlay"
mkdir "$work/overlay/upper" "$work/overlay/work"
mount -t overlay overlay -o "lowerdir=$sbin,upperdir=$work/overlay/upper,workdir=$work/overlay/work" "$sbin"
for helper in mount umount; do
  cp "$bin/$helper.pxfs" "$sbin/$helper.pxfs"
  ln -s "$helper.pxfs" "$sbin/$helper.fuse.pxfs"
done

cd "$work"
mkdir m
"$bin/pxfs" format c --volume "$work/v1" --volume "$work/v2" >format.log
source=$work/c
shown() { awk -v at="$work/$1" '$2 == at {print $1, $3, $4}' /proc/mounts; }
options_of() { shown "$1" | cut -d' ' -f3 | tr , '\n' | sort | tr '\n' ' '; }

# The source and the type are shown as they are; suid and dev are on for root.
mount -t pxfs "$source" "$work/m"
expect "$source fuse.pxfs" "$(shown m | cut -d' ' -f1,2)" "mount table"
case " $(options_of m)" in *" nosuid "*|*" nodev "*|*" ro "*) fail "options: $(options_of m)";; esac
echo data >m/file

# Remounting.
mount -o remount,ro "$work/m"
case "$(options_of m)" in *"ro "*) ;; *) fail "remount,ro: $(options_of m)";; esac
touch m/more 2>err && fail "writing to a read-only mount"
mount -o remount,rw,noatime "$work/m"
case "$(options_of m)" in *"noatime "*) ;; *) fail "remount,noatime: $(options_of m)";; esac
touch m/more

# umount, and mount again at once although umount does not wait for the daemon.
for i in 1 2 3 4 5 6 7 8 9 10; do
  umount "$work/m"
  mount -t pxfs "$source" "$work/m" -o nosuid,_netdev,x-systemd.automount
  expect data "$(cat m/file)" "content after remounting"
  expect "file more" "$(echo $(ls m))" "names after remounting"
done
case "$(options_of m)" in *"nosuid "*) ;; *) fail "nosuid: $(options_of m)";; esac

# Everything that the mount started ends with it.
supervisor=$(sed -n 's/.*"supervisor_pid": *\([0-9]*\).*/\1/p' c/run/mounts/*.json)
[ -d "/proc/$supervisor" ] || fail "no supervisor"
umount.pxfs "$work/m"
case "$(ps -o stat= -p "$supervisor" || true)" in
  ""|Z*) ;;  # gone, or waiting for init to take note
  *) fail "umount.pxfs returned before the supervisor had ended" ;;
esac
[ -z "$(ls c/run/mounts)" ] || fail "registered mounts are left: $(ls c/run/mounts)"

# fstab.
mkdir m/sub 2>/dev/null || true
cat >fstab <<EOF
$source $work/m pxfs noatime,nofail,x-comment=hello 0 0
EOF
mount -T fstab "$work/m"
expect data "$(cat m/file)" "content of the fstab mount"
umount "$work/m"

# A directory of the namespace, with a relative source and mount point.
mount.pxfs c m
mkdir -p m/sub/deep
echo inner >m/sub/deep/inner
umount "$work/m"
mount.pxfs c m -o subdir=sub/deep
expect "inner" "$(ls m)" "subdir"
expect "c" "$(shown m | cut -d' ' -f1)" "relative source"
umount "$work/m"

# What is wrong is said in one line, with the right status.
check_error() { # STATUS PATTERN COMMAND...
  local status=$1 pattern=$2 got=0
  shift 2
  "$@" >out 2>err || got=$?
  expect "$status" "$got" "status of $*"
  expect 1 "$(wc -l <err)" "lines of error of $*: $(cat err)"
  grep -q -- "$pattern" err || fail "$*: no '$pattern' in: $(cat err)"
}
mkdir empty
check_error 2 "colour" mount.pxfs c m -o colour=red
check_error 2 "mount point" mount.pxfs c
check_error 1 "not a cluster" mount.pxfs empty m
check_error 1 "absent" mount.pxfs c absent
check_error 1 "not a directory" mount.pxfs c fstab
check_error 1 "nowhere" mount.pxfs c m -o subdir=nowhere
chmod 755 "$work"
check_error 1 "only root" setpriv --reuid 65534 --clear-groups "$sbin/mount.pxfs" c m
expect "" "$(shown m)" "a failed mount"
echo "1 passed, 0 failed"
