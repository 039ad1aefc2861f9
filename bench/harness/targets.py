"""What is promised: (subject, operation) at least `factor` times the rate of another subject in the same run."""

import collections

Target = collections.namedtuple("Target", "subject operation factor of")

TARGETS = [
    Target("pxfs", "create", 1.0, "mergerfs"),
    Target("pxfs", "stat_cached", 0.95, "ext4"),
    Target("pxfs", "missing", 0.8, "ext4"),
    Target("pxfs", "open_read", 1.0, "mergerfs"),
    Target("pxfs", "readdir_lstat", 1.0, "mergerfs"),
    *(Target("pxfs", operation, 1.0, "mergerfs")
      for operation in ("rename", "unlink", "link", "chmod", "setxattr", "getxattr")),
    Target("pxfs", "random_read", 0.85, "ext4"),
    Target("pxfs", "seq_read", 0.9, "ext4"),
    Target("pxfs", "seq_read_cold", 0.9, "ext4"),
    Target("pxfs", "seq_write", 0.9, "ext4"),
    *(Target("fastpath", operation, 0.95, "ext4")
      for operation in ("stat_cached", "missing", "open_read", "readdir_lstat", "random_read", "seq_read",
                        "seq_read_cold")),
]


def judge(medians):
    """A list of {subject, operation, of, factor, measured, holds}; targets whose subjects did not run are left out."""
    verdicts = []
    for target in TARGETS:
        by_subject = medians.get(target.operation, {})
        if target.subject not in by_subject or target.of not in by_subject:
            continue
        measured = by_subject[target.subject]["rate"] / by_subject[target.of]["rate"]
        verdicts.append({**target._asdict(), "measured": measured, "holds": measured >= target.factor})
    return verdicts
