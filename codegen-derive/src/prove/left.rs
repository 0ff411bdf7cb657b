//! Left sides and operators: the values that a rule's names stand for, and what is expected of its right side.

use super::effect::{Effects, Goal};
use super::meaning::{Meaning, Meant, Scope, Value, width};
use super::term::{Op as Operation, Sort, Term};
use crate::ast::*;
use std::collections::HashMap;

/// What a name of a rule stands for.
#[derive(Clone, Debug)]
pub enum Bound {
    /// A value of the IR, and the register it is in: 64 bits, or 128 for a float.
    Value { term: Term, register: Term },
    /// A number known when the rule is applied.
    Number(Term),
    /// A register that the right side wrote.
    Register { register: Term, ty: Type },
}

/// Something to show in a counterexample.
#[derive(Clone, Debug)]
pub struct Shown {
    pub name: String,
    pub ty: Type,
    pub term: Term,
}

/// One instruction or operator of the right side.
#[derive(Clone, Debug)]
pub struct Step {
    pub text: String,
    pub gives: Vec<Shown>,
    /// Whether it is reached.
    pub live: Term,
}

/// Where effects of an operator go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Expected of the right side.
    Expected { folded: bool },
    /// They have happened before: no trap fired.
    Before,
    /// Done by the right side.
    Done,
}

/// A rule being turned into an obligation.
pub struct Builder<'a> {
    pub meaning: Meaning<'a>,
    pub spec: &'a Spec,
    pub ops: &'a HashMap<&'a str, &'a Op>,
    pub insts: &'a HashMap<&'a str, &'a Inst>,
    pub forms: &'a HashMap<&'a str, &'a RuleBlock>,
    pub names: HashMap<String, Bound>,
    pub effects: Effects,
    pub flags: super::meaning::Flags,
    /// Assumptions beyond those of `meaning`.
    pub assumed: Vec<Term>,
    pub inputs: Vec<Shown>,
    pub steps: Vec<Step>,
    pub roles: HashMap<String, Term>,
    pub place: Place,
}

/// The bits of a constant of a type.
fn bits(ty: &Type) -> Sort {
    Sort::Bits(width(ty))
}

impl<'a> Builder<'a> {
    pub fn graph(&mut self) -> &mut super::term::Graph {
        &mut self.meaning.graph
    }

    /// A variable that is an input of the rule.
    pub fn input(&mut self, name: &str, ty: &Type) -> Term {
        let term = self.graph().variable(name, bits(ty));
        self.inputs.push(Shown { name: name.into(), ty: ty.clone(), term });
        term
    }

    /// The register that holds a value: an i32 is zero-extended, above a float there may be anything.
    pub fn register_of(&mut self, name: &str, ty: &Type, term: Term) -> Term {
        match ty {
            Type::F32 | Type::F64 => {
                let above = self.graph().variable(format!("lanes above {name}"), Sort::Bits(128 - width(ty)));
                self.graph().concat(above, term)
            }
            _ => self.graph().extend(Operation::ZeroExtend, term, 64),
        }
    }

    /// A role's register.
    pub fn role(&mut self, name: &str) -> Term {
        if let Some(&term) = self.roles.get(name) {
            return term;
        }
        let term = self.input(name, &Type::Bits(64));
        self.roles.insert(name.into(), term);
        term
    }

    /// Matches an operand; gives its value.
    pub fn pattern(&mut self, pattern: &Pattern, ty: &Type) -> Meant<Term> {
        match pattern {
            Pattern::Var(name) => {
                let term = self.input(&name.text, ty);
                let register = self.register_of(&name.text, ty, term);
                self.names.insert(name.text.clone(), Bound::Value { term, register });
                Ok(term)
            }
            Pattern::Any(_) => Ok(self.input("_", ty)),
            Pattern::Const(name) => {
                let term = self.input(&name.text, ty);
                self.names.insert(name.text.clone(), Bound::Number(term));
                Ok(term)
            }
            Pattern::Literal(value, _) => {
                let value = *value as u128;
                Ok(self.graph().bits(value, width(ty)))
            }
            Pattern::Same(name) => match self.names.get(&name.text) {
                Some(Bound::Value { term, .. }) => Ok(*term),
                _ => Err(format!("`{}` is no value", name.text)),
            },
            Pattern::Op { op, alias, args, immediates, .. } => {
                let op = self.op(&op.text)?;
                let place = self.place;
                let args = args
                    .iter()
                    .zip(&op.params)
                    .map(|(arg, param)| self.pattern(arg, &param.ty))
                    .collect::<Meant<Vec<_>>>()?;
                let immediates = self.immediates(immediates, &op.immediates);
                self.place = match place {
                    Place::Expected { .. } => Place::Expected { folded: true },
                    other => other,
                };
                let (scope, result) = self.run(op, &args, &immediates)?;
                self.place = place;
                let result = result.ok_or_else(|| format!("`{}` gives nothing", op.name.text))?;
                let term = self.meaning.term(result, &scope)?;
                if let Some(alias) = alias {
                    let register = self.register_of(&alias.text, ty, term);
                    self.names.insert(alias.text.clone(), Bound::Value { term, register });
                }
                Ok(term)
            }
        }
    }

