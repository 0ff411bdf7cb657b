use codegen_derive::prove::obligation::*;
fn main() {
    let spec = codegen_derive::load(std::path::Path::new("spec")).unwrap_or_else(|e| panic!("{e}"));
    let cx = Context::new(&spec);
    let only: Vec<String> = std::env::args().skip(1).collect();
    for block in &spec.blocks {
        for rule in &block.rules {
            let name = full_name(block, rule);
            if !only.contains(&name) {
                continue;
            }
            let o = cx.rule(block, rule).unwrap();
            for (i, s) in o.strategies().iter().enumerate() {
                println!("{name} strategy {i}: {} scripts, integers {}", s.scripts.len(), s.integers);
                for (j, x) in s.scripts.iter().enumerate() {
                    std::fs::write(format!("/tmp/dump/{}_{i}_{j}.smt2", name.replace('/', "_")), &x.text).unwrap();
                }
            }
        }
    }
}
