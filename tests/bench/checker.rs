//! How fast the sandbox checker is on one thread, beside a loop that only decodes:
//!
//!     cargo bench -p vwasm-tests --bench checker -- EXECUTABLE [TIMES]
//!
//! Of an executable made by `vwasm compile`: user time of each part, the median of several runs, in MB of code a second.

use iced_x86::{Decoder, DecoderOptions, Instruction};
use vwasm::claims::{read, split};
use vwasm::verify::check_module;
use vwasm_checker::Checker;
use vwasm_checker::claims::Claims;

/// User time of the process so far, in seconds.
fn user() -> f64 {
    // SAFETY: getrusage fills the structure that it is given.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        assert_eq!(libc::getrusage(libc::RUSAGE_SELF, &mut usage), 0);
        usage
    };
    usage.ru_utime.tv_sec as f64 + usage.ru_utime.tv_usec as f64 / 1e6
}

fn main() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("one thread");
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(path) = arguments.next() else { return println!("no executable to check is named") };
    let times: usize = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(7);
    let file = std::fs::read(&path).expect("a file");
    let payload = vwasm::executable::read(&file).expect("an executable of vwasm's");
    let manifest = vwasm::verify::manifest(payload.manifest).expect("a manifest");
    let module = vwasm::verify::describe(&manifest, payload.code, payload.data).expect("a description");
    let report = |what: &str, run: &dyn Fn() -> u64| {
        let mut seconds: Vec<f64> = (0..times)
            .map(|_| {
                let before = user();
                std::hint::black_box(run());
                user() - before
            })
            .collect();
        seconds.sort_by(f64::total_cmp);
        let median = seconds[times / 2];
        let rate = module.code.len() as f64 / median / 1e6;
        println!(
            "{what:12} {:8.1} ms {rate:6.0} MB/s   ({:.1} to {:.1} ms)",
            median * 1e3,
            seconds[0] * 1e3,
            seconds[times - 1] * 1e3
        );
    };
    println!("{} bytes of code, {} of claims", module.code.len(), payload.claims.len());
    report("iced alone", &|| {
        let mut instruction = Instruction::default();
        let mut sum = 0;
        for unit in &module.units {
            let mut decoder = Decoder::with_ip(64, &module.code[..unit.end as usize], 0, DecoderOptions::NONE);
            decoder.set_position(unit.start as usize).expect("a position");
            decoder.set_ip(unit.start.into());
            while decoder.can_decode() {
                decoder.decode_out(&mut instruction);
                sum += instruction.code() as u64;
            }
        }
        sum
    });
    report("claims alone", &|| {
        let mut claims = Claims::default();
        let mut count = 0;
        for (unit, part) in module.units[..module.functions].iter().zip(split(payload.claims, &module).expect("claims")) {
            read(part, &mut claims, unit.start, unit.end).expect("claims");
            count += claims.labels.len() as u64;
        }
        count
    });
    report("module alone", &|| Checker::new(&module).is_ok().into());
    report("check", &|| check_module(&module, payload.claims).expect("accepted").instructions);
}
