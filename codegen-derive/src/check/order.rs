//! The rules of a block as a whole: unique names, a last rule that always applies, no rule that never does.

use super::rule::constant_type;
use crate::ast::*;
use crate::diagnostic::Diagnostic;
use std::collections::HashMap;

pub fn check(blocks: &[RuleBlock], ops: &HashMap<&str, &Op>, errors: &mut Vec<Diagnostic>) {
    let mut names: HashMap<String, Span> = HashMap::new();
    for block in blocks {
        for rule in &block.rules {
            let name = format!("{}/{}", block.name.text, rule.name.text);
            let message = format!("two rules are named `{name}`");
            if let Some(first) = names.insert(name, rule.name.span) {
                errors.push(
                    Diagnostic::new(rule.name.span, message)
                        .other(first, "first used here")
                        .help("a rule is known by its operator and its own name in listings and proofs"),
                );
            }
        }
        last(block, errors);
        shadowing(block, ops, errors);
    }
}

fn last(block: &RuleBlock, errors: &mut Vec<Diagnostic>) {
    let Some(rule) = block.rules.last() else {
        if block.kind != BlockKind::Simplify {
            errors.push(
                Diagnostic::new(block.name.span, format!("`{}` has no rules", block.name.text))
                    .help("add a rule of plain names, without `if`, `prefer` or `when`"),
            );
        }
        return;
    };
    let Some(why) = may_not_apply(block) else { return };
    errors.push(
        Diagnostic::new(rule.name.span, format!("the last rule of `{}` may not apply", block.name.text))
            .label(why)
            .help("end the block with a rule of plain names, without `if`, `prefer` or `when`"),
    );
}

/// What keeps the last rule of a block from applying always, as it must.
pub fn may_not_apply(block: &RuleBlock) -> Option<String> {
    let rule = block.rules.last().filter(|_| block.kind != BlockKind::Simplify)?;
    let plain = |pattern: &Pattern| matches!(pattern, Pattern::Var(_) | Pattern::Any(_));
    if let Some(feature) = rule.features.first() {
        Some(format!("it needs {}", feature.text))
    } else if !rule.conditions.is_empty() || !rule.preferences.is_empty() {
        Some("it has conditions".to_string())
    } else if !rule.patterns.iter().all(plain) {
        Some("its patterns do not match everything".to_string())
    } else if rule.immediates.iter().any(|pattern| matches!(pattern, ImmPattern::Literal(..))) {
        Some("it wants one immediate".to_string())
    } else {
        None
    }
}

/// One rule may hide another behind it.
struct Cover<'a> {
    ops: &'a HashMap<&'a str, &'a Op>,
    /// Names of the earlier rule and what stands in their place in the later one.
    names: HashMap<&'a str, &'a str>,
}

fn shadowing(block: &RuleBlock, ops: &HashMap<&str, &Op>, errors: &mut Vec<Diagnostic>) {
    let (types, commutative): (Vec<&Type>, bool) = match (block.kind, ops.get(block.name.text.as_str())) {
        (BlockKind::Form, _) => (block.params.iter().map(|param| &param.ty).collect(), false),
        (_, Some(op)) => (op.params.iter().map(|param| &param.ty).collect(), op.commutative),
        (_, None) => return,
    };
    let immediates: Vec<&Type> = match (block.kind, ops.get(block.name.text.as_str())) {
        (BlockKind::Form, _) | (_, None) => block.immediates.iter().map(|param| &param.ty).collect(),
        (_, Some(op)) => op.immediates.iter().map(|param| &param.ty).collect(),
    };
    for (number, later) in block.rules.iter().enumerate() {
        let patterns: Vec<&Pattern> = later.patterns.iter().collect();
        let swapped: Vec<&Pattern> = later.patterns.iter().rev().collect();
        let hides = |earlier: &&Rule| {
            let direct = hides(ops, earlier, later, &patterns, &types, &immediates);
            direct || commutative && hides(ops, earlier, later, &swapped, &types, &immediates)
        };
        if let Some(earlier) = block.rules[..number].iter().find(hides) {
            errors.push(
                Diagnostic::new(later.name.span, format!("rule `{}` can never apply", later.name.text))
                    .label("shadowed")
                    .other(earlier.name.span, "this earlier rule applies whenever it would")
                    .help("put the more special rule first"),
            );
        }
    }
}

