#!/usr/bin/env bash
# Runs a command in a mount namespace of its own, in which only its processes are, all of which end with it. What other
# tests have mounted is not there: a copy would keep their file systems in use after they have unmounted them.
# usage: private_mounts.sh KEPT COMMAND...    KEPT: a path whose mount stays; - where none shall
set -euo pipefail
if [[ $1 != --inside ]]; then
  exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc bash "$0" --inside "$@"
fi
kept="$2"
shift 2
awk '$5 ~ "/pxfs-" { print $5 }' /proc/self/mountinfo | tac | while read -r at; do
  # One that is gone already went with one above it.
  case "$kept/" in "$at"/*) ;; *) umount -l "$at" 2>/dev/null || true ;; esac
done
exec "$@"
