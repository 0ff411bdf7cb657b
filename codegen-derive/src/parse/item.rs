//! Items: operators, functions, instructions, and those of `sandbox.rules`.

use super::{P, Read, Reader, Rule, next, only, parts};
use crate::ast::*;
use crate::diagnostic::Diagnostic;

impl Reader {
    pub fn item(&self, spec: &mut Spec, pair: P) -> Read<()> {
        match pair.as_rule() {
            Rule::op => spec.ops.push(self.op(pair)?),
            Rule::function => spec.functions.push(self.function(pair)?),
            Rule::inst => spec.insts.push(self.inst(pair)?),
            Rule::frame => spec.frame.extend(parts(pair).map(|name| self.name(&name))),
            Rule::lower => spec.blocks.push(self.block(pair, BlockKind::Lower)?),
            Rule::simplify => spec.blocks.push(self.block(pair, BlockKind::Simplify)?),
            Rule::form => spec.blocks.push(self.block(pair, BlockKind::Form)?),
            Rule::fact_item => spec.facts.push(self.fact(pair)?),
            Rule::state_item | Rule::known_item => spec.states.push(self.state(pair)?),
            Rule::extent => spec.extents.push(self.extent(pair)?),
            Rule::judgement => spec.judgements.push(self.judgement(pair)?),
            Rule::EOI => {}
            _ => self.sandbox_item(spec, pair)?,
        }
        Ok(())
    }