/// Whether the earlier rule applies whenever the later one, its operands in the given order, would.
fn hides(
    ops: &HashMap<&str, &Op>,
    earlier: &Rule,
    later: &Rule,
    patterns: &[&Pattern],
    types: &[&Type],
    immediates: &[&Type],
) -> bool {
    let mut cover = Cover { ops, names: HashMap::new() };
    let featured = |name: &Name| later.features.iter().any(|other| other.text == name.text);
    let matched = earlier.patterns.len() == patterns.len()
        && earlier
            .patterns
            .iter()
            .zip(patterns)
            .zip(types)
            .all(|((general, special), ty)| cover.pattern(general, special, ty))
        && cover.immediates(&earlier.immediates, &later.immediates, immediates)
        && earlier.features.iter().all(featured);
    matched
        && earlier
            .conditions
            .iter()
            .chain(&earlier.preferences)
            .all(|condition| later.conditions.iter().chain(&later.preferences).any(|other| cover.same(condition, other)))
}

/// The bits of a constant, so that -1 and 0xffff_ffff are one i32.
fn normal(value: i128, ty: &Type) -> i128 {
    match constant_type(ty) {
        Type::Bits(width) if width < 127 => value & ((1 << width) - 1),
        _ => value,
    }
}

impl<'a> Cover<'a> {
    fn pattern(&mut self, general: &'a Pattern, special: &'a Pattern, ty: &Type) -> bool {
        match (general, special) {
            (Pattern::Var(a), Pattern::Var(b) | Pattern::Same(b) | Pattern::Op { alias: Some(b), .. }) => {
                self.names.insert(&a.text, &b.text);
                true
            }
            (Pattern::Var(_) | Pattern::Any(_), _) => true,
            (Pattern::Same(a), Pattern::Same(b)) => self.names.get(a.text.as_str()).is_some_and(|name| *name == b.text),
            (Pattern::Const(a), Pattern::Const(b)) => {
                self.names.insert(&a.text, &b.text);
                true
            }
            (Pattern::Const(_), Pattern::Literal(..)) => true,
            (Pattern::Literal(a, _), Pattern::Literal(b, _)) => normal(*a, ty) == normal(*b, ty),
            (
                Pattern::Op { op: a, once: once_a, args: args_a, immediates: immediates_a, .. },
                Pattern::Op { op: b, once: once_b, args: args_b, immediates: immediates_b, .. },
            ) => {
                let Some(op) = self.ops.get(a.text.as_str()).copied() else { return false };
                let immediates: Vec<&Type> = op.immediates.iter().map(|param| &param.ty).collect();
                a.text == b.text
                    && (!once_a || *once_b)
                    && args_a.len() == args_b.len()
                    && args_a.iter().zip(args_b).zip(&op.params).all(|((a, b), param)| self.pattern(a, b, &param.ty))
                    && self.immediates(immediates_a, immediates_b, &immediates)
            }
            _ => false,
        }
    }

    fn immediates(&mut self, general: &'a [ImmPattern], special: &'a [ImmPattern], types: &[&Type]) -> bool {
        general.len() == special.len()
            && general.iter().zip(special).zip(types).all(|((a, b), ty)| match (a, b) {
                (ImmPattern::Literal(a, _), ImmPattern::Literal(b, _)) => normal(*a, ty) == normal(*b, ty),
                (ImmPattern::Literal(..), _) => false,
                (ImmPattern::Var(a), ImmPattern::Var(b)) => {
                    self.names.insert(&a.text, &b.text);
                    true
                }
                _ => true,
            })
    }

    /// Whether two conditions are the same but for the names.
    fn same(&self, a: &Expr, b: &Expr) -> bool {
        let all = |a: &[Expr], b: &[Expr]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b));
        match (&a.kind, &b.kind) {
            (ExprKind::Int(a), ExprKind::Int(b)) => a == b,
            (ExprKind::Bool(a), ExprKind::Bool(b)) => a == b,
            (ExprKind::Var(a), ExprKind::Var(b)) => match self.names.get(a.as_str()) {
                Some(name) => *name == b.as_str(),
                None => a == b && a.starts_with("layout."),
            },
            (ExprKind::Unary(op_a, a), ExprKind::Unary(op_b, b)) => op_a == op_b && self.same(a, b),
            (ExprKind::Binary(op_a, a, c), ExprKind::Binary(op_b, b, d)) => {
                op_a == op_b && self.same(a, b) && self.same(c, d)
            }
            (ExprKind::If(a, c, e), ExprKind::If(b, d, f)) => self.same(a, b) && self.same(c, d) && self.same(e, f),
            (ExprKind::Call(a, args_a), ExprKind::Call(b, args_b)) => a.text == b.text && all(args_a, args_b),
            (ExprKind::Slice(a, high_a, low_a), ExprKind::Slice(b, high_b, low_b)) => {
                (high_a, low_a) == (high_b, low_b) && self.same(a, b)
            }
            (ExprKind::Tuple(a), ExprKind::Tuple(b)) => all(a, b),
            _ => false,
        }
    }
}
