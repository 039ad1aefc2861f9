#!/usr/bin/env bash
# git.sh DIRECTORY HOME: a repository made, cloned, changed, packed and checked in DIRECTORY, which is empty; HOME is for
# git's configuration.
set -euo pipefail
work="$1"
export HOME="$2" GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=Tester GIT_AUTHOR_EMAIL=tester@localhost GIT_COMMITTER_NAME=Tester GIT_COMMITTER_EMAIL=tester@localhost
git init -q -b main "$work/origin"
cd "$work/origin"
mkdir dir{1..5}
for i in {1..5}; do
  for j in {1..20}; do echo "file $j of directory $i" >"dir$i/f$j"; done
done
git add -A
git commit -qm First
git clone -q --no-hardlinks "$work/origin" "$work/clone"
cd "$work/clone"
git checkout -q -b topic
for i in {1..5}; do echo changed >>"dir$i/f1"; done
git mv dir1/f2 dir2/moved
git rm -q dir{1..5}/f3
git commit -qam Topic
git push -q origin topic
git -C "$work/origin" merge -q topic
for repository in "$work/origin" "$work/clone"; do
  git -C "$repository" gc --quiet --prune=now
  git -C "$repository" fsck --full --strict --no-progress
  [[ -z $(git -C "$repository" status --porcelain) ]]
done
diff -r --exclude=.git "$work/origin" "$work/clone"
