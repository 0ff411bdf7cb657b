//! Rule blocks: patterns, right sides, steps.

use super::{P, Read, Reader, Rule, next, only, parts};
use crate::ast::*;
use crate::diagnostic::Diagnostic;

impl Reader {
    pub fn block(&self, pair: P, kind: BlockKind) -> Read<RuleBlock> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let mut block = RuleBlock {
            kind,
            name,
            params: Vec::new(),
            immediates: Vec::new(),
            result: Type::Unknown,
            ensures: None,
            rules: Vec::new(),
            span,
        };
        for part in inner {
            match part.as_rule() {
                Rule::signature => (block.params, block.immediates) = self.signature(part)?,
                Rule::arrow => block.result = self.arrow(part)?,
                Rule::ensures => block.ensures = Some(self.expr(only(self, part)?)?),
                _ => block.rules.push(self.rule(part)?),
            }
        }
        Ok(block)
    }

    fn rule(&self, pair: P) -> Read<crate::ast::Rule> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let (mut patterns, mut immediates) = (Vec::new(), Vec::new());
        let (mut conditions, mut preferences, mut features) = (Vec::new(), Vec::new(), Vec::new());
        let mut right = None;
        for part in inner {
            match part.as_rule() {
                Rule::patterns => patterns = parts(part).map(|part| self.pattern(part)).collect::<Read<_>>()?,
                Rule::imm_patterns => immediates = self.imm_patterns(part)?,
                Rule::condition => conditions.push(self.expr(only(self, part)?)?),
                Rule::preference => preferences.push(self.expr(only(self, part)?)?),
                Rule::feature => features.push(self.name(&only(self, part)?)),
                _ => right = Some(self.right(part)?),
            }
        }
        let right = right.ok_or_else(|| Diagnostic::new(span, "a rule without a right side"))?;
        Ok(crate::ast::Rule { name, patterns, immediates, conditions, preferences, features, right, span })
    }

    fn imm_patterns(&self, pair: P) -> Read<Vec<ImmPattern>> {
        parts(pair)
            .map(|part| {
                let part = only(self, part)?;
                Ok(match part.as_rule() {
                    Rule::any => ImmPattern::Any(self.span(&part)),
                    Rule::integer => ImmPattern::Literal(self.integer(&part)?, self.span(&part)),
                    _ => ImmPattern::Var(self.name(&part)),
                })
            })
            .collect()
    }

    fn pattern(&self, pair: P) -> Read<Pattern> {
        let pair = only(self, pair)?;
        let span = self.span(&pair);
        Ok(match pair.as_rule() {
            Rule::any => Pattern::Any(span),
            Rule::const_pat => {
                let inner = only(self, pair)?;
                match inner.as_rule() {
                    Rule::integer => Pattern::Literal(self.integer(&inner)?, span),
                    _ => Pattern::Const(self.name(&inner)),
                }
            }
            Rule::same_pat => Pattern::Same(self.name(&only(self, pair)?)),
            Rule::named_pat => {
                let mut inner = parts(pair);
                let alias = self.name(&next(&mut inner, span)?);
                let op = next(&mut inner, span)?;
                return self.nest(span, || self.op_pattern(op, span, Some(alias)));
            }
            Rule::op_pat => return self.nest(span, || self.op_pattern(pair, span, None)),
            _ => Pattern::Var(self.name(&pair)),
        })
    }

    fn op_pattern(&self, pair: P, span: Span, alias: Option<Name>) -> Read<Pattern> {
        let mut inner = parts(pair);
        let op = self.name(&next(&mut inner, span)?);
        let (mut once, mut args, mut immediates) = (false, Vec::new(), Vec::new());
        for part in inner {
            match part.as_rule() {
                Rule::once => once = true,
                Rule::imm_patterns => immediates = self.imm_patterns(part)?,
                _ => args.push(self.pattern(part)?),
            }
        }
        Ok(Pattern::Op { op, alias, once, args, immediates, span })
    }

    fn right(&self, pair: P) -> Read<Right> {
        let span = self.span(&pair);
        self.nest(span, || {
            let pair = only(self, pair)?;
            let span = self.span(&pair);
            Ok(match pair.as_rule() {
                Rule::seq => Right::Seq { steps: parts(pair).map(|step| self.step(step)).collect::<Read<_>>()?, span },
                Rule::addr => Right::Addr(self.addr(pair)?),
                Rule::const_right => Right::Const(self.expr(only(self, pair)?)?),
                Rule::mem_right => {
                    let (width, address) = self.mem(pair, span)?;
                    Right::Mem { width, address: Box::new(address), span }
                }
                Rule::apply => {
                    let mut inner = parts(pair);
                    let name = self.name(&next(&mut inner, span)?);
                    Right::Apply { name, args: inner.map(|arg| self.arg(arg)).collect::<Read<_>>()?, span }
                }
                _ => Right::Var(self.name(&pair)),
            })
        })
    }

    fn mem(&self, pair: P, span: Span) -> Read<(u16, Arg)> {
        let mut inner = parts(pair);
        let word = next(&mut inner, span)?;
        let width = word.as_str().trim_start_matches("mem").parse().unwrap_or(0);
        let address = next(&mut inner, span)?;
        Ok((width, self.nest(span, || self.arg(address))?))
    }

    fn arg(&self, pair: P) -> Read<Arg> {
        let pair = only(self, pair)?;
        let span = self.span(&pair);
        Ok(match pair.as_rule() {
            Rule::addr => Arg::Addr(self.addr(pair)?),
            Rule::mem_right => {
                let (width, address) = self.mem(pair, span)?;
                Arg::Mem { width, address: Box::new(address), span }
            }
            Rule::nested => Arg::Nested(Box::new(self.right(only(self, pair)?)?)),
            _ => Arg::Expr(self.expr(pair)?),
        })
    }

    fn addr(&self, pair: P) -> Read<AddrLit> {
        let span = self.span(&pair);
        let mut terms = Vec::new();
        for part in parts(pair) {
            let part = only(self, part)?;
            if part.as_rule() == Rule::scaled {
                let here = self.span(&part);
                let mut inner = parts(part);
                let value = self.expr(next(&mut inner, here)?)?;
                terms.push((value, self.small(&next(&mut inner, here)?)?));
            } else {
                terms.push((self.expr(part)?, 1));
            }
        }
        Ok(AddrLit { parts: terms, span })
    }

    fn step(&self, pair: P) -> Read<Step> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = parts(pair);
        Ok(match matched {
            Rule::let_step => {
                let mut inner: Vec<P> = inner.collect();
                let right = match inner.pop() {
                    Some(part) => self.right(part)?,
                    None => return Err(Diagnostic::new(span, "a `let` without a value")),
                };
                Step::Let(inner.iter().map(|part| self.name(part)).collect(), right)
            }
            Rule::trap_step => {
                let code = self.name(&next(&mut inner, span)?);
                Step::TrapIf { code, cond: self.arg(next(&mut inner, span)?)?, span }
            }
            Rule::branch_step => {
                let first = self.arg(next(&mut inner, span)?)?;
                let second = match inner.next() {
                    Some(join) => {
                        let kind = if join.as_str() == "and" { BranchJoin::And } else { BranchJoin::Or };
                        Some((kind, self.arg(next(&mut inner, span)?)?))
                    }
                    None => None,
                };
                Step::Branch { first, second, span }
            }
            Rule::yield_step => {
                let value = next(&mut inner, span)?;
                let value = match value.as_rule() {
                    Rule::addr => Arg::Addr(self.addr(value)?),
                    _ => Arg::Expr(self.expr(value)?),
                };
                Step::Yield(value, span)
            }
            _ => Step::Do(self.right(next(&mut inner, span)?)?),
        })
    }
}
