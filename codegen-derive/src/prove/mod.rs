//! Every rule as a theorem.
//!
//! Takes a checked specification and turns each rule into statements over bit-vectors ([`obligation`]), which are printed for
//! solvers ([`smt`]) and computed for counterexamples ([`term`]). `left` says what is expected of a right side, `machine` what
//! it does, `meaning` what expressions mean, `effect` compares traps and accesses.

pub mod blast;
pub mod command;
pub mod effect;
pub mod explain;
pub mod fact;
pub mod gates;
pub mod hash;
pub mod integers;
pub mod judge;
pub mod left;
pub mod linear;
pub mod lock;
pub mod machine;
pub mod meaning;
pub mod mutate;
pub mod mutate_described;
pub mod mutate_kinds;
pub mod obligation;
pub mod random;
pub mod run;
pub mod search;
pub mod smt;
pub mod solver;
pub mod strategy;
pub mod term;
pub mod theorem;
pub mod witness;
