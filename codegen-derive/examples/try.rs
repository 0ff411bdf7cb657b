use codegen_derive::prove::{obligation::*, solver::*};
use std::time::*;
fn main() {
    let spec = codegen_derive::load(std::path::Path::new("spec")).unwrap_or_else(|e| panic!("{e}"));
    let cx = Context::new(&spec);
    let only: Vec<String> = std::env::args().skip(1).collect();
    let start = Instant::now();
    let mut all = Vec::new();
    for block in &spec.blocks {
        for n in 0..block.rules.len() {
            for o in cx.all(block, n) {
                match o { Ok(o) => all.push(o), Err((k, e)) => println!("UNSUPPORTED {} {}: {e}", full_name(block, &block.rules[n]), k.name()) }
            }
        }
    }
    for op in spec.ops.iter().filter(|op| op.commutative) {
        match cx.commutative(op) { Ok(o) => all.push(o), Err(e) => println!("UNSUPPORTED {} {e}", op.name.text) }
    }
    println!("{} obligations built in {:?}", all.len(), start.elapsed());
    let start = Instant::now();
    let mut bytes = 0;
    for o in &mut all { bytes += o.query(false).text.len(); }
    println!("{bytes} bytes in {:?}", start.elapsed());
    let mut solvers = Solvers::new(std::path::Path::new("/tmp/solvers"));
    for o in &mut all {
        if !only.is_empty() && !only.iter().any(|name| o.name.starts_with(name.as_str())) { continue }
        let mut script = o.query(true); if !script.floats || std::env::var("FULL").is_ok() { script = o.query(false) };
        let mut line = String::new();
        let mut bad = 0;
        for s in [Solver::Z3, Solver::Bitwuzla] {
            let (v, t) = solvers.ask(s, &script, Duration::from_secs(10));
            let ok = matches!((&v, o.kind.wants_example()), (Verdict::Sat(_), true) | (Verdict::Unsat, false));
            if !ok { bad += 1; }
            let text = match &v { Verdict::Sat(values) => {
                let mut full = vec![0; o.graph.variables.len()];
                for ((var, _), value) in script.variables.iter().zip(values) { full[*var as usize] = *value; }
                let failing = o.failing(&full).map(|f| f.iter().map(|g| g.what.clone()).collect::<Vec<_>>());
                let names: Vec<String> = script.variables.iter().zip(values).map(|((var, _), value)| format!("{}={value:#x}", o.graph.variables[*var as usize].name)).collect();
                if ok { "sat".into() } else { format!("sat {failing:?} {names:?}") }
            }, other => format!("{other:?}") };
            line += &format!(" [{} {text} {t:.2?}]", s.program());
            if t > Duration::from_secs(1) { bad += 1; }
        }
        if bad > 0 || !only.is_empty() { println!("{} {}:{line}", o.kind.name(), o.name); }
        if !only.is_empty() && std::env::var("SHOW").is_ok() { println!("{}", script.text); }
    }
    println!("{:?}", start.elapsed());
}
