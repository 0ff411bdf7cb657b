#!/usr/bin/env python3
"""Builds the programs of the benchmark.

    tests/bench/build.py programs       programs/*.c -> wasm/*.wasm (committed: rebuild after changing a program)
    tests/bench/build.py libs           lua, sqlite, zstd, quickjs -> .cache/libs/*.wasm (never committed)
    tests/bench/build.py NAME...        some of them

The compiler is Zig's clang with its wasi-libc (Python package `ziglang`, installed into .cache/ on first use): -O3,
WASI preview 1, WebAssembly 2.0 without SIMD. The four libraries are the C sources inside the crates of
libs/crates.txt, fetched by `cargo vendor` into .cache/, each with a driver of ours (libs/NAME.c). run.py builds what is
missing, and the native twins with gcc and clang, by itself.
"""

import argparse
import functools
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE / ".cache"
LIBS = HERE / "libs"
ZIG = "ziglang==0.17.1"
WASM_CPU = "generic+bulk_memory+sign_ext+nontrapping_fptoint+mutable_globals+multivalue+reference_types"
LIBRARIES = ["lua", "sqlite", "zstd", "quickjs"]
PROGRAMS = sorted(f.stem for f in (HERE / "programs").glob("*.c"))


def run(command, **more):
    done = subprocess.run([str(c) for c in command], **more)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(str(c) for c in command)}")


@functools.cache
def zig():
    """The command of Zig's clang in a private environment."""
    python = CACHE / "zig/bin/python"
    if not python.exists():
        run([sys.executable, "-m", "venv", CACHE / "zig"])
    if subprocess.run([python, "-c", "import ziglang"], capture_output=True).returncode != 0:
        print(f"installing {ZIG} into {CACHE.name}/zig", file=sys.stderr)
        run([python, "-m", "pip", "install", "-q", ZIG])
    os.environ["ZIG_GLOBAL_CACHE_DIR"] = os.environ["ZIG_LOCAL_CACHE_DIR"] = str(CACHE / "zig-cache")
    return [str(python), "-m", "ziglang", "cc"]


@functools.cache
def crates():
    """Vendors the crates; returns crate name -> directory."""
    wanted = [line.split() for line in (LIBS / "crates.txt").read_text().splitlines() if line and line[0] != "#"]
    project = CACHE / "crates"
    stamp = project / "done"
    text = "".join(f"{name} = {version}\n" for name, version in wanted)
    if not stamp.exists() or stamp.read_text() != text:
        shutil.rmtree(project, ignore_errors=True)
        (project / "src").mkdir(parents=True)
        (project / "src/lib.rs").write_text("")
        dependencies = "".join(f'{name} = "={version.split("+")[0]}"\n' for name, version in wanted)
        (project / "Cargo.toml").write_text(
            '[package]\nname = "sources"\nversion = "0.0.0"\nedition = "2021"\n\n[workspace]\n\n[dependencies]\n' + dependencies
        )
        run(["cargo", "vendor", "-q", "vendor"], cwd=project, stdout=subprocess.DEVNULL)
        stamp.write_text(text)
    return {name: project / "vendor" / name for name, _ in wanted}


def script_header(source, directory):
    """A C header with a script as an array, so that no engine needs a directory or standard input for it."""
    data = source.read_bytes()
    lines = [", ".join(str(b) for b in data[i : i + 24]) for i in range(0, len(data), 24)]
    directory.mkdir(parents=True, exist_ok=True)
    text = "static const char script[] = {\n" + ",\n".join(lines) + ", 0};\n"
    header = directory / "script.h"
    if not header.exists() or header.read_text() != text:
        header.write_text(text)


def plan(name):
    """Sources, include directories and flags of a program."""
    if name in PROGRAMS:
        return [HERE / "programs" / f"{name}.c"], [], []
    source = crates()
    files, directories, flags = library(name, source)
    return [LIBS / f"{name}.c", *files], directories, flags


