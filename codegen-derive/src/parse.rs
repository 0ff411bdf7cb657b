//! Text to tree.
//!
//! Takes the files of a specification, gives the [`Spec`] with every expression's type still unknown, or the syntax
//! errors (one for each file that has any). The grammar is `spec.pest`; this file only reads off what it matched.

use crate::ast::*;
use crate::diagnostic::Diagnostic;
use pest::Parser;
use pest::error::{ErrorVariant, InputLocation};
use pest::iterators::Pair;

#[derive(pest_derive::Parser)]
#[grammar = "spec.pest"]
struct SpecParser;

type P<'i> = Pair<'i, Rule>;

/// Parses all files into one specification.
pub fn parse(files: Vec<(String, String)>) -> Result<Spec, (Vec<(String, String)>, Vec<Diagnostic>)> {
    let mut spec = Spec::default();
    let mut errors = Vec::new();
    for (number, (_, text)) in files.iter().enumerate() {
        let reader = Reader { file: number as u32 };
        match SpecParser::parse(Rule::file, text) {
            Ok(pairs) => {
                for item in pairs.flat_map(|file| file.into_inner()) {
                    if let Err(error) = reader.item(&mut spec, item) {
                        errors.push(error);
                    }
                }
            }
            Err(error) => errors.push(reader.syntax_error(text, error)),
        }
    }
    if errors.is_empty() {
        spec.files = files;
        Ok(spec)
    } else {
        Err((files, errors))
    }
}

struct Reader {
    file: u32,
}

/// What a grammar rule is called in an error message.
fn plain_name(matched: Rule) -> &'static str {
    match matched {
        Rule::EOI => "the end of the file",
        Rule::op => "`op`",
        Rule::function => "`fn`",
        Rule::inst => "`inst`",
        Rule::lower => "`lower`",
        Rule::simplify => "`simplify`",
        Rule::form => "`form`",
        Rule::constant => "`const`",
        Rule::role | Rule::layout | Rule::record | Rule::gate | Rule::trap_item | Rule::convention => "a sandbox item",
        Rule::expr | Rule::or_expr | Rule::and_expr | Rule::eq_expr | Rule::bit_or | Rule::bit_xor | Rule::bit_and
        | Rule::sum | Rule::product | Rule::unary | Rule::postfix | Rule::primary | Rule::call | Rule::tuple
        | Rule::cond_expr | Rule::let_expr | Rule::path | Rule::boolean => "an expression",
        Rule::unary_op | Rule::sum_op | Rule::eq_op | Rule::slice => "an operator",
        Rule::integer => "an integer",
        Rule::ident | Rule::word => "a name",
        Rule::type_name => "a type",
        Rule::param | Rule::params => "parameters",
        Rule::signature => "`(parameters)`",
        Rule::arrow => "`-> type`",
        Rule::op_word | Rule::weight => "`commutative`, `control`, `call` or `weight`",
        Rule::let_stmt | Rule::trap_stmt | Rule::read_stmt | Rule::write_stmt | Rule::result_stmt => {
            "`let`, `trap`, `read`, `write` or `result`"
        }
        Rule::rule => "`rule`",
        Rule::condition => "`if`",
        Rule::preference => "`prefer`",
        Rule::feature => "`when`",
        Rule::right | Rule::apply | Rule::seq | Rule::addr | Rule::mem_right | Rule::const_right => {
            "an instruction, a value, `seq { … }` or an address"
        }
        Rule::arg | Rule::nested | Rule::mem_word => "an argument",
        Rule::pattern | Rule::any | Rule::const_pat | Rule::op_pat | Rule::patterns => "a pattern",
        Rule::imm_pattern | Rule::imm_patterns => "an immediate",
        Rule::addr_part | Rule::scaled => "a part of an address",
        Rule::step | Rule::let_step | Rule::trap_step | Rule::branch_step | Rule::yield_step | Rule::do_step => "a step",
        Rule::operand | Rule::mode | Rule::operand_kind | Rule::fixed => "an operand",
        Rule::code_name => "the name of an encoded form",
        Rule::encoded => "an encoded operand",
        Rule::fault | Rule::clobber | Rule::flags_undefined | Rule::flags_set | Rule::jump | Rule::transfer
        | Rule::assign | Rule::inst_stmt => "an effect",
        Rule::ensures => "`ensures`",
        Rule::layout_field | Rule::access | Rule::record_field | Rule::count => "a field",
        Rule::convention_row => "a row of the convention",
        Rule::string | Rule::text => "a text in quotes",
        _ => "something else",
    }
}

