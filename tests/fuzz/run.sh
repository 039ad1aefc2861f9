#!/bin/sh
# run.sh TARGET: fuzzes for ten seconds, or five minutes with PXFS_LONG=1. What it finds stays in build/fuzz/corpus/TARGET, so a
# later run goes on from there; an input that fails is build/fuzz/TARGET-*, and running the target with it repeats the failure.
set -eu
seconds=10
[ "${PXFS_LONG:-0}" = 1 ] && seconds=300
cd build/fuzz
mkdir -p "corpus/$1"
exec "bin/fuzz_$1" -max_total_time=$seconds -rss_limit_mb=2048 -timeout=10 -max_len=8192 -print_final_stats=1 -verbosity=0 \
  -artifact_prefix="$1-" "corpus/$1" "seeds/$1"