def library(name, source):
    """The parts of a library that come from its crate."""
    include = CACHE / "include" / name
    if name == "lua":
        lua = source["lua-src"] / "lua-5.4.9"
        script_header(LIBS / "lua.lua", include)
        # No files, no processes, no debug hooks: what WASI has in full.
        skip = {"liolib.c", "loslib.c", "loadlib.c", "linit.c", "ldblib.c", "lcorolib.c"}
        files = [f for f in sorted(lua.glob("*.c")) if f.name not in skip]
        return files, [LIBS / "include", lua, include], ["-include", LIBS / "no_longjmp.h"]
    if name == "sqlite":
        sqlite = source["libsqlite3-sys"] / "sqlite3"
        flags = ["-DSQLITE_OS_OTHER=1", "-DSQLITE_THREADSAFE=0", "-DSQLITE_OMIT_LOAD_EXTENSION", "-DSQLITE_TEMP_STORE=3",
                 "-DSQLITE_DEFAULT_MEMSTATUS=0", "-DSQLITE_OMIT_WAL", "-DSQLITE_OMIT_LOCALTIME"]
        return [sqlite / "sqlite3.c"], [sqlite], flags
    if name == "zstd":
        lib = source["zstd-sys"] / "zstd/lib"
        files = sorted(f for part in ("common", "compress", "decompress") for f in (lib / part).glob("*.c"))
        return files, [lib], ["-DZSTD_DISABLE_ASM=1", "-DZSTD_TRACE=0"]
    if name == "quickjs":
        js = source["rquickjs-sys"] / "quickjs"
        script_header(LIBS / "quickjs.js", include)
        files = [js / f for f in ("dtoa.c", "libregexp.c", "libunicode.c", "quickjs.c")]
        return files, [js, include], ["-D_GNU_SOURCE", "-DNDEBUG"]
    sys.exit(f"unknown program: {name} (one of {' '.join(PROGRAMS + LIBRARIES)})")


def newer(output, inputs):
    return output.exists() and all(output.stat().st_mtime >= pathlib.Path(i).stat().st_mtime for i in inputs)


def flags_of(name):
    files, directories, flags = plan(name)
    own = [f for pattern in (f"{name}.*", "no_longjmp.h", "crates.txt") for f in LIBS.glob(pattern)] if name in LIBRARIES else []
    common = ["-O3", "-std=gnu11", "-w", *(f"-I{d}" for d in directories), *flags, *files]
    return common, [*files, *own, HERE / "build.py"]


def module(name):
    """Where the program's module is."""
    return HERE / "wasm" / f"{name}.wasm" if name in PROGRAMS else CACHE / "libs" / f"{name}.wasm"


def build_wasm(name, force=False):
    """The program as a module."""
    output = module(name)
    common, inputs = flags_of(name)
    if force or not newer(output, inputs):
        output.parent.mkdir(parents=True, exist_ok=True)
        print(f"building {name} for wasm32-wasi", file=sys.stderr)
        emulated = ["-D_WASI_EMULATED_PROCESS_CLOCKS", "-lwasi-emulated-process-clocks"] if name == "quickjs" else []
        run([*zig(), "-target", "wasm32-wasi", f"-mcpu={WASM_CPU}", "-s", "-Wl,-z,stack-size=1048576", *common, *emulated, "-o", output])
        output.chmod(0o644)
    return output


def build_native(name, compiler):
    """The program by gcc or clang, from the same sources."""
    output = CACHE / "native" / compiler / name
    common, inputs = flags_of(name)
    if not newer(output, inputs):
        output.parent.mkdir(parents=True, exist_ok=True)
        print(f"building {name} with {compiler} -O3", file=sys.stderr)
        run([compiler, *common, "-o", output, "-lm"])
    return output


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", metavar="NAME", help="`programs`, `libs`, or names of programs")
    for name in parser.parse_args().names:
        for one in {"programs": PROGRAMS, "libs": LIBRARIES}.get(name, [name]):
            print(f"{one}: {build_wasm(one, force=True).stat().st_size} bytes")


if __name__ == "__main__":
    main()
