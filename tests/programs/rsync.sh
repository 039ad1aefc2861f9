#!/usr/bin/env bash
# rsync -aHAX there and back without a difference; tar of the copy equal to tar of the source.
set -euo pipefail
work="$1" scratch="$2"
source="$scratch/source"

mkdir -p "$source/docs" "$source/modes" "$source/links/deep" "$source/attributes" "$source/special" "$source/empty"
# Real files: a part of this machine's documentation and headers.
(cd /usr/share/doc && find . -maxdepth 2 -type f | LC_ALL=C sort | sed -n '1,1500p' | tar -cf - -T -) | tar -C "$source/docs" -xf -
(cd /usr/include && find . -maxdepth 2 -type f | LC_ALL=C sort | sed -n '1,1000p' | tar -cf - -T -) | tar -C "$source/docs" -xf -
for mode in 0000 0444 0600 0755 1644 2755 4755 6755; do
  echo "$mode" >"$source/modes/f$mode"
  chmod "$mode" "$source/modes/f$mode"
done
mkdir -m 1777 "$source/modes/sticky"
mkdir -m 2775 "$source/modes/setgid"
for owner in 1000:1000 1:2 65534:65534; do
  echo "$owner" >"$source/modes/of-$owner"
  chown "$owner" "$source/modes/of-$owner"
done
echo 'one file, three names' >"$source/links/a"
ln "$source/links/a" "$source/links/b"
ln "$source/links/a" "$source/links/deep/c"
ln -s ../a "$source/links/deep/relative"
ln -s /etc/hostname "$source/links/absolute"
ln -s nowhere "$source/links/dangling"
chown -h 1000:1000 "$source/links/dangling"
echo x >"$source/attributes/f"
setfattr -n user.short -v value "$source/attributes/f"
setfattr -n user.binary -v 0x00ff10 "$source/attributes/f"
setfattr -n trusted.note -v hidden "$source/attributes/f"
setfacl -m u:1000:rw,g:2000:r "$source/attributes/f"
setfacl -d -m u:1000:rwx "$source/attributes"
setfattr -n user.of -v directory "$source/attributes"
truncate -s 20M "$source/special/sparse"
echo data | dd of="$source/special/sparse" bs=1 seek=10M conv=notrunc status=none
mkfifo "$source/special/fifo"
mknod "$source/special/null" c 1 3
head -c 5000000 /dev/urandom >"$source/special/random"
touch -d '1965-03-04 05:06:07.123456789' "$source/special/before-1970"
touch -d '2100-01-01 00:00:00.987654321' "$source/special/after-2038"
printf 'odd' >"$source/special/"$'new\nline \xff'
touch -d '2001-02-03 04:05:06.5' "$source/empty"

# rsync's own list of what it would change: empty when nothing differs. Nanoseconds count (--modify-window=-1).
differences() {
  rsync -aHAX --modify-window=-1 -n -i --checksum --delete --devices --specials "$1/" "$2/" >"$scratch/differences"
  if [[ -s $scratch/differences ]]; then
    echo "$1 and $2 differ:"
    head -n 20 "$scratch/differences"
    exit 1
  fi
}
rsync -aHAX --modify-window=-1 "$source/" "$work/copy/"
differences "$source" "$work/copy"
differences "$work/copy" "$source"
rsync -aHAX --modify-window=-1 "$work/copy/" "$scratch/back/"
differences "$source" "$scratch/back"

# A second run with changes transfers just them.
echo 'changed' >>"$source/docs/$(cd "$source/docs" && ls -p | grep -v / | sed -n 1p)"
rm -r "$source/empty"
mv "$source/links/b" "$source/links/renamed"
rsync -aHAX --modify-window=-1 --delete "$source/" "$work/copy/"
differences "$source" "$work/copy"
rsync -aHAX --modify-window=-1 --delete --inplace --no-whole-file "$work/copy/" "$scratch/back/"
differences "$source" "$scratch/back"

digest() { tar -C "$1" --sort=name --format=posix --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime --acls -cf - . | sha256sum; }
[[ $(digest "$source") == "$(digest "$work/copy")" ]] || { echo 'tar of the copy is not tar of the source'; exit 1; }
# And unpacked on the mount again.
mkdir "$work/unpacked"
tar -C "$source" --format=posix --acls --xattrs --xattrs-include='*' -cf - . | tar -C "$work/unpacked" --acls --xattrs --xattrs-include='*' -xpf -
differences "$source" "$work/unpacked"
