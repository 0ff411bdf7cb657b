//! How late guests are that another thread ends, whatever they are at:
//!
//!     cargo bench -p vwasm-tests --bench interrupt [-- [TIMES] [PART-OF-A-NAME]]
//!
//! For each kind of work, in milliseconds from the moment before the interruption is asked for until the call is back: the
//! median, the 99th percentile, the worst, and how many took more than 10 ms. Of a hundred times, unless said otherwise; each
//! after another while, so that it is met at another place. Then the same of the time that the guest's thread had a processor
//! after it was asked for: what it was at and had to finish, whatever else the machine does.

use std::time::Duration;
use vwasm::embed::Engine;
use vwasm_runtime::trap::TrapKind;
use vwasm_tests::endless::{Endless, WORK};
use vwasm_tests::support::Directory;

fn main() {
    let mut times = 100;
    let mut wanted = String::new();
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.parse() {
            Ok(number) => times = number,
            Err(_) => wanted = argument,
        }
    }
    let engine = Engine::default();
    let directory = Directory::new("interrupt-bench");
    println!("{times} times each, milliseconds{:28}with a processor", "");
    println!("{:20}{}   {}", "", HEAD, HEAD);
    for (name, work) in WORK.iter().filter(|(name, _)| name.contains(&wanted)) {
        let mut endless = Endless::new(&engine, &directory, work);
        let (mut late, mut own) = (Vec::new(), Vec::new());
        for time in 0..times {
            let end = endless.end(Duration::from_micros(20_000 + 997 * (time % 31)));
            assert_eq!(end.kind, Some(TrapKind::Interrupted), "{name}");
            late.push(end.late.as_secs_f64() * 1e3);
            own.push(end.worked.as_secs_f64() * 1e3);
        }
        println!("{name:20}{}   {}", columns(late), columns(own));
    }
}

const HEAD: &str = "  median    99 %   worst  >10 ms";

fn columns(mut times: Vec<f64>) -> String {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    let slow = times.iter().filter(|time| **time > 10.0).count();
    format!("{:8.3}{:8.3}{:8.3}{slow:8}", at(0.5), at(0.99), at(1.0))
}