    fn op(&self, pair: P) -> Read<Op> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let (params, immediates) = self.signature(next(&mut inner, span)?)?;
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
                    _ => op.weight = self.small(&only(self, only(self, part)?)?)?,
                },
                _ => op.body.push(self.op_stmt(part)?),
            }
        }
        Ok(op)
    }

    fn region(&self, pair: &P) -> Read<Region> {
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

    fn op_stmt(&self, pair: P) -> Read<OpStmt> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = parts(pair);
        let mut part = || next(&mut inner, span);
        Ok(match matched {
            Rule::let_stmt => OpStmt::Let(self.name(&part()?), self.expr(part()?)?),
            Rule::trap_stmt => OpStmt::Trap(self.name(&part()?), self.expr(part()?)?),
            Rule::read_stmt => OpStmt::Read {
                region: self.region(&part()?)?,
                name: self.name(&part()?),
                ty: self.ty(part()?)?,
                address: self.expr(part()?)?,
                span,
            },
            Rule::write_stmt => OpStmt::Write {
                region: self.region(&part()?)?,
                value: self.expr(part()?)?,
                address: self.expr(part()?)?,
                span,
            },
            Rule::branch_stmt => OpStmt::Branch(self.expr(part()?)?),
            _ => OpStmt::Result(self.expr(part()?)?),
        })
    }

    fn function(&self, pair: P) -> Read<Function> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let mut part = || next(&mut inner, span);
        Ok(Function {
            name: self.name(&part()?),
            params: self.params(part()?)?,
            result: self.arrow(part()?)?,
            body: self.expr(part()?)?,
            span,
        })
    }

    fn inst(&self, pair: P) -> Read<Inst> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        let (mut operands, mut encoded, mut body) = (Vec::new(), Vec::new(), Vec::new());
        let (mut code, mut short, mut feature) = (None, None, None);
        for part in inner {
            match part.as_rule() {
                Rule::operand => operands.push(self.operand(part)?),
                Rule::code_name => code = Some(self.name(&part)),
                Rule::short => short = Some(self.name(&only(self, part)?)),
                Rule::encoded => {
                    let part = only(self, part)?;
                    encoded.push(match part.as_rule() {
                        Rule::integer => EncodedOperand::Literal(self.small(&part)?, self.span(&part)),
                        _ => EncodedOperand::Operand(self.name(&part)),
                    });
                }
                Rule::feature => feature = Some(self.name(&only(self, part)?)),
                _ => body.push(self.inst_stmt(part)?),
            }
        }
        let code = code.ok_or_else(|| Diagnostic::new(span, "an instruction without an encoded form"))?;
        Ok(Inst { name, operands, code, short, encoded, feature, body, span })
    }

    fn operand(&self, pair: P) -> Read<Operand> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
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
                _ => fixed = Some(self.name(&only(self, part)?)),
            }
        }
        let kind = kind.ok_or_else(|| Diagnostic::new(span, "an operand without a kind"))?;
        Ok(Operand { name, mode, kind, fixed, span })
    }

    fn inst_stmt(&self, pair: P) -> Read<InstStmt> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let text = pair.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
        let mut inner = parts(pair);
        let mut part = || next(&mut inner, span);
        Ok(match matched {
            Rule::let_stmt => InstStmt::Let(self.name(&part()?), self.expr(part()?)?),
            Rule::fault => InstStmt::Fault(self.name(&part()?), self.expr(part()?)?),
            Rule::requires => InstStmt::Requires(self.expr(part()?)?),
            Rule::undefined => InstStmt::Undefined(self.name(&part()?), self.expr(part()?)?),
            Rule::clobber => InstStmt::Clobber(self.name(&part()?)),
            Rule::flags_undefined => InstStmt::FlagsUndefined(span),
            Rule::flags_set => InstStmt::Flags(self.expr(part()?)?),
            Rule::jump => {
                let target = self.name(&part()?);
                InstStmt::Jump(target, part().ok().map(|pair| self.expr(pair)).transpose()?)
            }
            Rule::transfer => InstStmt::Transfer(Name { text, span }, span),
            _ => InstStmt::Assign(self.name(&part()?), self.expr(part()?)?),
        })
    }

    // -- the sandbox --

    fn sandbox_item(&self, spec: &mut Spec, pair: P) -> Read<()> {
        let span = self.span(&pair);
        let matched = pair.as_rule();
        let mut inner = parts(pair);
        let name = self.name(&next(&mut inner, span)?);
        match matched {
            Rule::constant => {
                let value = self.integer(&next(&mut inner, span)?)?;
                spec.constants.push(Constant { name, value, span });
            }
            Rule::role => spec.roles.push(Role { name, register: self.name(&next(&mut inner, span)?), span }),
            Rule::layout | Rule::record => {
                let descending = matched == Rule::layout;
                let fields = inner.map(|field| self.field(field)).collect::<Read<_>>()?;
                spec.layouts.push(Layout { name, descending, fields, span });
            }
            Rule::gate => {
                let params = self.params(next(&mut inner, span)?)?;
                let results = match inner.next().map(|pair| self.arrow(pair)).transpose()? {
                    Some(Type::Tuple(types)) => types,
                    one => one.into_iter().collect(),
                };
                spec.gates.push(Gate { name, params, results, span });
            }
            Rule::trap_item => {
                let number = self.small(&next(&mut inner, span)?)?;
                let message = only(self, next(&mut inner, span)?)?.as_str().to_string();
                spec.traps.push(Trap { name, number, message, span });
            }
            Rule::reject => {
                let words = only(self, next(&mut inner, span)?)?.as_str().to_string();
                spec.rejections.push(Words { name, words, span });
            }
            _ => {
                let rows = inner.map(|row| self.row(row)).collect::<Read<_>>()?;
                spec.conventions.push(Convention { name, rows, span });
            }
        }
        Ok(())
    }

    fn row(&self, pair: P) -> Read<(Vec<String>, Vec<Name>)> {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let words = parts(next(&mut inner, span)?).map(|word| word.as_str().to_string()).collect();
        Ok((words, inner.map(|register| self.name(&register)).collect()))
    }

    /// A field of a layout (with its access) or of a record.
    fn field(&self, pair: P) -> Read<Field> {
        let span = self.span(&pair);
        let (mut access, mut count, mut holds, mut names) = (Access::Readable, None, None, Vec::new());
        for part in parts(pair) {
            match part.as_rule() {
                Rule::access => {
                    access = match part.as_str() {
                        "host" => Access::Host,
                        "readable" => Access::Readable,
                        _ => Access::Writable,
                    }
                }
                Rule::count => count = Some(self.name(&only(self, part)?)),
                Rule::holds => holds = Some(self.name(&only(self, part)?)),
                _ => names.push(self.name(&part)),
            }
        }
        let mut names = names.into_iter();
        match (names.next(), names.next()) {
            (Some(name), Some(ty)) => Ok(Field { access, name, count, ty, holds, span }),
            _ => Err(Diagnostic::new(span, "a field without a type")),
        }
    }
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
