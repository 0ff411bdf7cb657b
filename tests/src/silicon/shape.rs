//! What a rule matches, as a tree of operators with holes.
//!
//! Takes a rule of the typed specification; gives [`Shape`]s: the operators of its pattern with parameters for what it binds
//! and holes for constants and immediates. A form's rule gives the shape of a `lower` rule that uses the form, with the form's
//! pattern in place of what is handed to it.

use codegen_derive::ast::*;
use std::collections::HashMap;
use vwasm::ir::{self, Op as IrOp};

/// What a parameter stands for, as far as operators care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Value,
    /// Index into linear memory.
    Pointer,
    /// Index into the table.
    TableIndex,
    MemoryBase,
    TableBase,
    /// Address of a table slot.
    Slot,
    /// Address of a global's cell.
    Cell,
}

#[derive(Clone, Debug)]
pub enum Shape {
    Param {
        key: String,
        ty: ir::Type,
        role: Role,
    },
    /// A constant: the number of its hole.
    Const {
        ty: ir::Type,
        hole: usize,
    },
    Op {
        op: IrOp,
        args: Vec<Shape>,
        imms: Vec<usize>,
    },
    /// An operator whose value is asked for again.
    Named {
        key: String,
        inner: Box<Shape>,
    },
    Same {
        key: String,
    },
}

/// What may fill a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hole {
    Fixed(u64),
    /// A constant or immediate of a type.
    Value(ir::Type),
    /// A constant index into memory.
    Pointer,
    /// The offset of a memory access.
    Offset,
    /// The offset of a global's cell from r15.
    Cell,
}

/// A shape with its holes.
#[derive(Clone, Debug)]
pub struct Template {
    pub root: Shape,
    pub holes: Vec<Hole>,
    /// The root's two operands stand the other way round.
    pub swapped: bool,
    /// The numbers that the rule's conditions name.
    pub literals: Vec<u64>,
}

pub fn ir_type(ty: &Type) -> ir::Type {
    match ty {
        Type::Bits(64) => ir::Type::I64,
        Type::F32 => ir::Type::F32,
        Type::F64 => ir::Type::F64,
        _ => ir::Type::I32,
    }
}

/// A form's patterns in place of the names that a rule hands to the form.
#[derive(Default)]
struct Substitution<'a> {
    values: HashMap<&'a str, &'a Pattern>,
    immediates: HashMap<&'a str, &'a ImmPattern>,
}

struct Builder<'a> {
    spec: &'a Spec,
    substitution: Substitution<'a>,
    holes: Vec<Hole>,
    /// Roles of parameters bound so far, none for operators: what a name asked for again is.
    bound: HashMap<String, Option<(ir::Type, Role)>>,
}

fn op_of<'a>(spec: &'a Spec, name: &str) -> Result<&'a Op, String> {
    spec.ops.iter().find(|op| op.name.text == name).ok_or_else(|| format!("no operator {name}"))
}

/// The region that an operator's address depending on `name` lies in.
fn region(op: &Op, name: &str) -> Option<Region> {
    fn mentions(expr: &Expr, name: &str) -> bool {
        match &expr.kind {
            ExprKind::Var(found) => found == name,
            ExprKind::Unary(_, a) | ExprKind::Slice(a, ..) => mentions(a, name),
            ExprKind::Binary(_, a, b) | ExprKind::Let(_, a, b) => mentions(a, name) || mentions(b, name),
            ExprKind::If(a, b, c) => mentions(a, name) || mentions(b, name) || mentions(c, name),
            ExprKind::Call(_, args) | ExprKind::Tuple(args) => args.iter().any(|arg| mentions(arg, name)),
            ExprKind::Int(_) | ExprKind::Bool(_) => false,
        }
    }
    op.body.iter().find_map(|stmt| match stmt {
        OpStmt::Read { region, address, .. } | OpStmt::Write { region, address, .. } => {
            mentions(address, name).then_some(*region)
        }
        _ => None,
    })
}

fn role(op: &Op, param: &Param) -> Role {
    let name = param.name.text.as_str();
    match (region(op, name), &param.ty) {
        (Some(Region::Memory), Type::Bits(32)) => Role::Pointer,
        (Some(Region::Memory | Region::Size), _) => Role::MemoryBase,
        (Some(Region::Table), _) if name == "slot" => Role::Slot,
        (Some(Region::Table), _) => Role::TableBase,
        (Some(Region::Global | Region::Constant), _) => Role::Cell,
        (None, Type::Bits(64)) if op.name.text == "call_indirect.slot_fixed" => Role::TableBase,
        (None, Type::Bits(32)) if op.name.text.contains(".slot") => Role::TableIndex,
        (None, _) => Role::Value,
    }
}

