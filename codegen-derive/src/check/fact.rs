//! What the checker knows and how it judges: facts, states, regions, tables.

use super::types::{Globals, Scope, Signature, Stage, Typer, computable, mismatch};
use super::walk;
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::{HashMap, HashSet};

/// Parameters of facts and regions by name.
type Shapes = HashMap<String, Vec<Param>>;

struct Checking<'a> {
    globals: &'a mut Globals,
    errors: &'a mut Vec<Diagnostic>,
    /// States that the checker does not know, which only meanings may name.
    hidden: HashSet<String>,
}

impl Checking<'_> {
    /// Types an expression over parameters and further names.
    fn expr(&mut self, expr: &mut Expr, want: &Type, params: &[&Param], more: &[(&Name, Type)]) {
        let mut scope = Scope::default();
        for param in params {
            scope.bind(&param.name, param.ty.clone(), Stage::Compile, self.errors);
        }
        for (name, ty) in more {
            scope.bind(name, ty.clone(), Stage::Compile, self.errors);
        }
        Typer { globals: self.globals, scope: &mut scope, errors: self.errors }.expect(expr, want);
    }

    /// An expression that the checker itself computes.
    fn computed(&mut self, expr: &mut Expr, want: &Type, scope: &mut Scope) {
        let first = self.errors.len();
        Typer { globals: self.globals, scope, errors: self.errors }.expect(expr, want);
        if self.errors.len() == first {
            computable(expr, self.errors);
            self.visible(expr);
        }
    }

    fn visible(&mut self, expr: &Expr) {
        walk(expr, &mut |part| {
            if let ExprKind::Call(name, _) = &part.kind
                && self.hidden.contains(&name.text)
            {
                self.errors.push(
                    Diagnostic::new(name.span, format!("the checker does not know `{}`", name.text))
                        .help("only what is declared `known` may stand in a premise or result"),
                );
            }
        });
    }

    fn pattern(&mut self, pattern: &FactPattern, facts: &Shapes, scope: &mut Scope) {
        let i64 = Type::Bits(64);
        match pattern {
            FactPattern::Any(_) => {}
            FactPattern::Bounded { alias, bound } => {
                scope.bind(bound, i64, Stage::Compile, self.errors);
                if let Some(alias) = alias {
                    scope.bind(alias, Type::Unknown, Stage::Compile, self.errors);
                }
            }
            FactPattern::Fact { name, args, span } => {
                let Some(params) = facts.get(&name.text) else {
                    self.errors.push(Diagnostic::unknown("fact", name, facts.keys().map(String::as_str)));
                    return;
                };
                if args.len() != params.len() {
                    let message = format!("`{}` takes {} numbers, not {}", name.text, params.len(), args.len());
                    self.errors.push(Diagnostic::new(*span, message));
                }
                for (arg, param) in args.iter().zip(params) {
                    match arg {
                        FactArg::Any(_) | FactArg::Literal(..) => {}
                        FactArg::Var(name) => scope.bind(name, param.ty.clone(), Stage::Compile, self.errors),
                        FactArg::Same(name) => match scope.names.get(&name.text) {
                            Some(bound) if bound.ty == param.ty => scope.touch(&name.text),
                            Some(bound) => self.errors.push(mismatch(name.span, &param.ty, &bound.ty)),
                            None => self
                                .errors
                                .push(Diagnostic::new(name.span, format!("`={}` names nothing bound before it", name.text))),
                        },
                    }
                }
            }
        }
    }

    fn row(&mut self, row: &mut Row, judgement: (&Judged, usize, &[Param]), facts: &Shapes, extents: &Shapes) {
        let (judged, values, numbers) = judgement;
        if row.patterns.len() != values {
            let message = format!("this table is about {values} values, the row about {}", row.patterns.len());
            self.errors.push(Diagnostic::new(row.span, message));
        }
        let mut scope = Scope::default();
        for number in numbers {
            scope.bind(&number.name, number.ty.clone(), Stage::Compile, self.errors);
            scope.touch(&number.name.text);
        }
        for pattern in &row.patterns {
            self.pattern(pattern, facts, &mut scope);
        }
        for condition in row.conditions.iter_mut().chain(&mut row.preferences) {
            self.computed(condition, &Type::Bool, &mut scope);
        }
        match (&mut row.result, judged) {
            (None, Judged::Imply) => {}
            (Some(_), Judged::Imply) | (None, _) => {
                let help = "a row of `imply` gives nothing, every other row a fact or a region";
                self.errors.push(Diagnostic::new(row.span, "this row gives the wrong kind of thing").help(help));
            }
            (Some((name, args)), _) => {
                let is_alias = args.is_empty() && scope.names.contains_key(&name.text);
                let shapes = if matches!(judged, Judged::Access(..)) { extents } else { facts };
                match shapes.get(&name.text) {
                    _ if is_alias => scope.touch(&name.text),
                    None => self.errors.push(Diagnostic::unknown("fact or region", name, shapes.keys().map(String::as_str))),
                    Some(params) => {
                        if params.len() != args.len() {
                            let message = format!("`{}` takes {} numbers, not {}", name.text, params.len(), args.len());
                            self.errors.push(Diagnostic::new(name.span, message));
                        }
                        for (arg, param) in args.iter_mut().zip(params) {
                            self.computed(arg, &param.ty, &mut scope);
                        }
                    }
                }
            }
        }
        scope.report_unused(self.errors);
    }
}