impl Reader {
    fn span(&self, pair: &P) -> Span {
        let span = pair.as_span();
        Span { file: self.file, start: span.start() as u32, end: span.end() as u32 }
    }

    fn name(&self, pair: &P) -> Name {
        Name { text: pair.as_str().to_string(), span: self.span(pair) }
    }

    fn syntax_error(&self, text: &str, error: pest::error::Error<Rule>) -> Diagnostic {
        let start = match error.location {
            InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
        };
        let found: String = text[start..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let found = if !found.is_empty() {
            found
        } else {
            text[start..].chars().next().map(String::from).unwrap_or_default()
        };
        let span = Span { file: self.file, start: start as u32, end: (start + found.len()) as u32 };
        let mut expected: Vec<&str> = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives.iter().map(|&positive| plain_name(positive)).collect(),
            ErrorVariant::CustomError { .. } => Vec::new(),
        };
        expected.sort_unstable();
        expected.dedup();
        expected.retain(|name| *name != "something else");
        let expected = match expected.as_slice() {
            [] => "something else".to_string(),
            [one] => one.to_string(),
            [many @ .., last] => format!("{} or {last}", many.join(", ")),
        };
        let found = if found.is_empty() { "the end of the file".to_string() } else { format!("`{}`", found.escape_debug()) };
        Diagnostic::new(span, format!("expected {expected}, found {found}")).label("not expected here")
    }

    fn item(&self, spec: &mut Spec, pair: P) -> Result<(), Diagnostic> {
        match pair.as_rule() {
            Rule::op => spec.ops.push(self.op(pair)?),
            Rule::function => spec.functions.push(self.function(pair)?),
            Rule::inst => spec.insts.push(self.inst(pair)?),
            Rule::frame => spec.frame.extend(pair.into_inner().map(|name| self.name(&name))),
            Rule::lower => spec.blocks.push(self.block(pair, BlockKind::Lower)?),
            Rule::simplify => spec.blocks.push(self.block(pair, BlockKind::Simplify)?),
            Rule::form => spec.blocks.push(self.block(pair, BlockKind::Form)?),
            Rule::EOI => {}
            _ => self.sandbox_item(spec, pair)?,
        }
        Ok(())
    }

    // -- types and expressions --

    fn ty(&self, pair: P) -> Result<Type, Diagnostic> {
        let span = self.span(&pair);
        let inner: Vec<P> = pair.into_inner().collect();
        if let [one] = inner.as_slice()
            && one.as_rule() == Rule::ident
        {
            let text = one.as_str();
            return named_type(text).ok_or_else(|| {
                Diagnostic::new(span, format!("unknown type `{text}`"))
                    .help("types are bool, i1 to i128, f32, f64, cond, flags, addr, rm8 to rm64, xm32, xm64")
            });
        }
        Ok(Type::Tuple(inner.into_iter().map(|pair| self.ty(pair)).collect::<Result<_, _>>()?))
    }

    fn param(&self, pair: P) -> Result<Param, Diagnostic> {
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        Ok(Param { name, ty: self.ty(take(&mut inner))? })
    }

    fn params(&self, pair: P) -> Result<Vec<Param>, Diagnostic> {
        pair.into_inner().map(|pair| self.param(pair)).collect()
    }

    fn signature(&self, pair: P) -> Result<(Vec<Param>, Vec<Param>), Diagnostic> {
        let mut inner = pair.into_inner();
        let params = self.params(take(&mut inner))?;
        let immediates = inner.next().map_or(Ok(Vec::new()), |pair| self.params(pair))?;
        Ok((params, immediates))
    }

    fn arrow(&self, pair: P) -> Result<Type, Diagnostic> {
        self.ty(take(&mut pair.into_inner()))
    }

    fn make(&self, kind: ExprKind, span: Span) -> Expr {
        Expr { kind, ty: Type::Unknown, span }
    }

