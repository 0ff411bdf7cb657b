//! The descriptions of `spec/x86_64` against the CPU: every instruction run natively on edge and random states and compared with the
//! evaluator generated from its description; and, from facts that are true of the state, what the sandbox checker concludes.
//!
//!     cargo test --release -p vwasm-tests --test model -- --ignored --nocapture     100,000 states a form

#[path = "checker/facts.rs"]
mod facts;

use facts::Judge;
use iced_x86::{Decoder, DecoderOptions, Encoder, Instruction, OpKind};
use std::collections::BTreeMap;
use vwasm::machine::{Amode, Base, CpuFeatures, Inst, Reg};
use vwasm_tests::model::{AF, Exit, FLAGS, Fault, Memory, NAMES, State, sample, step};
use vwasm_tests::native::{Bench, End, PAGE};
use vwasm_tests::operands::Operands;
use vwasm_tests::random::{Random, seed};
use vwasm_tests::values::{floats, integers};

const RSP: u8 = 4;

/// The data page as the evaluator sees it.
struct Data<'a> {
    start: u64,
    bytes: &'a mut [u8; PAGE],
}

impl Data<'_> {
    fn range(&self, address: u64, bytes: u32) -> Result<std::ops::Range<usize>, Fault> {
        let offset = address.wrapping_sub(self.start);
        let end = offset.checked_add(u64::from(bytes)).filter(|end| *end <= PAGE as u64).ok_or(Fault::Page)?;
        Ok(offset as usize..end as usize)
    }
}

impl Memory for Data<'_> {
    fn load(&mut self, address: u64, bytes: u32) -> Result<u64, Fault> {
        let range = self.range(address, bytes)?;
        let mut value = [0; 8];
        value[..range.len()].copy_from_slice(&self.bytes[range]);
        Ok(u64::from_le_bytes(value))
    }

    fn store(&mut self, address: u64, bytes: u32, value: u64) -> Result<(), Fault> {
        let range = self.range(address, bytes)?;
        let length = range.len();
        self.bytes[range].copy_from_slice(&value.to_le_bytes()[..length]);
        Ok(())
    }
}

struct Edges {
    integers: Vec<u64>,
    floats: [Vec<u64>; 2],
}

fn random_state(random: &mut Random, edges: &Edges) -> State {
    let mut state = State { xmm: [0; 16], gpr: [0; 16], flags: random.next() & (FLAGS | AF) };
    for register in &mut state.gpr {
        *register = if random.below(2) == 0 { random.pick(&edges.integers) } else { random.bits(64) };
        // An edge of 32 bits under any upper half.
        if random.below(3) == 0 {
            *register = *register & 0xffff_ffff | random.next() << 32;
        }
    }
    // Division requires an upper half that extends the lower one.
    if random.below(2) == 0 {
        state.gpr[2] = random.pick(&[0, u64::MAX]);
    }
    for register in &mut state.xmm {
        let wide = random.below(2) as usize;
        let low = if random.below(2) == 0 { random.pick(&edges.floats[wide]) } else { random.float(32 << wide) };
        let keep = if wide == 1 { u64::MAX } else { 0xffff_ffff };
        *register = u128::from(random.next()) << 64 | u128::from(low & keep | random.next() & !keep);
    }
    state
}

/// What the descriptions leave to the frame's code: how an instruction moves the stack pointer (Intel SDM vol. 2).
fn stack_movement(inst: &Inst) -> i64 {
    match *inst {
        Inst::AddRsp { c } => i64::from(c),
        Inst::SubRsp { c } => -i64::from(c),
        Inst::Ret {} => 8,
        Inst::RetPop { c } => 8 + i64::from(c),
        Inst::CallRel32 { .. } | Inst::CallMem { .. } => -8,
        _ => 0,
    }
}

fn encoded(inst: &Inst, at: u64) -> Result<(Instruction, Vec<u8>), String> {
    let instruction = inst.encode().map_err(|error| format!("{inst}: {error}"))?;
    let mut encoder = Encoder::new(64);
    encoder.encode(&instruction, at).map_err(|error| format!("{inst}: {error}"))?;
    let bytes = encoder.take_buffer();
    let decoded = Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE).decode();
    Ok((decoded, bytes))
}

struct Lab {
    bench: Bench,
    judge: Judge,
    edges: Edges,
    random: Random,
}

impl Lab {
    fn new(random: Random) -> Lab {
        let bench = Bench::new().unwrap_or_else(|error| panic!("no memory: error {error}"));
        Lab { bench, judge: Judge::new(), edges: Edges { integers: integers(64), floats: [floats(32), floats(64)] }, random }
    }

    fn sample(&mut self, form: usize) -> (Inst, Option<(Amode, u32)>) {
        let mut operands = Operands { random: &mut self.random, label: self.bench.label(), access: None };
        let inst = sample(form, &mut operands).unwrap_or_else(|| panic!("no form {form}"));
        let access = operands.access;
        match inst {
            // The return address goes where rsp points: near the target, in the data page.
            Inst::CallMem { m } if m.base == Base::Stack => {
                let m = Amode { index: Reg::NONE, scale: 1, disp: m.disp % 512, ..m };
                (Inst::CallMem { m }, Some((m, 8)))
            }
            inst => (inst, access),
        }
    }