impl<'a> Builder<'a> {
    fn hole(&mut self, hole: Hole) -> usize {
        self.holes.push(hole);
        self.holes.len() - 1
    }

    /// Operand `number` of an operator. `scope` keeps the names of rule and form apart.
    fn value(&mut self, pattern: &'a Pattern, op: &'a Op, number: usize, scope: &str) -> Result<Shape, String> {
        let param = &op.params[number];
        let ty = ir_type(&param.ty);
        Ok(match pattern {
            Pattern::Var(name) => match self.substitution.values.get(name.text.as_str()).copied() {
                Some(inner) if scope == "rule" => self.value(inner, op, number, "form")?,
                _ => {
                    let (key, role) = (format!("{scope}.{}", name.text), role(op, param));
                    self.bound.insert(key.clone(), Some((ty, role)));
                    Shape::Param { key, ty, role }
                }
            },
            Pattern::Same(name) => {
                let key = format!("{scope}.{}", name.text);
                match self.bound.get(&key).ok_or_else(|| format!("{key} is not bound"))? {
                    Some((ty, role)) => Shape::Param { key, ty: *ty, role: *role },
                    None => Shape::Same { key },
                }
            }
            Pattern::Any(span) => Shape::Param { key: format!("any.{}", span.start), ty, role: role(op, param) },
            Pattern::Const(_) => {
                let pointer = role(op, param) == Role::Pointer;
                let hole = self.hole(if pointer { Hole::Pointer } else { Hole::Value(ty) });
                Shape::Const { ty, hole }
            }
            Pattern::Literal(value, _) => {
                let bits = if matches!(ty, ir::Type::I32 | ir::Type::F32) { *value as u32 as u64 } else { *value as u64 };
                Shape::Const { ty, hole: self.hole(Hole::Fixed(bits)) }
            }
            Pattern::Op { op, alias, args, immediates, .. } => {
                let op = op_of(self.spec, &op.text)?;
                let inner = self.operator(op, args, immediates, scope)?;
                match alias {
                    None => inner,
                    Some(name) => {
                        let key = format!("{scope}.{}", name.text);
                        self.bound.insert(key.clone(), None);
                        Shape::Named { key, inner: Box::new(inner) }
                    }
                }
            }
        })
    }

    fn operator(
        &mut self,
        op: &'a Op,
        args: &'a [Pattern],
        immediates: &'a [ImmPattern],
        scope: &str,
    ) -> Result<Shape, String> {
        let ir_op = IrOp::from_name(&op.name.text).ok_or_else(|| format!("no operator {}", op.name.text))?;
        let args = (0..op.params.len())
            .map(|n| self.value(args.get(n).ok_or("too few patterns")?, op, n, scope))
            .collect::<Result<Vec<Shape>, String>>()?;
        let mut imms = Vec::new();
        for (pattern, param) in immediates.iter().zip(&op.immediates) {
            let pattern = match pattern {
                ImmPattern::Var(name) => self.substitution.immediates.get(name.text.as_str()).copied().unwrap_or(pattern),
                pattern => pattern,
            };
            let hole = match (pattern, region(op, &param.name.text)) {
                (ImmPattern::Literal(value, _), _) if param.ty == Type::Bits(32) => Hole::Fixed(*value as u32 as u64),
                (ImmPattern::Literal(value, _), _) => Hole::Fixed(*value as u64),
                (_, Some(Region::Memory)) => Hole::Offset,
                (_, Some(_)) => Hole::Cell,
                (_, None) => Hole::Value(ir_type(&param.ty)),
            };
            imms.push(self.hole(hole));
        }
        Ok(Shape::Op { op: ir_op, args, imms })
    }
}

fn template(spec: &Spec, block: &RuleBlock, rule: &Rule, substitution: Substitution<'_>) -> Result<Template, String> {
    let op = op_of(spec, &block.name.text)?;
    let mut builder = Builder { spec, substitution, holes: Vec::new(), bound: HashMap::new() };
    let root = builder.operator(op, &rule.patterns, &rule.immediates, "rule")?;
    let mut literals = Vec::new();
    rule.conditions.iter().chain(&rule.preferences).for_each(|expr| collect_literals(expr, &mut literals));
    Ok(Template { root, holes: builder.holes, swapped: false, literals })
}