    fn integer(&self, pair: &P) -> Result<i128, Diagnostic> {
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

    fn small<T: TryFrom<i128>>(&self, pair: &P) -> Result<T, Diagnostic> {
        let value = self.integer(pair)?;
        T::try_from(value).map_err(|_| Diagnostic::new(self.span(pair), "this number is too large here"))
    }

    /// Any rule of the expression grammar.
    fn expr(&self, pair: P) -> Result<Expr, Diagnostic> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let text = pair.as_str();
        match matched {
            Rule::integer => Ok(self.make(ExprKind::Int(self.integer(&pair)?), span)),
            Rule::boolean => Ok(self.make(ExprKind::Bool(text == "true"), span)),
            Rule::path | Rule::ident | Rule::cc => Ok(self.make(ExprKind::Var(text.to_string()), span)),
            Rule::expr | Rule::primary => self.expr(take(&mut pair.into_inner())),
            Rule::tuple => {
                let mut parts = pair.into_inner().map(|part| self.expr(part)).collect::<Result<Vec<_>, _>>()?;
                Ok(if parts.len() == 1 { parts.remove(0) } else { self.make(ExprKind::Tuple(parts), span) })
            }
            Rule::call => {
                let mut inner = pair.into_inner();
                let name = self.name(&take(&mut inner));
                let args = inner.map(|arg| self.expr(arg)).collect::<Result<_, _>>()?;
                Ok(self.make(ExprKind::Call(name, args), span))
            }
            Rule::cond_expr => {
                let mut inner = pair.into_inner();
                let parts = [self.expr(take(&mut inner))?, self.expr(take(&mut inner))?, self.expr(take(&mut inner))?];
                let [condition, yes, no] = parts.map(Box::new);
                Ok(self.make(ExprKind::If(condition, yes, no), span))
            }
            Rule::let_expr => {
                let mut inner = pair.into_inner();
                let name = self.name(&take(&mut inner));
                let value = Box::new(self.expr(take(&mut inner))?);
                let body = Box::new(self.expr(take(&mut inner))?);
                Ok(self.make(ExprKind::Let(name, value, body), span))
            }
            Rule::unary => {
                let parts: Vec<P> = pair.into_inner().collect();
                let mut expr = None;
                for part in parts.into_iter().rev() {
                    expr = Some(match (expr, part.as_rule()) {
                        (Some(operand), Rule::unary_op) => {
                            let op = match part.as_str() {
                                "!" => UnaryOp::Not,
                                "~" => UnaryOp::BitNot,
                                _ => UnaryOp::Neg,
                            };
                            self.make(ExprKind::Unary(op, Box::new(operand)), span)
                        }
                        _ => self.expr(part)?,
                    });
                }
                expr.ok_or_else(|| Diagnostic::new(span, "expected an expression"))
            }
            Rule::postfix => {
                let mut inner = pair.into_inner();
                let mut expr = self.expr(take(&mut inner))?;
                for slice in inner {
                    let mut bounds = slice.into_inner();
                    let (high, low) = (self.small(&take(&mut bounds))?, self.small(&take(&mut bounds))?);
                    expr = self.make(ExprKind::Slice(Box::new(expr), high, low), span);
                }
                Ok(expr)
            }
            _ => self.binary(pair, matched, span),
        }
    }

    fn binary(&self, pair: P, matched: Rule, span: Span) -> Result<Expr, Diagnostic> {
        let mut inner = pair.into_inner();
        let mut left = self.expr(take(&mut inner))?;
        while let Some(next) = inner.next() {
            let (op, right) = match next.as_rule() {
                Rule::sum_op => (if next.as_str() == "+" { BinaryOp::Add } else { BinaryOp::Sub }, take(&mut inner)),
                Rule::eq_op => (if next.as_str() == "==" { BinaryOp::Eq } else { BinaryOp::Ne }, take(&mut inner)),
                _ => {
                    let op = match matched {
                        Rule::or_expr => BinaryOp::Or,
                        Rule::and_expr => BinaryOp::And,
                        Rule::bit_or => BinaryOp::BitOr,
                        Rule::bit_xor => BinaryOp::BitXor,
                        Rule::bit_and => BinaryOp::BitAnd,
                        _ => BinaryOp::Mul,
                    };
                    (op, next)
                }
            };
            let right = self.expr(right)?;
            left = self.make(ExprKind::Binary(op, Box::new(left), Box::new(right)), span);
        }
        Ok(left)
    }

