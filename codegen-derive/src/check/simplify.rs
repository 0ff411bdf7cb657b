//! Right sides of simplify rules: operators built from operators, with a measure that decreases.

use super::rule::{Checker, constant_type, tuple};
use super::types::{Scope, Stage, mismatch};
use crate::ast::*;
use crate::diagnostic::Diagnostic;

impl Checker<'_> {
    pub fn simplify(&mut self, rule: &mut Rule, block: &Name, wanted: &Type, scope: &mut Scope) {
        let first = self.errors.len();
        self.built(&mut rule.right, wanted, scope);
        if self.errors.len() > first {
            return;
        }
        let root = self.ops.get(block.text.as_str()).map_or(0, |op| u64::from(op.weight));
        let matched = root + rule.patterns.iter().map(|pattern| self.matched_weight(pattern)).sum::<u64>();
        let built = self.built_weight(&rule.right);
        if built >= matched {
            self.error(
                Diagnostic::new(rule.name.span, format!("rule `{}` does not make the expression smaller", rule.name.text))
                    .label(format!("matches weight {matched}, builds weight {built}"))
                    .help("the sum of the operators' weights must decrease, so that rewriting ends"),
            );
        }
    }

    fn built(&mut self, right: &mut Right, wanted: &Type, scope: &mut Scope) {
        match right {
            Right::Var(name) => {
                let mut expr = Expr { kind: ExprKind::Var(name.text.clone()), ty: Type::Unknown, span: name.span };
                self.typer(scope).expect(&mut expr, wanted);
                self.bound_value(&expr, scope);
            }
            Right::Const(expr) => {
                self.typer(scope).expect(expr, &constant_type(wanted));
                self.compile_time(expr, scope);
            }
            Right::Apply { name, args, span } => {
                let (name, span) = (name.clone(), *span);
                self.operator(&name, args, span, wanted, scope);
            }
            other => {
                let span = other.span();
                self.error(
                    Diagnostic::new(span, "a simplify rule builds operators")
                        .help("instructions, addresses and `seq` belong in `lower` and `form`"),
                );
            }
        }
    }

    fn operator(&mut self, name: &Name, args: &mut [Arg], span: Span, wanted: &Type, scope: &mut Scope) {
        let Some(op) = self.op(name) else { return };
        let found = tuple(op.results.clone());
        if found != *wanted {
            self.error(mismatch(span, wanted, &found));
        }
        if op.kind != OpKind::Ordinary {
            self.error(Diagnostic::new(name.span, format!("`{}` is control or a call and cannot be built", name.text)));
        }
        let expected = op.params.len() + op.immediates.len();
        if args.len() != expected {
            let (found, s) = (args.len(), if expected == 1 { "" } else { "s" });
            self.error(
                Diagnostic::new(name.span, format!("`{}` takes {expected} operand{s}, found {found}", name.text))
                    .other(op.name.span, "declared here"),
            );
        }
        for (number, (arg, param)) in args.iter_mut().zip(op.params.iter().chain(&op.immediates)).enumerate() {
            match arg {
                Arg::Nested(right) if number < op.params.len() => self.built(right, &param.ty, scope),
                Arg::Expr(expr) => {
                    self.typer(scope).expect(expr, &param.ty);
                    if number < op.params.len() {
                        self.bound_value(expr, scope);
                    } else {
                        self.compile_time(expr, scope);
                    }
                }
                other => {
                    let span = other.span();
                    self.error(
                        Diagnostic::new(span, format!("`{}` cannot take this", name.text)).help("operators take values"),
                    );
                }
            }
        }
    }

    /// An operand of an operator is a value that a pattern bound.
    fn bound_value(&mut self, expr: &Expr, scope: &Scope) {
        let bound = match &expr.kind {
            ExprKind::Var(name) => scope.stage(name).is_none_or(|stage| stage == Stage::Value),
            _ => false,
        };
        if !bound {
            self.error(
                Diagnostic::new(expr.span, "this is not a value of the program")
                    .help("a number becomes one with `(const e)`, an operator's result with `(i32.add x, y)`"),
            );
        }
    }

    fn matched_weight(&self, pattern: &Pattern) -> u64 {
        match pattern {
            Pattern::Op { op, args, .. } => {
                self.ops.get(op.text.as_str()).map_or(0, |op| u64::from(op.weight))
                    + args.iter().map(|arg| self.matched_weight(arg)).sum::<u64>()
            }
            Pattern::Const(_) | Pattern::Literal(..) => 1,
            Pattern::Var(_) | Pattern::Any(_) | Pattern::Same(_) => 0,
        }
    }

    fn built_weight(&self, right: &Right) -> u64 {
        let weight = |name: &Name| self.ops.get(name.text.as_str()).map_or(0, |op| u64::from(op.weight));
        match right {
            Right::Const(_) => 1,
            Right::Apply { name, args, .. } => {
                let args = args.iter().map(|arg| match arg {
                    Arg::Nested(right) => self.built_weight(right),
                    _ => 0,
                });
                weight(name) + args.sum::<u64>()
            }
            _ => 0,
        }
    }
}
