#!/usr/bin/env python3
"""The benchmark: vwasm beside Wasmtime and native code, in one run.

    cargo build --release
    tests/bench/run.py                                  everything: about ten minutes
    tests/bench/run.py --programs sha256,lua --rounds 9 a closer look at two
    tests/bench/run.py --engines wasmtime,gcc           without vwasm
    tests/bench/run.py --no-libs --check                fail if the floors at the bottom are missed

Every program is C: ours in programs/ (their modules are committed in wasm/), and lua, sqlite, zstd and quickjs from
the sources inside crates (built on first use, see build.py). The engines:

    vwasm      vwasm compile P.wasm -o P, then ./P
    wasmtime   the official program, compile -O opt-level=2, then run --allow-precompiled
    gcc        gcc -O3 of the same source
    clang      clang -O3 of the same source, left out where clang is not installed

Rounds are interleaved (every engine runs a program once before any runs it again), so that a slow spell of the machine
hits all. Reported are medians over the rounds:

    run        user + system CPU seconds of the whole process, start-up included
    wall       seconds by the clock
    compile    CPU and wall seconds of the compiler on the module, nothing cached
    code       bytes of machine code in the output
    start-up   wall milliseconds of the program `hello`, process creation included

A ratio below 1 means that vwasm is ahead. Lines are in the order of the first ratio, losers first. All engines must
print the same output and exit with 0: anything else is reported and fails the run. First use needs the network: the
package registries of Python and Rust.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import sys

import build
import measure

ENGINES = ["vwasm", "wasmtime", "gcc", "clang"]
COMPILERS = ["vwasm", "wasmtime"]
REFERENCES = ["gcc", "clang", "wasmtime", "vwasm"]  # whose output is believed
STARTS_PER_ROUND = 8
FLOORS = {"run": 1.25, "worst": 2.0, "compile": 1.5}  # against Wasmtime: geometric means, and the worst program


class Bench:
    def __init__(self, options, engines):
        self.options = options
        self.engines = engines
        self.outputs = measure.CACHE / "outputs"
        self.outputs.mkdir(parents=True, exist_ok=True)
        self.failures = []
        self.samples = {}  # (program, engine) -> {"cpu": [...], "wall": [...], "compile_cpu": …, "compile_wall": …}
        self.code = {}

    def fail(self, text):
        self.failures.append(text)
        print(f"FAILED  {text}", flush=True)

    def note(self, program, engine, kind, value):
        self.samples.setdefault((program, engine), {}).setdefault(kind, []).append(value)

    def median(self, program, engine, kind):
        values = self.samples.get((program, engine), {}).get(kind)
        return statistics.median(values) if values else None

    def output(self, program, engine):
        return self.outputs / f"{program}.{'cwasm' if engine == 'wasmtime' else engine}"

    def compile(self, program, engine):
        output = self.output(program, engine)
        module = build.module(program)
        if engine == "vwasm":
            command = [self.options.vwasm, "compile", module, "-o", output]
        else:
            command = measure.wasmtime_compile(module, output)
        output.unlink(missing_ok=True)
        run = measure.run(command)
        if run.code != 0 or not output.exists():
            self.fail(f"{program}: {engine} does not compile it (exit {run.code}): {run.stderr.decode(errors='replace').strip()[:400]}")
            return False
        self.note(program, engine, "compile_cpu", run.cpu)
        self.note(program, engine, "compile_wall", run.wall)
        self.code[program, engine] = measure.code_size(output)
        return True

    def command(self, program, engine):
        if engine == "vwasm":
            return [self.output(program, engine)]
        if engine == "wasmtime":
            return [measure.wasmtime(), "run", "--allow-precompiled", self.output(program, engine)]
        return [build.build_native(program, engine)]

    def run(self, program, engine):
        """One run; nothing if it fails."""
        run = measure.run(self.command(program, engine), timeout=120)
        if run.code != 0:
            self.fail(f"{program}: {engine} exits with {run.code}: {run.stderr.decode(errors='replace').strip()[:400]}")
            return None
        return run

    def judge(self, program, runs, expected):
        """Notes the runs that printed what they should; returns the engines that did not. Native code is believed first."""
        for engine in REFERENCES:
            if engine in runs:
                expected.setdefault(program, (engine, runs[engine][0].stdout))
                break
        reference, text = expected[program]
        wrong = set()
        for engine, several in runs.items():
            for run in several:
                if run.stdout != text:
                    self.fail(f"{program}: {engine} prints {run.stdout[:200]!r}\n        {reference} prints {text[:200]!r}")
                    wrong.add(engine)
                    break
                self.note(program, engine, "cpu", run.cpu)
                self.note(program, engine, "wall", run.wall)
        return wrong

    def rounds(self, programs):
        broken, expected = set(), {}
        for program in programs:  # prepare: everything that is not measured
            if not build.module(program).exists():
                build.build_wasm(program)
            for engine in self.engines:
                if engine not in COMPILERS:
                    self.code[program, engine] = measure.code_size(build.build_native(program, engine))
        for number in range(self.options.rounds):
            for program in programs:
                print(f"\rround {number + 1} of {self.options.rounds}: {program:<12}", end="", file=sys.stderr, flush=True)
                runs = {}
                for engine in self.engines:
                    if (program, engine) in broken:
                        continue
                    several = []
                    if engine not in COMPILERS or self.compile(program, engine):
                        several = [self.run(program, engine) for _ in range(STARTS_PER_ROUND if program == "hello" else 1)]
                    if several and all(several):
                        runs[engine] = several
                    else:
                        broken.add((program, engine))
                if runs:
                    broken |= {(program, engine) for engine in self.judge(program, runs, expected)}
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)

    # The report.

    def ratios(self, programs, engine, other, kind):
        """program -> engine / other, where both have a number."""
        pairs = ((p, self.median(p, engine, kind), self.median(p, other, kind)) for p in programs)
        return {p: a / b for p, a, b in pairs if a and b}

    def report(self, programs):
        engines = self.engines
        work = [p for p in programs if p != "hello"]
        subject = engines[0]  # vwasm, unless it was left out
        others = engines[1:]
        first = self.ratios(work, subject, others[0], "cpu") if others else {}
        work.sort(key=lambda p: -first.get(p, float("inf")))

        if others:
            losers = [f"{p} {first[p]:.2f}x" for p in work if first.get(p, 0) > 1.0]
            print(f"{subject} is slower than {others[0]} in {len(losers)} of {len(first)}: {', '.join(losers) or 'none'}\n")

        def number(value, digits=3):
            return "-" if value is None or value != value else f"{value:.{digits}f}"

        def table(title, kinds, columns, against):
            print(title)
            header = f"{'':<12}" + "".join(f"{c:>12}" for c in columns) + "".join(f"{'/ ' + o:>12}" for o in against)
            print(header)
            means = {o: self.ratios(work, subject, o, kinds) for o in against}
            for p in work:
                cells = "".join(f"{number(self.median(p, e, kinds)):>12}" for e in columns)
                print(f"{p:<12}" + cells + "".join(f"{number(means[o].get(p), 2):>12}" for o in against))
            blank = "".join(f"{'':>12}" for _ in columns)
            print(f"{'geo. mean':<12}{blank}" + "".join(f"{number(measure.geomean(means[o].values())):>12}" for o in against))
            whole = [p for p in work if all(self.median(p, e, kinds) for e in columns)]  # of what every engine ran
            sums = {e: sum(self.median(p, e, kinds) for p in whole) for e in columns}
            totals = "".join(f"{sums[e]:>12.3f}" for e in columns)
            print(f"{'sum':<12}{totals}" + "".join(f"{number(sums[subject] / sums[o] if sums[o] else None, 2):>12}" for o in against) + "\n")

        table("run, CPU seconds", "cpu", engines, others)
        table("run, wall seconds", "wall", engines, others)
        compilers = [e for e in engines if e in COMPILERS]
        if compilers:
            table("compile, CPU seconds", "compile_cpu", compilers, compilers[1:] if subject == compilers[0] else [])
            table("compile, wall seconds", "compile_wall", compilers, compilers[1:] if subject == compilers[0] else [])

        print("code, bytes of instructions (the whole program, runtime or libc included where it is in the file)")
        print(f"{'':<12}" + "".join(f"{e:>12}" for e in engines) + "".join(f"{'/ ' + o:>12}" for o in others))
        for p in sorted(programs):
            sizes = [self.code.get((p, e)) for e in engines]
            cells = "".join(f"{'-' if s is None else s:>12}" for s in sizes)
            print(f"{p:<12}{cells}" + "".join(f"{number(sizes[0] / s if sizes[0] and s else None, 2):>12}" for s in sizes[1:]))
        print()
        if "hello" in programs:
            starts = ", ".join(f"{e} {self.median('hello', e, 'wall') * 1000:.2f} ms" for e in engines if self.median("hello", e, "wall"))
            sizes = ", ".join(f"{e} {self.output('hello', e).stat().st_size}" for e in compilers if self.output("hello", e).exists())
            print(f"start-up: {starts}\nhello, bytes of the file: {sizes}")
        for other in others:
            cpu = self.ratios(work, subject, other, "cpu")
            if cpu:
                worst = max(cpu, key=cpu.get)
                print(f"{subject} / {other}: run {measure.geomean(cpu.values()):.3f} (geometric mean), worst {worst} {cpu[worst]:.2f}")

    def floors(self, programs):
        """The speed that every version must keep."""
        if not {"vwasm", "wasmtime"} <= set(self.engines):
            return True
        work = [p for p in programs if p != "hello"]
        cpu = self.ratios(work, "vwasm", "wasmtime", "cpu")
        compiled = self.ratios(work, "vwasm", "wasmtime", "compile_cpu")
        if not cpu or not compiled:
            return False
        found = {"run": measure.geomean(cpu.values()), "worst": max(cpu.values()), "compile": measure.geomean(compiled.values())}
        good = True
        for what, limit in FLOORS.items():
            held = found[what] <= limit
            good &= held
            print(f"floor: {what} {found[what]:.3f} x Wasmtime, at most {limit}: {'held' if held else 'MISSED'}")
        return good

    def json(self, programs):
        return {
            "machine": {"cpu": cpu_name(), "cores": os.cpu_count(), "system": platform.release()},
            "rounds": self.options.rounds,
            "engines": self.engines,
            "programs": {
                p: {e: {**self.samples.get((p, e), {}), "code": self.code.get((p, e))} for e in self.engines} for p in programs
            },
            "failures": self.failures,
        }


def cpu_name():
    try:
        text = pathlib.Path("/proc/cpuinfo").read_text()
        return next(line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def names(text, known, what):
    chosen = [n for n in text.split(",") if n]
    for n in chosen:
        if n not in known:
            sys.exit(f"no {what} `{n}`; there are: {', '.join(known)}")
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = build.PROGRAMS + build.LIBRARIES
    parser.add_argument("--programs", metavar="A,B", help=f"only these ({', '.join(every)})")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="how often each runs (default 5)")
    parser.add_argument("--engines", metavar="A,B", help="which engines, the first is compared with the rest (default vwasm,wasmtime,gcc,clang)")
    parser.add_argument("--vwasm", type=pathlib.Path, default=measure.REPOSITORY / "target/release/vwasm", metavar="PATH",
                        help="the compiler (default target/release/vwasm)")
    parser.add_argument("--no-libs", action="store_true", help="leave out lua, sqlite, zstd and quickjs, which are built first")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every sample there")
    parser.add_argument("--check", action="store_true", help="fail when a floor is missed")
    options = parser.parse_args()
    if options.rounds < 1:
        sys.exit("--rounds: at least 1")
    engines = names(options.engines, ENGINES, "engine") if options.engines else [e for e in ENGINES if e != "clang" or shutil.which(e)]
    programs = names(options.programs, every, "program") if options.programs else every
    if options.no_libs:
        programs = [p for p in programs if p not in build.LIBRARIES]
    if not engines or not programs:
        sys.exit("nothing to run")
    if "vwasm" in engines:
        options.vwasm = options.vwasm.resolve()
        if not options.vwasm.is_file():
            sys.exit(f"no compiler at {options.vwasm}\nbuild it (cargo build --release), name it (--vwasm PATH), or leave it out (--engines wasmtime,gcc)")
    for engine in engines:
        if engine in ("gcc", "clang") and not shutil.which(engine):
            sys.exit(f"{engine} is not installed; leave it out with --engines")

    bench = Bench(options, engines)
    print(f"{cpu_name()}, {os.cpu_count()} cores; {len(programs)} programs, {options.rounds} rounds, engines: {', '.join(engines)}")
    bench.rounds(programs)
    print()
    bench.report(programs)
    good = bench.floors(programs)
    if options.json:
        options.json.write_text(json.dumps(bench.json(programs), indent=1) + "\n")
    if bench.failures:
        print(f"\n{len(bench.failures)} FAILURES")
        for text in bench.failures:
            print(f"  {text}")
        return 1
    return 1 if options.check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
