#!/usr/bin/env bash
# SQLite with several processes on one database, in WAL mode and with rollback journals.
set -euo pipefail
work="$1"
writers=4 rows=300

check() {
  local mode="$1" database="$work/$1.db" pids=() integrity count sum
  [[ $(sqlite3 "$database" "PRAGMA journal_mode=$mode;") == "$mode" ]] || { echo "no journal mode $mode"; exit 1; }
  sqlite3 "$database" 'CREATE TABLE entries (writer INTEGER, n INTEGER, text TEXT, PRIMARY KEY (writer, n));
                       CREATE INDEX by_text ON entries (text);'
  for writer in $(seq 1 "$writers"); do
    {
      echo '.bail on'
      echo '.timeout 60000'
      echo 'PRAGMA synchronous=NORMAL;'
      for n in $(seq 1 "$rows"); do
        echo "BEGIN IMMEDIATE; INSERT INTO entries VALUES ($writer, $n, hex(randomblob(200)));"
        echo "UPDATE entries SET text = text || '.' WHERE writer = $writer AND n = ($n + 1) / 2; COMMIT;"
      done
    } | sqlite3 "$database" >"$work/writer$writer.log" 2>&1 &
    pids+=($!)
  done
  # A reader meanwhile: what it sees is consistent at every moment.
  for _ in $(seq 1 20); do
    integrity="$(sqlite3 -cmd '.timeout 60000' "$database" 'PRAGMA integrity_check;')"
    [[ $integrity == ok ]] || { echo "while it was written: $integrity"; exit 1; }
  done
  for pid in "${pids[@]}"; do wait "$pid" || { cat "$work"/writer*.log; exit 1; }; done
  count="$(sqlite3 "$database" 'SELECT count(*) FROM entries;')"
  sum="$(sqlite3 "$database" 'SELECT sum(n) FROM entries;')"
  [[ $count -eq $((writers * rows)) ]] || { echo "$mode: $count rows"; exit 1; }
  [[ $sum -eq $((writers * rows * (rows + 1) / 2)) ]] || { echo "$mode: sum $sum"; exit 1; }
  sqlite3 "$database" 'VACUUM;'
  [[ $(sqlite3 "$database" 'PRAGMA integrity_check;') == ok ]]
  [[ $(sqlite3 "$database" 'SELECT count(*) FROM entries;') -eq $count ]]
}

check wal
check delete