/// Types everything; functions are typed already.
pub fn check(spec: &mut Spec, globals: &mut Globals, errors: &mut Vec<Diagnostic>) {
    for state in &spec.states {
        let signature = Signature {
            params: state.params.iter().map(|param| param.ty.clone()).collect(),
            result: state.result.clone(),
            span: state.name.span,
        };
        if globals.functions.insert(state.name.text.clone(), signature).is_some() {
            let message = format!("`{}` is a function already", state.name.text);
            errors.push(Diagnostic::new(state.name.span, message));
        }
    }
    let hidden = spec.states.iter().filter(|state| !state.known).map(|state| state.name.text.clone()).collect();
    let shapes = |name: &Name, params: &[Param]| (name.text.clone(), params.to_vec());
    let facts: Shapes = spec.facts.iter().map(|fact| shapes(&fact.name, &fact.params)).collect();
    let extents: Shapes = spec.extents.iter().map(|extent| shapes(&extent.name, &extent.params)).collect();
    let fields = spec.layouts.iter().flat_map(|layout| &layout.fields).filter_map(|field| field.holds.as_ref());
    for name in fields.chain(spec.extents.iter().filter_map(|extent| extent.holds.as_ref())) {
        if !facts.contains_key(&name.text) {
            errors.push(Diagnostic::unknown("fact", name, facts.keys().map(String::as_str)));
        }
    }
    let mut checking = Checking { globals, errors, hidden };
    let (i64, bool) = (Type::Bits(64), Type::Bool);
    for state in &mut spec.states {
        if let Some(with) = &mut state.with {
            let params: Vec<&Param> = state.params.iter().collect();
            checking.expr(with, &bool, &params, &[(&state.name, state.result.clone())]);
        }
    }
    for fact in &mut spec.facts {
        let params: Vec<&Param> = fact.params.iter().collect();
        if let Some(most) = &mut fact.most {
            checking.expr(most, &i64, &params, &[]);
            checking.visible(most);
        }
        let value = Name { text: "value".into(), span: fact.name.span };
        checking.expr(&mut fact.means, &bool, &params, &[(&value, i64.clone())]);
    }
    for extent in &mut spec.extents {
        let params: Vec<&Param> = extent.params.iter().collect();
        checking.expr(&mut extent.start, &i64, &params, &[]);
        checking.expr(&mut extent.size, &i64, &params, &[]);
        if let Some(when) = &mut extent.when {
            checking.expr(when, &bool, &params, &[]);
            checking.visible(when);
        }
    }
    for judgement in &mut spec.judgements {
        let numbers: Vec<&Param> = judgement.numbers.iter().collect();
        let values: Vec<(&Name, Type)> = judgement.values.iter().map(|name| (name, i64.clone())).collect();
        match &mut judgement.judged {
            Judged::Derive(value) => checking.expr(value, &i64, &numbers, &values),
            Judged::Refine(condition) => checking.expr(condition, &bool, &numbers, &values),
            Judged::Imply | Judged::Join => {}
            Judged::Access(address, width) => {
                checking.expr(address, &i64, &numbers, &values);
                checking.expr(width, &i64, &numbers, &values);
            }
        }
        let values = judgement.values.len();
        for row in &mut judgement.rows {
            checking.row(row, (&judgement.judged, values, &judgement.numbers), &facts, &extents);
        }
    }
    // The states are no functions to rules and instructions.
    for state in &spec.states {
        globals.functions.remove(&state.name.text);
    }
}
