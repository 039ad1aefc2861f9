"""The file systems that are compared. Each has `directory`, where fsops works, and `prepare`, called before every operation."""

import json
import os
import pathlib
import shutil

from harness.system import BenchError, command


class Subject:
    read_only = False  # only operations that read
    operations = None  # the names of those that it can do; None: all

    def __init__(self, name, about, directory):
        self.name, self.about, self.directory = name, about, directory

    def does(self, operation):
        """Whether this operation (of fsops --list) can be measured here."""
        if self.read_only and not operation["read_only"]:
            return False
        return self.operations is None or operation["name"] in self.operations

    def prepare(self, fsops, operation):
        fsops("--prepare", "--op", operation, "--dir", self.directory)


def _need(program):
    if not shutil.which(program):
        raise BenchError(f"{program}: not installed; apt-get install {program}, or leave it out of --subjects")


def ext4(work, _options):
    return Subject("ext4", "ext4 with a journal, memory-backed loop device", work.mount_image("ext4"))


def mergerfs(work, options):
    _need("mergerfs")
    branches = [work.mount_image(f"mergerfs-{i + 1}") for i in range(options.volumes)]
    mount_options = "cache.files=auto-full,category.create=mfs,minfreespace=64M,allow_other,use_ino"
    point = work.root / "mergerfs"
    work.start(["mergerfs", "-f", "-o", mount_options, ":".join(map(str, branches)), point], point)
    version = command("dpkg-query", "-W", "-f", "${Version}", "mergerfs")
    return Subject("mergerfs", f"mergerfs {version}, {options.volumes} branches, -o {mount_options}", point)


def bindfs(work, _options):
    _need("bindfs")
    point = work.root / "bindfs"
    image = work.mount_image("bindfs-1")
    work.start(["bindfs", "-f", "--multithreaded", image, point], point)
    return Subject("bindfs", "bindfs --multithreaded", point)


class Floor(Subject):
    """FUSE itself: a file system in memory that does nothing but answer. It has a few operations only."""

    operations = {"create", "stat_cached", "stat_cold", "missing"}

    def __init__(self, work, options):
        super().__init__("floor", "fuse_floor: a FUSE file system in memory that stores nothing", work.root / "floor")
        work.start([options.bin / "fuse_floor", self.directory], self.directory)


class _Cluster:
    """A pxfs cluster over volumes of its own, mounted; shared by the subjects that look at it."""

    def __init__(self, work, options):
        self.work, self.bin = work, options.bin
        disks = [work.mount_image(f"volume-{i + 1}") for i in range(options.volumes)]
        self.volumes = {f"v{i + 1}": disk / "volume" for i, disk in enumerate(disks)}
        directory = disks[0] / "cluster"
        arguments = []
        for name, path in self.volumes.items():
            arguments += ["--volume", f"{path},name={name}"]
        command(self.bin / "pxfs", "format", directory, *arguments)
        self.point = work.root / "pxfs"
        extra = f",{options.mount_options}" if options.mount_options else ""
        self.mount_options = f"foreground{extra}"
        work.start([self.bin / "mount.pxfs", directory, self.point, "-o", self.mount_options], self.point)
        os.environ["PXFS_CLUSTER"] = str(directory)

    def pxfs(self, *arguments):
        return command(self.bin / "pxfs", *arguments)


def _cluster(work, options):
    if not hasattr(work, "cluster"):
        work.cluster = _Cluster(work, options)
    return work.cluster


def pxfs(work, options):
    cluster = _cluster(work, options)
    directory = cluster.point / "bench"
    directory.mkdir()
    return Subject("pxfs", f"pxfs, {options.volumes} volumes, -o {cluster.mount_options}", directory)


class FastPath(Subject):
    """Hard links to the objects of one volume, bound read-only: what a job's container reads instead of the mount."""

    read_only = True

    def __init__(self, cluster):
        super().__init__("fastpath", "hard links to pxfs objects, bound read-only", cluster.work.root / "fastpath")
        self._cluster = cluster
        self._source = cluster.point / "fast"
        self._source.mkdir()
        cluster.pxfs("policy", "set", self._source, "pin=v1")
        self._view = cluster.volumes["v1"].parent / "view"
        self._view.mkdir()
        cluster.work.bind_read_only(self._view, self.directory)
        self._linked = set()

    def prepare(self, fsops, operation):
        fsops("--prepare", "--op", operation, "--dir", self._source)
        for kind in ("data", "big"):
            if kind in self._linked or not (self._source / kind).is_dir():
                continue
            files = json.loads(self._cluster.pxfs("where", "-r", "--json", self._source / kind))
            for file in files:
                self._link(file)
            self._linked.add(kind)

    def _link(self, file):
        inside = pathlib.Path(file["path"])
        if not inside.is_relative_to(self._source):  # a path within the namespace
            inside = self._cluster.point / inside.relative_to("/")
        if inside.is_dir():
            return
        target = self._view / inside.relative_to(self._source)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(file["replicas"][0]["object"], target)


def fastpath(work, options):
    return FastPath(_cluster(work, options))


ALL = {"ext4": ext4, "mergerfs": mergerfs, "bindfs": bindfs, "floor": Floor, "pxfs": pxfs, "fastpath": fastpath}
DEFAULT = ["ext4", "mergerfs", "floor", "pxfs", "fastpath"]
