#!/usr/bin/env bash
# git: clone, commit, branch, merge, gc and fsck of a repository of thousands of files.
set -euo pipefail
work="$1" scratch="$2"
export HOME="$scratch" GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
git config --global user.name Tester
git config --global user.email tester@localhost
git config --global init.defaultBranch main
git config --global maintenance.auto false

origin="$scratch/origin"
mkdir "$origin"
(
  cd "$origin"
  mkdir -p dir{1..60}/sub
  awk 'BEGIN {
    for (i = 1; i <= 60; ++i) {
      lines = ""
      for (j = 1; j <= 50; ++j) {
        lines = lines j "\n"
        file = "dir" i "/f" j ".txt"
        printf "file %d of directory %d\n%s", j, i, lines >file
        close(file)
      }
      script = "dir" i "/sub/run.sh"
      print "#!/bin/sh\nexit 0" >script
      close(script)
    }
  }'
  chmod +x dir*/sub/run.sh
  for i in {1..60}; do ln -s ../f1.txt "dir$i/sub/link"; done
)
git -C "$origin" init -q
git -C "$origin" add -A
git -C "$origin" commit -qm 'First'

# The same history, made in a clone at $1; prints the tree that it leads to.
history() {
  local repository="$1"
  git clone -q --no-hardlinks "$origin" "$repository"
  cd "$repository"
  git checkout -q -b topic
  for i in {1..60}; do echo 'changed on the topic' >>"dir$i/f2.txt"; done
  for i in {1..10}; do git mv "dir$i/f3.txt" "dir$i/renamed.txt"; done
  git rm -q dir{1..60}/f4.txt
  git commit -qam 'Topic'
  git checkout -q main
  for i in $(seq 1 60); do echo 'changed on main' >>"dir$i/f5.txt"; done
  git commit -qam 'Main'
  git merge -q --no-edit topic
  git stash list
  echo 'work in progress' >>dir1/f6.txt
  git stash -q
  git stash pop -q
  git checkout -q -- dir1/f6.txt
  for i in 1 2 3; do
    echo "$i" >"new$i"
    git add "new$i"
    git commit -qm "New $i"
    git tag "t$i"
  done
  git repack -q -d
  git gc --quiet --prune=now
  git fsck --full --strict --no-progress 1>&2
  git worktree add -q "$repository-tree" t1
  git -C "$repository-tree" status --porcelain
  git worktree remove "$repository-tree"
  git status --porcelain
  git rev-parse HEAD 'HEAD^{tree}'
}

expected="$(history "$scratch/clone")"
actual="$(history "$work/clone")"
if [[ $expected != "$actual" ]]; then
  printf 'git came to another result.\nnative: %s\nhere:   %s\n' "$expected" "$actual"
  exit 1
fi
# A fresh process, after everything was written: nothing differs from the index, and the files are the same.
[[ -z $(git -C "$work/clone" status --porcelain) ]] || { git -C "$work/clone" status; exit 1; }
git -C "$work/clone" fsck --full --strict --no-progress
diff -r --no-dereference --exclude=.git "$scratch/clone" "$work/clone"