fn collect_literals(expr: &Expr, out: &mut Vec<u64>) {
    match &expr.kind {
        ExprKind::Int(value) => out.push(*value as u64),
        ExprKind::Unary(_, a) | ExprKind::Slice(a, ..) => collect_literals(a, out),
        ExprKind::Binary(_, a, b) | ExprKind::Let(_, a, b) => {
            [a, b].into_iter().for_each(|part| collect_literals(part, out))
        }
        ExprKind::If(a, b, c) => [a, b, c].into_iter().for_each(|part| collect_literals(part, out)),
        ExprKind::Call(_, args) | ExprKind::Tuple(args) => args.iter().for_each(|part| collect_literals(part, out)),
        ExprKind::Bool(_) | ExprKind::Var(_) => {}
    }
}

/// Whether the rule with its two operands exchanged is another rule.
fn has_twin(spec: &Spec, block: &RuleBlock, rule: &Rule) -> bool {
    let commutative = spec.ops.iter().any(|op| op.name.text == block.name.text && op.commutative);
    let plain = |pattern: &Pattern| matches!(pattern, Pattern::Var(_) | Pattern::Any(_));
    commutative && rule.patterns.len() == 2 && !rule.patterns.iter().all(plain)
}

/// The shapes of a rule of an operator: its own, and that of its twin.
pub fn of_operator_rule(spec: &Spec, block: &RuleBlock, rule: &Rule) -> Result<Vec<Template>, String> {
    let mut templates = vec![template(spec, block, rule, Substitution::default())?];
    if has_twin(spec, block, rule) {
        templates.push(Template { swapped: true, ..templates[0].clone() });
    }
    Ok(templates)
}

/// The form calls of a rule's right side, those that are handed plain names.
fn form_calls<'a>(right: &'a Right, form: &str) -> Option<Vec<&'a str>> {
    fn in_expr<'a>(expr: &'a Expr, form: &str) -> Option<Vec<&'a str>> {
        match &expr.kind {
            ExprKind::Call(name, args) if name.text == form => {
                let names = args.iter().map(|arg| match &arg.kind {
                    ExprKind::Var(name) => Some(name.as_str()),
                    _ => None,
                });
                names.collect()
            }
            ExprKind::Tuple(parts) => parts.iter().find_map(|part| in_expr(part, form)),
            _ => None,
        }
    }
    fn in_arg<'a>(arg: &'a Arg, form: &str) -> Option<Vec<&'a str>> {
        match arg {
            Arg::Expr(expr) => in_expr(expr, form),
            Arg::Nested(right) => form_calls(right, form),
            Arg::Mem { address, .. } => in_arg(address, form),
            Arg::Addr(_) => None,
        }
    }
    match right {
        Right::Apply { args, .. } => args.iter().find_map(|arg| in_arg(arg, form)),
        Right::Mem { address, .. } => in_arg(address, form),
        Right::Seq { steps, .. } => steps.iter().find_map(|step| match step {
            Step::Let(_, right) | Step::Do(right) => form_calls(right, form),
            Step::TrapIf { cond, .. } => in_arg(cond, form),
            Step::Branch { first, second, .. } => {
                in_arg(first, form).or_else(|| second.as_ref().and_then(|(_, second)| in_arg(second, form)))
            }
            Step::Yield(arg, _) => in_arg(arg, form),
        }),
        Right::Var(_) | Right::Addr(_) | Right::Const(_) => None,
    }
}

/// The shapes in which a form's rule may fire: one for each `lower` rule that uses the form.
pub fn of_form_rule(spec: &Spec, block: &RuleBlock, rule: &Rule) -> Result<Vec<Template>, String> {
    let mut templates = Vec::new();
    for host in spec.blocks.iter().filter(|host| host.kind == BlockKind::Lower) {
        for host_rule in &host.rules {
            let Some(names) = form_calls(&host_rule.right, &block.name.text) else { continue };
            let (values, immediates) = names.split_at(block.params.len().min(names.len()));
            let substitution = Substitution {
                values: values.iter().copied().zip(&rule.patterns).collect(),
                immediates: immediates.iter().copied().zip(&rule.immediates).collect(),
            };
            let mut template = template(spec, host, host_rule, substitution)?;
            rule.conditions.iter().for_each(|expr| collect_literals(expr, &mut template.literals));
            templates.push(template);
        }
    }
    Ok(templates)
}