    // -- operators, functions, instructions --

    fn op(&self, pair: P) -> Result<Op, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        let (params, immediates) = self.signature(take(&mut inner))?;
        let mut op = Op {
            name,
            params,
            immediates,
            results: Vec::new(),
            commutative: false,
            kind: OpKind::Ordinary,
            weight: 10,
            body: Vec::new(),
            span,
        };
        for part in inner {
            match part.as_rule() {
                Rule::arrow => {
                    op.results = match self.arrow(part)? {
                        Type::Tuple(types) => types,
                        ty => vec![ty],
                    }
                }
                Rule::op_word => match part.as_str().trim() {
                    "commutative" => op.commutative = true,
                    "control" => op.kind = OpKind::Control,
                    "call" => op.kind = OpKind::Call,
                    _ => {
                        let weight = take(&mut part.into_inner());
                        op.weight = self.small(&take(&mut weight.into_inner()))?;
                    }
                },
                _ => op.body.push(self.op_stmt(part)?),
            }
        }
        Ok(op)
    }

    fn region(&self, pair: &P) -> Result<Region, Diagnostic> {
        Ok(match pair.as_str() {
            "memory" => Region::Memory,
            "constant" => Region::Constant,
            "global" => Region::Global,
            "table" => Region::Table,
            "size" => Region::Size,
            other => {
                return Err(Diagnostic::new(self.span(pair), format!("unknown region `{other}`"))
                    .help("regions are memory, constant, global, table, size"));
            }
        })
    }

    fn op_stmt(&self, pair: P) -> Result<OpStmt, Diagnostic> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = pair.into_inner();
        Ok(match matched {
            Rule::let_stmt => OpStmt::Let(self.name(&take(&mut inner)), self.expr(take(&mut inner))?),
            Rule::trap_stmt => OpStmt::Trap(self.name(&take(&mut inner)), self.expr(take(&mut inner))?),
            Rule::read_stmt => OpStmt::Read {
                region: self.region(&take(&mut inner))?,
                name: self.name(&take(&mut inner)),
                ty: self.ty(take(&mut inner))?,
                address: self.expr(take(&mut inner))?,
                span,
            },
            Rule::write_stmt => OpStmt::Write {
                region: self.region(&take(&mut inner))?,
                value: self.expr(take(&mut inner))?,
                address: self.expr(take(&mut inner))?,
                span,
            },
            _ => OpStmt::Result(self.expr(take(&mut inner))?),
        })
    }

    fn function(&self, pair: P) -> Result<Function, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        Ok(Function {
            name: self.name(&take(&mut inner)),
            params: self.params(take(&mut inner))?,
            result: self.arrow(take(&mut inner))?,
            body: self.expr(take(&mut inner))?,
            span,
        })
    }

    fn inst(&self, pair: P) -> Result<Inst, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        let (mut operands, mut encoded, mut body) = (Vec::new(), Vec::new(), Vec::new());
        let (mut code, mut short) = (None, None);
        let mut feature = None;
        for part in inner {
            match part.as_rule() {
                Rule::operand => operands.push(self.operand(part)?),
                Rule::code_name => code = Some(self.name(&part)),
                Rule::short => short = Some(self.name(&take(&mut part.into_inner()))),
                Rule::encoded => {
                    let part = take(&mut part.into_inner());
                    encoded.push(match part.as_rule() {
                        Rule::integer => EncodedOperand::Literal(self.small(&part)?, self.span(&part)),
                        _ => EncodedOperand::Operand(self.name(&part)),
                    });
                }
                Rule::feature => feature = Some(self.name(&take(&mut part.into_inner()))),
                _ => body.push(self.inst_stmt(part)?),
            }
        }
        let code = code.ok_or_else(|| Diagnostic::new(span, "an instruction without an encoded form"))?;
        Ok(Inst { name, operands, code, short, encoded, feature, body, span })
    }

    fn operand(&self, pair: P) -> Result<Operand, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        let (mut mode, mut kind, mut fixed) = (Mode::Use, None, None);
        for part in inner {
            match part.as_rule() {
                Rule::mode => {
                    mode = match part.as_str().trim() {
                        "out" => Mode::Out,
                        "inout" => Mode::InOut,
                        _ => Mode::EarlyOut,
                    }
                }
                Rule::operand_kind => {
                    kind = Some(operand_kind(part.as_str()).ok_or_else(|| {
                        Diagnostic::new(self.span(&part), format!("unknown operand kind `{}`", part.as_str())).help(
                            "kinds are r8 to r64, rm8 to rm64, m8 to m128, xmm32, xmm64, xmm128, xm32, xm64, xm128, addr, \
                             simm8, simm32, uimm8, uimm16, uimm32, imm64, cc, label",
                        )
                    })?)
                }
                _ => fixed = Some(self.name(&take(&mut part.into_inner()))),
            }
        }
        let kind = kind.ok_or_else(|| Diagnostic::new(span, "an operand without a kind"))?;
        Ok(Operand { name, mode, kind, fixed, span })
    }

    fn inst_stmt(&self, pair: P) -> Result<InstStmt, Diagnostic> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let text = pair.as_str().trim().to_string();
        let mut inner = pair.into_inner();
        Ok(match matched {
            Rule::let_stmt => InstStmt::Let(self.name(&take(&mut inner)), self.expr(take(&mut inner))?),
            Rule::fault => InstStmt::Fault(self.name(&take(&mut inner)), self.expr(take(&mut inner))?),
            Rule::clobber => InstStmt::Clobber(self.name(&take(&mut inner))),
            Rule::flags_undefined => InstStmt::FlagsUndefined(span),
            Rule::flags_set => InstStmt::Flags(self.expr(take(&mut inner))?),
            Rule::jump => {
                let target = self.name(&take(&mut inner));
                InstStmt::Jump(target, inner.next().map(|pair| self.expr(pair)).transpose()?)
            }
            Rule::transfer => InstStmt::Transfer(Name { text, span }, span),
            _ => InstStmt::Assign(self.name(&take(&mut inner)), self.expr(take(&mut inner))?),
        })
    }

    // -- rules --

    fn block(&self, pair: P, kind: BlockKind) -> Result<RuleBlock, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
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
                Rule::ensures => block.ensures = Some(self.expr(take(&mut part.into_inner()))?),
                _ => block.rules.push(self.rule(part)?),
            }
        }
        Ok(block)
    }

    fn rule(&self, pair: P) -> Result<crate::ast::Rule, Diagnostic> {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        let (mut patterns, mut immediates) = (Vec::new(), Vec::new());
        let (mut conditions, mut preferences, mut features) = (Vec::new(), Vec::new(), Vec::new());
        let mut right = None;
        for part in inner {
            match part.as_rule() {
                Rule::patterns => {
                    patterns = part.into_inner().map(|part| self.pattern(part)).collect::<Result<Vec<_>, _>>()?
                }
                Rule::imm_patterns => immediates = self.imm_patterns(part)?,
                Rule::condition => conditions.push(self.expr(take(&mut part.into_inner()))?),
                Rule::preference => preferences.push(self.expr(take(&mut part.into_inner()))?),
                Rule::feature => features.push(self.name(&take(&mut part.into_inner()))),
                _ => right = Some(self.right(part)?),
            }
        }
        let right = right.ok_or_else(|| Diagnostic::new(span, "a rule without a right side"))?;
        Ok(crate::ast::Rule { name, patterns, immediates, conditions, preferences, features, right, span })
    }

    fn imm_patterns(&self, pair: P) -> Result<Vec<ImmPattern>, Diagnostic> {
        pair.into_inner()
            .map(|part| {
                let part = take(&mut part.into_inner());
                Ok(match part.as_rule() {
                    Rule::any => ImmPattern::Any(self.span(&part)),
                    Rule::integer => ImmPattern::Literal(self.integer(&part)?, self.span(&part)),
                    _ => ImmPattern::Var(self.name(&part)),
                })
            })
            .collect()
    }

    fn pattern(&self, pair: P) -> Result<Pattern, Diagnostic> {
        let pair = take(&mut pair.into_inner());
        let span = self.span(&pair);
        Ok(match pair.as_rule() {
            Rule::any => Pattern::Any(span),
            Rule::const_pat => {
                let inner = take(&mut pair.into_inner());
                match inner.as_rule() {
                    Rule::integer => Pattern::Literal(self.integer(&inner)?, span),
                    _ => Pattern::Const(self.name(&inner)),
                }
            }
            Rule::op_pat => {
                let mut inner = pair.into_inner();
                let op = self.name(&take(&mut inner));
                let (mut once, mut args, mut immediates) = (false, Vec::new(), Vec::new());
                for part in inner {
                    match part.as_rule() {
                        Rule::once => once = true,
                        Rule::imm_patterns => immediates = self.imm_patterns(part)?,
                        _ => args.push(self.pattern(part)?),
                    }
                }
                Pattern::Op { op, once, args, immediates, span }
            }
            _ => Pattern::Var(self.name(&pair)),
        })
    }

    fn right(&self, pair: P) -> Result<Right, Diagnostic> {
        let pair = if pair.as_rule() == Rule::right { take(&mut pair.into_inner()) } else { pair };
        let span = self.span(&pair);
        Ok(match pair.as_rule() {
            Rule::seq => {
                Right::Seq { steps: pair.into_inner().map(|step| self.step(step)).collect::<Result<_, _>>()?, span }
            }
            Rule::addr => Right::Addr(self.addr(pair)?),
            Rule::const_right => Right::Const(self.expr(take(&mut pair.into_inner()))?),
            Rule::mem_right => {
                let (width, address) = self.mem(pair)?;
                Right::Mem { width, address: Box::new(address), span }
            }
            Rule::apply => {
                let mut inner = pair.into_inner();
                let name = self.name(&take(&mut inner));
                Right::Apply { name, args: inner.map(|arg| self.arg(arg)).collect::<Result<_, _>>()?, span }
            }
            _ => Right::Var(self.name(&pair)),
        })
    }

    fn mem(&self, pair: P) -> Result<(u16, Arg), Diagnostic> {
        let mut inner = pair.into_inner();
        let word = take(&mut inner);
        let width = word.as_str().trim_start_matches("mem").parse().unwrap_or(0);
        Ok((width, self.arg(take(&mut inner))?))
    }

    fn arg(&self, pair: P) -> Result<Arg, Diagnostic> {
        let pair = if pair.as_rule() == Rule::arg { take(&mut pair.into_inner()) } else { pair };
        let span = self.span(&pair);
        Ok(match pair.as_rule() {
            Rule::addr => Arg::Addr(self.addr(pair)?),
            Rule::mem_right => {
                let (width, address) = self.mem(pair)?;
                Arg::Mem { width, address: Box::new(address), span }
            }
            Rule::nested => Arg::Nested(Box::new(self.right(take(&mut pair.into_inner()))?)),
            _ => Arg::Expr(self.expr(pair)?),
        })
    }

    fn addr(&self, pair: P) -> Result<AddrLit, Diagnostic> {
        let span = self.span(&pair);
        let mut parts = Vec::new();
        for part in pair.into_inner() {
            let part = take(&mut part.into_inner());
            if part.as_rule() == Rule::scaled {
                let mut inner = part.into_inner();
                let value = self.expr(take(&mut inner))?;
                parts.push((value, self.small(&take(&mut inner))?));
            } else {
                parts.push((self.expr(part)?, 1));
            }
        }
        Ok(AddrLit { parts, span })
    }

    fn step(&self, pair: P) -> Result<Step, Diagnostic> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = pair.into_inner();
        Ok(match matched {
            Rule::let_step => {
                let mut parts: Vec<P> = inner.collect();
                let right = match parts.pop() {
                    Some(part) => self.right(part)?,
                    None => return Err(Diagnostic::new(span, "a `let` without a value")),
                };
                let names = parts
                    .iter()
                    .map(|part| self.name(&part.clone().into_inner().next().unwrap_or_else(|| part.clone())))
                    .collect();
                Step::Let(names, right)
            }
            Rule::trap_step => {
                let code = self.name(&take(&mut inner));
                Step::TrapIf { code, cond: self.arg(take(&mut inner))?, span }
            }
            Rule::branch_step => {
                let first = self.arg(take(&mut inner))?;
                let second = match inner.next() {
                    Some(join) => {
                        let kind = if join.as_str().trim() == "and" { BranchJoin::And } else { BranchJoin::Or };
                        Some((kind, self.arg(take(&mut inner))?))
                    }
                    None => None,
                };
                Step::Branch { first, second, span }
            }
            Rule::yield_step => Step::Yield(self.arg(take(&mut inner))?, span),
            _ => Step::Do(self.right(take(&mut inner))?),
        })
    }

    // -- the sandbox --

    fn sandbox_item(&self, spec: &mut Spec, pair: P) -> Result<(), Diagnostic> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = pair.into_inner();
        let name = self.name(&take(&mut inner));
        match matched {
            Rule::constant => {
                let value = self.integer(&take(&mut inner))?;
                spec.constants.push(Constant { name, value, span });
            }
            Rule::role => spec.roles.push(Role { name, register: self.name(&take(&mut inner)), span }),
            Rule::layout | Rule::record => {
                let descending = matched == Rule::layout;
                let fields = inner.map(|field| self.field(field, descending)).collect();
                spec.layouts.push(Layout { name, descending, fields, span });
            }
            Rule::gate => {
                let params = self.params(take(&mut inner))?;
                let results = inner.next().map(|pair| self.arrow(pair)).transpose()?.into_iter().collect();
                spec.gates.push(Gate { name, params, results, span });
            }
            Rule::trap_item => {
                let number = self.small(&take(&mut inner))?;
                let message = take(&mut take(&mut inner).into_inner()).as_str().to_string();
                spec.traps.push(Trap { name, number, message, span });
            }
            _ => {
                let rows = inner
                    .map(|row| {
                        let words: Vec<String> =
                            row.as_str().split_whitespace().take(2).map(|word| word.to_string()).collect();
                        (words, row.into_inner().map(|register| self.name(&register)).collect())
                    })
                    .collect();
                spec.conventions.push(Convention { name, rows, span });
            }
        }
        Ok(())
    }

    fn field(&self, pair: P, descending: bool) -> Field {
        let span = self.span(&pair);
        let mut inner = pair.into_inner();
        let mut access = Access::Readable;
        if descending {
            access = match take(&mut inner).as_str().trim() {
                "host" => Access::Host,
                "readable" => Access::Readable,
                _ => Access::Writable,
            };
        }
        let name = self.name(&take(&mut inner));
        let mut next = take(&mut inner);
        let mut count = None;
        if next.as_rule() == Rule::count {
            count = Some(self.name(&take(&mut next.into_inner())));
            next = take(&mut inner);
        }
        Field { access, name, count, ty: self.name(&next), span }
    }
}