    pub fn immediates(&mut self, patterns: &[ImmPattern], params: &[Param]) -> Vec<Term> {
        let mut terms = Vec::new();
        for (pattern, param) in patterns.iter().zip(params) {
            let term = match pattern {
                ImmPattern::Var(name) => {
                    let term = self.input(&name.text, &param.ty);
                    self.names.insert(name.text.clone(), Bound::Number(term));
                    term
                }
                ImmPattern::Any(_) => self.input("_", &param.ty),
                ImmPattern::Literal(value, _) => {
                    let value = *value as u128;
                    self.graph().bits(value, width(&param.ty))
                }
            };
            terms.push(term);
        }
        terms
    }

    pub fn op(&self, name: &str) -> Meant<&'a Op> {
        self.ops.get(name).copied().ok_or_else(|| format!("no operator `{name}`"))
    }

    /// The names that compile-time conditions may use.
    pub fn numbers(&self) -> Scope {
        let number = |(name, bound): (&String, &Bound)| match bound {
            Bound::Number(term) => Some((name.clone(), Value::Term(*term))),
            _ => None,
        };
        self.names.iter().filter_map(number).collect()
    }

    /// Performs an operator's effects; gives its scope and the expression of its result.
    pub fn run<'b>(&mut self, op: &'b Op, args: &[Term], immediates: &[Term]) -> Meant<(Scope, Option<&'b Expr>)> {
        let params = op.params.iter().chain(&op.immediates);
        let mut scope: Scope = params
            .zip(args.iter().chain(immediates))
            .map(|(param, &term)| (param.name.text.clone(), Value::Term(term)))
            .collect();
        let mut result = None;
        for stmt in &op.body {
            match stmt {
                OpStmt::Let(name, value) => {
                    let value = self.meaning.value(value, &scope)?;
                    scope.insert(name.text.clone(), value);
                }
                OpStmt::Trap(code, condition) => {
                    let condition = self.meaning.term(condition, &scope)?;
                    self.trap(&code.text, condition)?;
                }
                OpStmt::Read { region, name, ty, address, .. } => {
                    let value = self.read(*region, &name.text, ty, address, &mut scope)?;
                    scope.insert(name.text.clone(), Value::Term(value));
                }
                OpStmt::Write { region, value, address, .. } => {
                    let wide = width(&value.ty);
                    let value = self.meaning.term(value, &scope)?;
                    let address = self.place_of(address, &mut scope)?;
                    let graph = &mut self.meaning.graph;
                    match self.place {
                        Place::Expected { folded } => {
                            self.effects.expect_access(*region, true, wide, address, value, folded)
                        }
                        Place::Before => {}
                        Place::Done => {
                            self.effects.access(graph, wide, address, Some(value));
                        }
                    }
                }
                OpStmt::Result(value) | OpStmt::Branch(value) => result = Some(value),
            }
        }
        Ok((scope, result))
    }

    /// An address of an operator, which may name the instance.
    fn place_of(&mut self, address: &Expr, scope: &mut Scope) -> Meant<Term> {
        let mut instance = false;
        crate::check::walk(address, &mut |part| instance |= matches!(&part.kind, ExprKind::Var(name) if name == "instance"));
        if instance {
            let role = self.role("instance");
            scope.insert("instance".into(), Value::Term(role));
        }
        self.meaning.term(address, scope)
    }

    fn read(&mut self, region: Region, name: &str, ty: &Type, address: &Expr, scope: &mut Scope) -> Meant<Term> {
        // The constant at address 0 stands for where the instance's own memory begins.
        if region == Region::Constant && matches!(address.kind, ExprKind::Int(0)) {
            return Ok(self.role("mem0"));
        }
        let address = self.place_of(address, scope)?;
        Ok(match self.place {
            Place::Expected { folded } => {
                let value = self.input(&format!("{name} in storage"), ty);
                self.effects.expect_access(region, false, width(ty), address, value, folded);
                value
            }
            Place::Before => self.input(&format!("{name} in storage"), ty),
            Place::Done => self.effects.access(&mut self.meaning.graph, width(ty), address, None),
        })
    }

    /// The number of a trap.
    pub fn trap_number(&self, code: &str) -> Meant<u8> {
        let known = self.spec.traps.iter().find(|trap| trap.name.text == code);
        known.map(|trap| trap.number).ok_or_else(|| format!("no trap `{code}`"))
    }

    fn trap(&mut self, code: &str, condition: Term) -> Meant<()> {
        let number = self.trap_number(code)?;
        let graph = &mut self.meaning.graph;
        match self.place {
            Place::Expected { .. } => self.effects.expect_trap(graph, condition, number),
            Place::Before => {
                let passes = graph.not(condition);
                self.assumed.push(passes);
            }
            Place::Done => self.effects.trap(graph, condition, number),
        }
        Ok(())
    }

    /// A goal that matters only if the operators do not trap.
    pub fn goal(&mut self, what: impl Into<String>, holds: Term) {
        let live = self.effects.expected_live();
        let holds = self.graph().implies(live, holds);
        self.effects.goals.push(Goal { what: what.into(), holds });
    }
}