    /// A state for the instruction: registers, and a data page, so that its address is a place to test.
    fn state(&mut self, inst: &Inst, access: Option<(Amode, u32)>, data: &mut [u8; PAGE]) -> State {
        let (start, label) = (self.bench.data(), self.bench.label());
        let mut state = random_state(&mut self.random, &self.edges);
        for _ in 0..4 {
            let at = self.random.below(PAGE as u64 / 8) as usize * 8;
            let value = if self.random.below(2) == 0 { self.random.next() } else { self.random.pick(&self.edges.floats[1]) };
            data[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        if stack_movement(inst) != 0 {
            state.gpr[usize::from(RSP)] = start + 2048 + 8 * self.random.below(64);
            let at = (state.gpr[usize::from(RSP)] - start) as usize;
            data[at..at + 8].copy_from_slice(&label.to_le_bytes());
        }
        if let Inst::JmpReg { target } = inst {
            state.gpr[usize::from(target.hw())] = label;
        }
        if let Some((amode, bytes)) = access {
            let call = matches!(inst, Inst::CallMem { .. });
            let width = u64::from(bytes);
            let target = match self.random.below(16) {
                // Over an end: a fault.
                0 if !call => start + PAGE as u64 - self.random.below(width),
                1 if !call => start - 1 - self.random.below(width),
                _ if call => start + 1024 + self.random.below(512),
                2..5 => start + PAGE as u64 - width,
                5 => start,
                // Below the stack words.
                _ => start + self.random.below(2032 - width),
            };
            let base = match amode.base {
                Base::Reg(reg) => reg.hw(),
                Base::Stack | Base::Incoming => RSP,
                Base::Mem0 | Base::Instance | Base::None => 15,
            };
            let now = state.address(&amode);
            let register = &mut state.gpr[usize::from(base)];
            *register = register.wrapping_add(target.wrapping_sub(now));
            if call {
                let at = (target - start) as usize;
                data[at..at + 8].copy_from_slice(&label.to_le_bytes());
            } else if self.random.below(2) == 0
                && let Some(at) = target.checked_sub(start).filter(|at| at + width <= PAGE as u64)
            {
                let width = width as usize;
                let edges = if width == 4 { &self.edges.floats[0] } else { &self.edges.floats[1] };
                let value = self.random.pick(if self.random.0 & 8 == 0 { edges } else { &self.edges.integers });
                data[at as usize..at as usize + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
        }
        state
    }

    /// Runs one state; none if the description says nothing of it. Else how it ended, and whether the checker judged it.
    fn check(&mut self, inst: &Inst, bytes: &[u8], state: &State, data: &[u8; PAGE]) -> Result<Option<(End, bool)>, String> {
        let start = self.bench.data();
        let mut expected_data = *data;
        let outcome = step(inst, state, &mut Data { start, bytes: &mut expected_data });
        let movement = stack_movement(inst);
        let rsp = state.gpr[usize::from(RSP)];
        let pushes = matches!(inst, Inst::CallRel32 { .. } | Inst::CallMem { .. });
        let mut expected = match outcome {
            Ok(Some(after)) => Ok(after),
            Ok(None) => return Ok(None),
            Err(fault) => Err(fault),
        };
        let mut end = match &expected {
            Ok(after) => match after.exit {
                Exit::Next => End::Next,
                Exit::Jump(to) | Exit::Call(to) if to == self.bench.label() => End::Taken,
                Exit::Return => End::Taken,
                Exit::Trap => End::Signal(4),
                exit => return Err(format!("{exit:?} is not to the label")),
            },
            Err(Fault::DivideError) => End::Signal(8),
            Err(Fault::Page) => End::Signal(11),
        };
        if let Ok(after) = &mut expected {
            let pointer = rsp.wrapping_add_signed(movement);
            if pushes {
                let next = self.bench.slot() + bytes.len() as u64;
                if (Data { start, bytes: &mut expected_data }).store(pointer, 8, next).is_err() {
                    end = End::Signal(11);
                }
            }
            if movement != 0 && !matches!(end, End::Signal(_)) {
                after.state.gpr[usize::from(RSP)] = pointer;
            }
        }
        let (mut found, mut found_data) = (state.clone(), *data);
        let ended = match self.bench.run(&mut found, &mut found_data) {
            // A stack address that is not canonical raises #SS, which Linux tells apart.
            End::Signal(7) => End::Signal(11),
            ended => ended,
        };
        if ended != end {
            return Err(format!("ended with {ended:?}, expected {end:?}"));
        }
        if found_data != expected_data {
            let at = (0..PAGE).find(|&at| found_data[at] != expected_data[at]).unwrap_or(0);
            return Err(format!("data byte {at:#x} is {:#x}, expected {:#x}", found_data[at], expected_data[at]));
        }
        let (after, faulted) = match expected {
            Ok(after) => (after, false),
            Err(_) => (vwasm_tests::model::After::new(state), true),
        };
        for hw in 0..16 {
            let (is, wanted, known) = (found.gpr[hw], after.state.gpr[hw], after.known_gpr[hw]);
            if (is ^ wanted) & known != 0 {
                return Err(format!("register {hw} is {is:#x}, expected {wanted:#x}"));
            }
            let (is, wanted, known) = (found.xmm[hw], after.state.xmm[hw], after.known_xmm[hw]);
            if (is ^ wanted) & known != 0 {
                return Err(format!("xmm{hw} is {is:#x}, expected {wanted:#x} in the bits {known:#x}"));
            }
        }
        let known = if faulted { 0 } else { after.known_flags };
        if (found.flags ^ after.state.flags) & known != 0 {
            return Err(format!("flags are {:#x}, expected {:#x}", found.flags & FLAGS, after.state.flags & FLAGS));
        }
        let ran = matches!(end, End::Next | End::Taken);
        let judged = ran && self.judge.check(bytes, (state, &found), start, &mut self.random)?;
        Ok(Some((end, judged)))
    }

    /// States for one form (iced's code and whether an operand is memory) until each that turns up has had enough.
    fn form(&mut self, form: usize, wanted: u64) -> Result<Tally, String> {
        let mut tally = Tally::default();
        // Few states run on the same bytes in the short run, so that many registers and immediates are seen.
        let each = if wanted > 10_000 { 100 } else { 25 };
        // Forms come up with different likelihood: one that turns up late still gets its share.
        while tally.forms.is_empty() || tally.tries < 40 || tally.forms.values().any(|&count| count < wanted) {
            tally.tries += 1;
            if tally.tries > 400 * wanted {
                return Err(format!("too few states: {:?}", tally.forms));
            }
            let (inst, access) = self.sample(form);
            let (decoded, bytes) = encoded(&inst, self.bench.slot())?;
            let memory = (0..decoded.op_count()).any(|n| decoded.op_kind(n) == OpKind::Memory);
            let count = tally.forms.entry((decoded.code() as u32, memory)).or_default();
            if *count >= wanted {
                continue;
            }
            self.bench.load(&bytes).map_err(|error| format!("error {error}"))?;
            let mut data = [0; PAGE];
            data.iter_mut().for_each(|byte| *byte = self.random.next() as u8);
            for _ in 0..each {
                let state = self.state(&inst, access, &mut data);
                match self.check(&inst, &bytes, &state, &data) {
                    Ok(Some((end, judged))) => {
                        *count += 1;
                        tally.judged += u64::from(judged);
                        tally.faults += u64::from(matches!(end, End::Signal(_)));
                    }
                    Ok(None) => {}
                    Err(message) => return Err(format!("{inst} ({bytes:02x?}): {message}\nfrom {state:x?}")),
                }
            }
        }
        Ok(tally)
    }
}

#[derive(Default)]
struct Tally {
    /// States for each form: code, memory operand.
    forms: BTreeMap<(u32, bool), u64>,
    faults: u64,
    /// States from which the checker accepted the instruction.
    judged: u64,
    tries: u64,
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map_or("?", |(_, value)| value.trim()).to_string()
    };
    let fields = ["vendor_id", "model name", "cpu family", "model", "stepping"].map(field);
    format!("{} {}, family {}, model {}, stepping {}", fields[0], fields[1], fields[2], fields[3], fields[4])
}

fn run(wanted: u64) {
    eprintln!("CPU: {}", cpu_model());
    let seed = seed(3);
    let here = CpuFeatures(vwasm_runtime::cpu::features());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let worker = || {
        let (mut forms, mut states, mut faults, mut judged, mut failures) = (0, 0, 0, 0, Vec::new());
        loop {
            let form = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(name) = NAMES.get(form) else { return (forms, states, faults, judged, failures) };
            let mut lab = Lab::new(Random(seed ^ (form as u64) << 32));
            let features = lab.sample(form).0.features();
            if here.union(features) != here {
                eprintln!("{name} needs a CPU feature that is not here");
                continue;
            }
            match lab.form(form, wanted) {
                Ok(tally) => {
                    forms += tally.forms.len();
                    states += tally.forms.values().sum::<u64>();
                    faults += tally.faults;
                    judged += tally.judged;
                }
                Err(message) => failures.push(format!("{name}: {message}")),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut forms, mut states, mut faults, mut judged, mut failures) = (0, 0, 0, 0, Vec::new());
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        for thread in running {
            let (some, of, wrong, by_checker, messages) = thread.join().expect("no panic");
            forms += some;
            states += of;
            faults += wrong;
            judged += by_checker;
            failures.extend(messages);
        }
    });
    eprintln!("{} instructions in {forms} forms, {states} states, {faults} of them faults", NAMES.len());
    eprintln!("the checker's facts held in all {judged} of them that it accepted");
    assert!(judged > states / 4, "the checker accepted {judged} states only");
    assert!(failures.is_empty(), "{} descriptions differ from the CPU:\n{}", failures.len(), failures.join("\n\n"));
}

#[test]
fn descriptions_agree_with_the_cpu() {
    run(1000);
}

#[test]
#[ignore = "takes minutes"]
fn descriptions_agree_with_the_cpu_on_100_000_states() {
    run(100_000);
}