/// The next part; the grammar guarantees that it is there.
fn take<'i>(pairs: &mut pest::iterators::Pairs<'i, Rule>) -> P<'i> {
    pairs.next().expect("the grammar makes this part mandatory")
}

/// A type by its name in the language.
pub fn named_type(text: &str) -> Option<Type> {
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

fn operand_kind(text: &str) -> Option<OperandKind> {
    Some(match text {
        "addr" => OperandKind::Addr,
        "cc" => OperandKind::Cc,
        "label" => OperandKind::Label,
        "imm64" => OperandKind::UImm(64),
        _ => {
            let at = text.find(|c: char| c.is_ascii_digit())?;
            let width: u16 = text[at..].parse().ok()?;
            match &text[..at] {
                "r" if matches!(width, 8 | 16 | 32 | 64) => OperandKind::Reg(width),
                "rm" if matches!(width, 8 | 16 | 32 | 64) => OperandKind::RegMem(width),
                "m" if matches!(width, 8 | 16 | 32 | 64 | 128) => OperandKind::Mem(width),
                "xmm" if matches!(width, 32 | 64 | 128) => OperandKind::Xmm(width),
                "xm" if matches!(width, 32 | 64 | 128) => OperandKind::XmmMem(width),
                "simm" if matches!(width, 8 | 32) => OperandKind::SImm(width),
                "uimm" if matches!(width, 8 | 16 | 32) => OperandKind::UImm(width),
                _ => return None,
            }
        }
    })
}
