use codegen_derive::prove::{obligation::*, solver::*, judge::*, run::*, mutate::*};
use std::time::*;
use std::collections::*;
fn main() {
    let spec = codegen_derive::load(std::path::Path::new("spec")).unwrap_or_else(|e| panic!("{e}"));
    let cx = Context::new(&spec);
    let only: Vec<String> = std::env::args().skip(1).collect();
    let mut options = Options::new(std::path::Path::new("/tmp/solvers"));
    options.limit = Duration::from_secs(10);
    let start = Instant::now();
    let mut solvers = Solvers::new(std::path::Path::new("/tmp/solvers"));
    let mut total: BTreeMap<Change, (usize, usize)> = BTreeMap::new();
    let mut opens = 0;
    for block in &spec.blocks { for rule in &block.rules {
        let name = full_name(block, rule);
        if !only.is_empty() && !only.iter().any(|n| name.starts_with(n.as_str())) { continue }
        let t = Instant::now();
        let tally = judge(&cx, block, rule, &mut solvers, &options);
        opens += tally.open.len();
        for (c, (a, b)) in &tally.counts { let e = total.entry(*c).or_default(); e.0 += a; e.1 += b; }
        let slow = t.elapsed() > Duration::from_secs(2);
        if !tally.open.is_empty() || !tally.needless.is_empty() || !only.is_empty() || slow { println!("{name} {:?} {:?} OPEN {:?} NEEDLESS {:?} EQ {:?}", t.elapsed(), tally.words(), tally.open, tally.needless, tally.equivalent); }
    } }
    println!("{total:?}\n total {:?} open {opens} in {:?}", total.values().fold((0,0), |(a,b),(c,d)| (a+c,b+d)), start.elapsed());
}
