#!/usr/bin/env python3
"""Modules that other people's compilers made, from packages of npm: each is compiled, and so passes the sandbox checker.

    cargo build --release
    tests/real/corpus.py                   all of corpus.txt: 700 MB of modules, ten minutes or more on two cores
    tests/real/corpus.py --only sql.js     packages whose name contains this

Modules that use a proposal which vwasm does not have (README, "Limits") count as such, by what the compiler says. Anything
else that is not compiled is a failure. The packages are fetched once into .cache/ by `npm pack`, at the versions listed.
The last line is `N compiled, N beyond the limits, N failed`; the exit code is 0 only if nothing failed.
"""

import argparse
import hashlib
import pathlib
import re
import subprocess
import sys
import tarfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE / ".cache/npm"
REPOSITORY = HERE.parent.parent
LIMITS = re.compile(r"SIMD|simd|shared memories|threads|exception|memory64|multiple memories|tail calls|legacy_exceptions|gc proposal")


def package(name):
    """The package's archive, fetched once."""
    place = CACHE / name.replace("/", "+")
    if not list(place.glob("*.tgz")):
        place.mkdir(parents=True, exist_ok=True)
        print(f"fetching {name}", file=sys.stderr)
        if subprocess.run(["npm", "pack", "--silent", name], cwd=place, stdout=subprocess.DEVNULL).returncode != 0:
            sys.exit(f"npm cannot fetch {name}")
    return next(place.glob("*.tgz"))


def modules(archive):
    """The archive's modules, each once: name, bytes."""
    with tarfile.open(archive) as files:
        for member in files:
            if member.isfile() and member.name.endswith(".wasm"):
                data = files.extractfile(member).read()
                if data.startswith(b"\0asm\1\0\0\0"):
                    yield member.name, data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="TEXT", default="", help="only packages whose name contains this")
    parser.add_argument("--vwasm", type=pathlib.Path, default=REPOSITORY / "target/release/vwasm", metavar="PATH",
                        help="the compiler (default target/release/vwasm)")
    parser.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="for one module (default 600)")
    options = parser.parse_args()
    names = [line for line in (HERE / "corpus.txt").read_text().split("\n") if line and line[0] != "#" and options.only in line]
    if not names:
        sys.exit(f"no package in corpus.txt contains `{options.only}`")
    options.vwasm = options.vwasm.resolve()
    if not options.vwasm.is_file():
        sys.exit(f"no compiler at {options.vwasm}\nbuild it (cargo build --release) or name it (--vwasm PATH)")
    seen, compiled, beyond, failed, size = set(), 0, 0, 0, 0
    for name in names:
        for path, data in modules(package(name)):
            digest = hashlib.sha256(data).digest()
            if digest in seen:
                continue
            seen.add(digest)
            module = CACHE / "module.wasm"
            module.write_bytes(data)
            start = time.perf_counter()
            # The listing needs no host functions, and is written only after the checker's verdict.
            command = [options.vwasm, "compile", "--emit", "asm", module]
            try:
                done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=options.timeout)
                said, code = done.stderr.decode(errors="replace").strip(), done.returncode
            except subprocess.TimeoutExpired:
                said, code = f"not done after {options.timeout:.0f} s", None
            title = f"{name} {pathlib.PurePath(path).name}: {len(data)} bytes"
            if code == 0:
                compiled, size = compiled + 1, size + len(data)
                print(f"ok      {title}, {time.perf_counter() - start:.1f} s")
            elif code == 1 and LIMITS.search(said):
                beyond += 1
                print(f"beyond  {title}: {said.splitlines()[0][-100:]}")
            else:
                failed += 1
                print(f"FAILED  {title}: {said[-400:]}")
            sys.stdout.flush()
    print(f"{size} bytes\n{compiled} compiled, {beyond} beyond the limits, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
