"""Commands, memory-backed ext4 images, mounts, caches: all of it undone at the end, whatever happens."""

import contextlib
import ctypes
import os
import pathlib
import subprocess
import tempfile
import time


class BenchError(Exception):
    """What failed, on what; for people."""


def command(*args, **kwargs):
    """Runs a command and returns its standard output. Raises BenchError with its standard error."""
    args = [str(a) for a in args]
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(args)}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def sync_file_system(path):
    """Only this one: sync(2) would wait for whatever else the machine writes."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            raise BenchError(f"syncfs {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        return any(line.split()[4] == str(path) for line in mounts)


def drop_caches(cold):
    """cold: 'names' drops dentries and inodes, 'everything' pages too. What is dirty stays: Workspace.settle comes first."""
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("2" if cold == "names" else "3")


def processes_of_this_run():
    """Every other process in this run's private mount namespace: the daemons that it started, and their children."""
    own = os.stat("/proc/self/ns/mnt").st_ino
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{entry}/ns/mnt").st_ino == own:
                found.append(int(entry))
    return found


def cpu_seconds(pids):
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Workspace:
    """A private tmpfs with images on it. Context manager: leaves no mount, loop device or process behind."""

    def __init__(self, image_mib):
        self._image_mib = image_mib
        self._undo = contextlib.ExitStack()
        self._images = []
        self.root = None

    def __enter__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="pxfs-bench-"))
        self._undo.callback(self.root.rmdir)
        command("mount", "-t", "tmpfs", "-o", "size=90%,mode=0700", "pxfs-bench", self.root)
        self._undo.callback(self._unmount, self.root)
        self._undo.callback(self._end_processes)
        return self

    def __exit__(self, *error):
        return self._undo.__exit__(*error)

    def _unmount(self, path):
        subprocess.run(["umount", str(path)], stderr=subprocess.DEVNULL, check=False)
        if is_mounted(path):  # busy: detach it, so that what keeps it busy is all that is left of it
            subprocess.run(["umount", "-l", str(path)], check=False)

    def _end_processes(self):
        """Daemons end when they are unmounted; what has not by then is ended here."""
        with contextlib.suppress(BenchError):
            wait_until(lambda: not processes_of_this_run(), 10, "daemons")
        for pid in processes_of_this_run():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)

    def mount_image(self, name):
        """A new ext4 file system with a journal, on a loop device over a file in memory; returns its mount point."""
        image = self.root / f"{name}.img"
        with open(image, "wb") as file:
            file.truncate(self._image_mib << 20)
        command("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", image)
        point = self.root / name
        point.mkdir()
        # -o loop: the device frees itself with the mount, so it cannot outlive this namespace.
        command("mount", "-o", "loop", image, point)
        self._undo.callback(self._unmount, point)
        self._images.append(point)
        return point

    def start(self, args, mount_point):
        """Starts a daemon in the foreground and waits until it has mounted `mount_point`."""
        mount_point.mkdir(exist_ok=True)
        log = open(f"{mount_point}.log", "wb+")  # pylint: disable=consider-using-with
        self._undo.callback(log.close)
        # The daemon dies with this process, also where it is killed and can undo nothing.
        daemon = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *map(str, args)], stdout=log, stderr=log)
        self._undo.callback(self._end, daemon)
        self._undo.callback(self._unmount, mount_point)

        def answered():
            if daemon.poll() is not None:
                log.seek(0)
                raise BenchError(f"{args[0]}: exit status {daemon.returncode}: "
                                 f"{log.read().decode(errors='replace').strip()}")
            return is_mounted(mount_point)

        wait_until(answered, 20, f"{args[0]} on {mount_point}")

    def bind_read_only(self, source, target):
        target.mkdir(exist_ok=True)
        command("mount", "--bind", source, target)
        self._undo.callback(self._unmount, target)
        command("mount", "-o", "remount,bind,ro", target)

    @staticmethod
    def _end(daemon):
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def settle(self):
        """Writes everything out and waits until no daemon does any work. Returns the CPU seconds that they used meanwhile."""
        started = cpu_seconds(processes_of_this_run())
        for image in self._images:
            sync_file_system(image)
        last, quiet_since = None, time.monotonic()
        deadline = time.monotonic() + 30
        while time.monotonic() - quiet_since < 0.1 and time.monotonic() < deadline:
            now = cpu_seconds(processes_of_this_run())
            if last is None or now > last:
                last, quiet_since = now, time.monotonic()
            time.sleep(0.02)
        return max(0.0, cpu_seconds(processes_of_this_run()) - started)
