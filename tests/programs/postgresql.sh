#!/usr/bin/env bash
# PostgreSQL: a database is loaded, changed by several clients at a time, killed amidst of that, and recovered.
set -euo pipefail
work="$1"
# The server does not run as root, and whom it runs as must reach the directory; with this script its processes end.
if [[ ${3:-} != inside ]]; then
  exec bash "$(dirname "$0")/../support/private_mounts.sh" "$work" bash "$0" "$1" "$2" inside
fi
mount --bind "$work" /mnt
data=/mnt/data
bin="$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)"
log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# COMMAND...: of the server's programs, as its user; what it says is shown where it fails.
as_server() {
  (cd / && setpriv --reuid=postgres --regid=postgres --clear-groups "$bin/$1" "${@:2}") >"$log" 2>&1 ||
    { cat "$log"; [[ ! -f $data/server.log ]] || tail -n 40 "$data/server.log"; return 1; }
}
start() {
  as_server pg_ctl -D "$data" -w -t 120 -l "$data/server.log" \
    -o "-c listen_addresses='' -c unix_socket_directories=$data" start
}
bench() { as_server pgbench -h "$data" --no-vacuum --client 4 --jobs 2 "$@" postgres; }
ask() { as_server psql -h "$data" -X -q -t -A -v ON_ERROR_STOP=1 -c "$1" postgres && cat "$log"; }

# Every transaction moves the same amount in all of these.
check_balances() {
  local sums
  sums="$(ask 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history)
    AND (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history)
    AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history);')"
  [[ $sums == t ]] || { echo "$1: the balances do not agree"; exit 1; }
}
check_pages() { as_server pg_amcheck -h "$data" --install-missing --heapallindexed --parent-check postgres; }

install -d -o postgres -m 700 "$data"
as_server initdb -D "$data" --auth=trust --no-locale --data-checksums --no-instructions
start
as_server pgbench -h "$data" --initialize --scale 2 --quiet postgres
bench --transactions 250
[[ $(ask 'SELECT count(*) FROM pgbench_history;') -eq 1000 ]] || { echo 'after 1000 transactions:' "$(cat "$log")"; exit 1; }
check_balances 'after 1000 transactions'

# Killed while clients wait for it. What was committed is there.
committed_log="$(mktemp)"
(cd / && setpriv --reuid=postgres --regid=postgres --clear-groups \
  "$bin/pgbench" -h "$data" --no-vacuum --client 4 --jobs 2 --time 60 postgres >"$committed_log" 2>/dev/null) &
clients=$!
until [[ $(ask 'SELECT count(*) FROM pgbench_history;') -gt 1300 ]]; do :; done
as_server pg_ctl -D "$data" stop -m immediate
wait "$clients" && { echo 'the clients did not notice that the server was killed'; exit 1; }
committed="$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$committed_log")"
rm -f "$committed_log"
[[ $committed -gt 0 ]] || { echo 'no transaction was committed before the server was killed'; exit 1; }
start
grep -q 'redo done' "$data/server.log" || { echo 'the server had nothing to recover'; exit 1; }
rows="$(ask 'SELECT count(*) FROM pgbench_history;')"
[[ $rows -ge $((1000 + committed)) ]] || { echo "$committed transactions were committed, and $((rows - 1000)) are there"; exit 1; }
check_balances 'after recovery'
check_pages
as_server pg_ctl -D "$data" stop -m fast
as_server pg_checksums --check -D "$data"
