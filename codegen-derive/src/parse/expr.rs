//! Types and expressions.

use super::{MOST_PARTS, P, Read, Reader, Rule, next, only, parts};
use crate::ast::*;
use crate::diagnostic::Diagnostic;

fn join(first: Span, last: Span) -> Span {
    Span { end: last.end, ..first }
}

impl Reader {
    pub fn ty(&self, pair: P) -> Read<Type> {
        let span = self.span(&pair);
        let inner: Vec<P> = parts(pair).collect();
        if let [one] = inner.as_slice()
            && one.as_rule() == Rule::ident
        {
            let text = one.as_str();
            return named_type(text).ok_or_else(|| {
                Diagnostic::new(span, format!("unknown type `{text}`"))
                    .help("types are bool, i1 to i128, f32, f64, cond, flags, addr, rm8 to rm64, xm32, xm64")
            });
        }
        self.nest(span, || {
            let types = inner.into_iter().map(|pair| self.ty(pair)).collect::<Read<Vec<_>>>()?;
            Ok(Type::Tuple(types))
        })
    }

    fn param(&self, pair: P) -> Read<Param> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        Ok(Param { name, ty: self.ty(next(&mut inner, span)?)? })
    }

    pub fn params(&self, pair: P) -> Read<Vec<Param>> {
        parts(pair).map(|pair| self.param(pair)).collect()
    }

    /// Operands and immediates.
    pub fn signature(&self, pair: P) -> Read<(Vec<Param>, Vec<Param>)> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let params = self.params(next(&mut inner, span)?)?;
        let immediates = inner.next().map_or(Ok(Vec::new()), |pair| self.params(pair))?;
        Ok((params, immediates))
    }

    pub fn arrow(&self, pair: P) -> Read<Type> {
        self.ty(only(self, pair)?)
    }

    pub fn integer(&self, pair: &P) -> Read<i128> {
        let text = pair.as_str().replace('_', "");
        let (negative, digits) = text.strip_prefix('-').map_or((false, text.as_str()), |rest| (true, rest));
        let value = match digits.strip_prefix("0x") {
            Some(hex) => u128::from_str_radix(hex, 16),
            None => digits.parse::<u128>(),
        };
        match value.ok().and_then(|value| i128::try_from(value).ok()) {
            Some(value) => Ok(if negative { -value } else { value }),
            None => Err(Diagnostic::new(self.span(pair), "this integer does not fit 127 bits")),
        }
    }

    /// An integer of a Rust type.
    pub fn small<T: TryFrom<i128>>(&self, pair: &P) -> Read<T> {
        let value = self.integer(pair)?;
        T::try_from(value).map_err(|_| Diagnostic::new(self.span(pair), format!("{value} is out of range here")))
    }

    /// A node of an expression.
    fn make(&self, kind: ExprKind, span: Span) -> Read<Expr> {
        let count = self.parts.get() + 1;
        self.parts.set(count);
        if count > MOST_PARTS {
            return Err(Diagnostic::new(span, "this expression is too long")
                .help(format!("at most {MOST_PARTS} parts; use `let` or a function")));
        }
        Ok(Expr { kind, ty: Type::Unknown, span })
    }

    /// A whole expression.
    pub fn expr(&self, pair: P) -> Read<Expr> {
        self.parts.set(0);
        self.part(pair)
    }

    /// Any rule of the expression grammar.
    fn part(&self, pair: P) -> Read<Expr> {
        let span = self.span(&pair);
        let text = pair.as_str();
        match pair.as_rule() {
            Rule::integer => self.make(ExprKind::Int(self.integer(&pair)?), span),
            Rule::boolean => self.make(ExprKind::Bool(text == "true"), span),
            Rule::path | Rule::ident | Rule::cc => self.make(ExprKind::Var(text.to_string()), span),
            Rule::expr => self.nest(span, || self.part(only(self, pair)?)),
            Rule::primary => self.part(only(self, pair)?),
            Rule::tuple => {
                let mut parts = parts(pair).map(|part| self.part(part)).collect::<Read<Vec<_>>>()?;
                if parts.len() == 1 { Ok(Expr { span, ..parts.remove(0) }) } else { self.make(ExprKind::Tuple(parts), span) }
            }
            Rule::call => {
                let mut inner = parts(pair);
                let name = self.name(&next(&mut inner, span)?);
                let args = inner.map(|arg| self.part(arg)).collect::<Read<_>>()?;
                self.make(ExprKind::Call(name, args), span)
            }
            Rule::cond_expr => {
                let mut inner = parts(pair);
                let mut branch = || Ok(Box::new(self.part(next(&mut inner, span)?)?));
                let (condition, yes, no) = (branch()?, branch()?, branch()?);
                self.make(ExprKind::If(condition, yes, no), span)
            }
            Rule::let_expr => self.nest(span, || {
                let mut inner = parts(pair);
                let name = self.name(&next(&mut inner, span)?);
                let value = Box::new(self.part(next(&mut inner, span)?)?);
                let body = Box::new(self.part(next(&mut inner, span)?)?);
                self.make(ExprKind::Let(name, value, body), span)
            }),
            Rule::unary => self.unary(pair, span),
            Rule::postfix => {
                let mut inner = parts(pair);
                let mut expr = self.part(next(&mut inner, span)?)?;
                for slice in inner {
                    let here = self.span(&slice);
                    let mut bounds = parts(slice);
                    let high = self.small(&next(&mut bounds, here)?)?;
                    let low = self.small(&next(&mut bounds, here)?)?;
                    let whole = join(expr.span, here);
                    expr = self.make(ExprKind::Slice(Box::new(expr), high, low), whole)?;
                }
                Ok(expr)
            }
            matched => self.binary(pair, matched, span),
        }
    }

    fn unary(&self, pair: P, span: Span) -> Read<Expr> {
        let mut signs: Vec<P> = parts(pair).collect();
        let Some(operand) = signs.pop() else { return Err(Diagnostic::new(span, "an operand is missing")) };
        let mut expr = self.part(operand)?;
        while let Some(sign) = signs.pop() {
            let op = match sign.as_str() {
                "!" => UnaryOp::Not,
                "~" => UnaryOp::BitNot,
                _ => UnaryOp::Neg,
            };
            let whole = join(self.span(&sign), expr.span);
            expr = self.make(ExprKind::Unary(op, Box::new(expr)), whole)?;
        }
        Ok(expr)
    }

    fn binary(&self, pair: P, matched: Rule, span: Span) -> Read<Expr> {
        let mut inner = parts(pair);
        let mut left = self.part(next(&mut inner, span)?)?;
        while let Some(part) = inner.next() {
            let (op, right) = match part.as_rule() {
                Rule::sum_op | Rule::eq_op => {
                    let op = match part.as_str() {
                        "+" => BinaryOp::Add,
                        "-" => BinaryOp::Sub,
                        "==" => BinaryOp::Eq,
                        _ => BinaryOp::Ne,
                    };
                    (op, next(&mut inner, span)?)
                }
                _ => {
                    let op = match matched {
                        Rule::or_expr => BinaryOp::Or,
                        Rule::and_expr => BinaryOp::And,
                        Rule::bit_or => BinaryOp::BitOr,
                        Rule::bit_xor => BinaryOp::BitXor,
                        Rule::bit_and => BinaryOp::BitAnd,
                        _ => BinaryOp::Mul,
                    };
                    (op, part)
                }
            };
            let right = self.part(right)?;
            let whole = join(left.span, right.span);
            left = self.make(ExprKind::Binary(op, Box::new(left), Box::new(right)), whole)?;
        }
        Ok(left)
    }
}

/// A type by its name in the language.
fn named_type(text: &str) -> Option<Type> {
    Some(match text {
        "bool" => Type::Bool,
        "f32" => Type::F32,
        "f64" => Type::F64,
        "flags" => Type::Flags,
        "cond" => Type::Cond,
        "addr" => Type::Addr,
        _ => {
            let number = |prefix: &str| text.strip_prefix(prefix).and_then(|digits| digits.parse::<u16>().ok());
            match (number("i"), number("rm"), number("xm")) {
                (Some(width), ..) if (1..=128).contains(&width) => Type::Bits(width),
                (_, Some(width @ (8 | 16 | 32 | 64)), _) => Type::RegMem(width),
                (_, _, Some(width @ (32 | 64))) => Type::XmmMem(width),
                _ => return None,
            }
        }
    })
}
