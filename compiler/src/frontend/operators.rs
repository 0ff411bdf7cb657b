//! One Wasm operator at a time.

use super::{Translator, global_type};
use crate::error::{CompileError, ErrorKind, Result};
use crate::ir::{Op, Type, Value};
use crate::layout::Gate;
use vwasm_runtime::manifest::ConstExpr;
use wasmparser::{MemArg, Operator, ValType};

/// The IR type of a local.
pub fn local_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 | ValType::Ref(_) => Type::I32,
        ValType::I64 | ValType::V128 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
    }
}

fn typed(ty: Type, ops: [Op; 4]) -> Op {
    match ty {
        Type::I32 => ops[0],
        Type::I64 => ops[1],
        Type::F32 => ops[2],
        Type::F64 => ops[3],
    }
}

macro_rules! plain_operators {
    ($self:ident, $operator:ident; $($name:ident)*) => {
        match $operator {
            $(Operator::$name => { $self.plain(Op::$name); true })*
            _ => false,
        }
    };
}

macro_rules! loads_and_stores {
    ($self:ident, $operator:ident; $($load:ident)*; $($store:ident)*) => {
        match $operator {
            $(Operator::$load { memarg } => { $self.load(Op::$load, memarg); true })*
            $(Operator::$store { memarg } => { $self.store(Op::$store, memarg); true })*
            _ => false,
        }
    };
}

impl Translator<'_, '_> {
    /// An operator whose operands and results are those of its IR operator.
    fn plain(&mut self, op: Op) {
        let info = op.info();
        let at = self.stack.len() - info.params.len();
        let args = self.stack.split_off(at);
        let result = self.emit(op, 0, 0, &args, info.results);
        self.stack.push(result);
    }

    fn load(&mut self, op: Op, memarg: &MemArg) {
        let address = self.pop();
        let base = self.memory_base();
        let value = self.emit(op, memarg.offset, 0, &[base, address], op.info().results);
        self.stack.push(value);
    }

    fn store(&mut self, op: Op, memarg: &MemArg) {
        let value = self.pop();
        let address = self.pop();
        let base = self.memory_base();
        self.emit(op, memarg.offset, 0, &[base, address, value], &[]);
    }

    /// A gate call: indices first, then operands from the stack.
    pub(super) fn gate_with(&mut self, gate: Gate, indices: &[u32], operands: usize) {
        let mut args: Vec<Value> = Vec::with_capacity(indices.len() + operands);
        for &index in indices {
            args.push(self.constant(Op::I32Const, u64::from(index)));
        }
        args.extend(self.stack.split_off(self.stack.len() - operands));
        let result = self.gate(gate, &args);
        if gate.results() == 1 {
            self.stack.push(result);
        }
    }

    fn global_get(&mut self, global: u32) {
        let module = self.module;
        let ty = global_type(module, global);
        let info = &module.globals[global as usize];
        let layout = module.layout();
        let value = match (&info.init, info.mutable) {
            (None, mutable) => {
                let cell = self.field(Op::I64Field, layout.global_import(global));
                let ops = if mutable {
                    [Op::I32CellGet, Op::I64CellGet, Op::F32CellGet, Op::F64CellGet]
                } else {
                    [Op::I32CellConstant, Op::I64CellConstant, Op::F32CellConstant, Op::F64CellConstant]
                };
                self.emit(typed(ty, ops), 0, 0, &[cell], &[ty])
            }
            (Some(_), true) => {
                let offset = layout.global(module.global_cells[global as usize]);
                let op = typed(ty, [Op::I32GlobalGet, Op::I64GlobalGet, Op::F32GlobalGet, Op::F64GlobalGet]);
                self.emit(op, u64::from(offset as u32), 0, &[], &[ty])
            }
            (Some(ConstExpr::I32(value)), false) => self.constant(Op::I32Const, u64::from(*value)),
            (Some(ConstExpr::I64(value)), false) => self.constant(Op::I64Const, *value),
            (Some(ConstExpr::F32(bits)), false) => self.constant(Op::F32Const, u64::from(*bits)),
            (Some(ConstExpr::F64(bits)), false) => self.constant(Op::F64Const, *bits),
            (Some(_), false) => {
                let offset = layout.constant(module.global_cells[global as usize]);
                self.field(typed(ty, [Op::I32Field, Op::I64Field, Op::F32Field, Op::F64Field]), offset)
            }
        };
        self.stack.push(value);
    }

    fn global_set(&mut self, global: u32) {
        let module = self.module;
        let ty = global_type(module, global);
        let layout = module.layout();
        let value = self.pop();
        if module.globals[global as usize].init.is_none() {
            let cell = self.field(Op::I64Field, layout.global_import(global));
            let op = typed(ty, [Op::I32CellSet, Op::I64CellSet, Op::F32CellSet, Op::F64CellSet]);
            self.emit(op, 0, 0, &[cell, value], &[]);
        } else {
            let offset = layout.global(module.global_cells[global as usize]);
            let op = typed(ty, [Op::I32GlobalSet, Op::I64GlobalSet, Op::F32GlobalSet, Op::F64GlobalSet]);
            self.emit(op, u64::from(offset as u32), 0, &[value], &[]);
        }
    }

    fn call_indirect(&mut self, type_index: u32, table: u32) {
        let index = self.pop();
        let base = self.table_base(table);
        let limits = self.module.tables[table as usize].limits;
        let fixed = self.module.is_private_table(table) && !self.module.tables_grow;
        let slot = match u32::try_from(limits.min) {
            Ok(length) if fixed && length < 1 << 31 => {
                self.emit(Op::CallIndirectSlotFixed, u64::from(length), 0, &[base, index], &[Type::I64])
            }
            _ => self.emit(Op::CallIndirectSlot, 0, 0, &[base, index], &[Type::I64]),
        };
        let signature = self.module.layout().signature(type_index);
        let signature = self.emit(Op::I32Field, u64::from(signature as u32), 0, &[], &[Type::I32]);
        self.call(Op::CallSlot, 0, type_index, &[slot, signature]);
    }

    /// Translates an operator that validation has accepted.
    pub(super) fn operator(&mut self, operator: Operator<'_>) -> Result<()> {
        if !self.reachable {
            self.unreachable_operator(&operator);
            return Ok(());
        }
        self.owe(&operator);
        if self.numeric(&operator) || self.memory(&operator) || self.table(&operator) {
            return Ok(());
        }
        match operator {
            Operator::Nop => {}
            Operator::Unreachable => {
                self.set_owed(0);
                self.emit_terminator(Op::Unreachable, 0, &[], Vec::new());
            }
            Operator::Block { blockty } => self.start_block(blockty),
            Operator::Loop { blockty } => self.start_loop(blockty),
            Operator::If { blockty } => self.start_if(blockty),
            Operator::Else => self.start_else(),
            Operator::End => self.end(),
            Operator::Br { relative_depth } => self.br(relative_depth),
            Operator::BrIf { relative_depth } => self.br_if(relative_depth),
            Operator::BrTable { targets } => self.br_table(&targets)?,
            Operator::Return => self.return_results(),
            Operator::Call { function_index } => {
                let type_index = self.module.functions[function_index as usize];
                if function_index < self.module.imported_functions {
                    let offset = self.module.layout().function_import(function_index);
                    self.call(Op::CallImport, u64::from(offset as u32), type_index, &[]);
                } else {
                    self.call(Op::Call, u64::from(function_index), type_index, &[]);
                }
            }
            Operator::CallIndirect { type_index, table_index } => self.call_indirect(type_index, table_index),
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let condition = self.pop();
                let (b, a) = (self.pop(), self.pop());
                let ty = self.func.ty(a);
                let op = typed(ty, [Op::I32Select, Op::I64Select, Op::F32Select, Op::F64Select]);
                let value = self.emit(op, 0, 0, &[a, b, condition], &[ty]);
                self.stack.push(value);
            }
            Operator::LocalGet { local_index } => {
                let value = self.ssa.read(&mut self.func, self.current, local_index);
                self.stack.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.ssa.write(self.current, local_index, value);
            }
            Operator::LocalTee { local_index } => {
                let value = *self.stack.last().unwrap_or(&Value(0));
                self.ssa.write(self.current, local_index, value);
            }
            Operator::GlobalGet { global_index } => self.global_get(global_index),
            Operator::GlobalSet { global_index } => self.global_set(global_index),
            Operator::RefNull { .. } => {
                let value = self.constant(Op::I32Const, 0);
                self.stack.push(value);
            }
            Operator::RefIsNull => self.plain(Op::I32Eqz),
            Operator::RefFunc { function_index } => {
                let number = self.module.references.binary_search(&function_index).unwrap_or(0) as u32;
                let offset = self.module.layout().function_reference(number);
                let value = self.field(Op::I32Field, offset);
                self.stack.push(value);
            }
            other => {
                return Err(
                    CompileError::new(ErrorKind::Unsupported, format!("the operator {other:?}")).at(u64::from(self.offset))
                );
            }
        }
        Ok(())
    }

    fn numeric(&mut self, operator: &Operator<'_>) -> bool {
        let (op, bits) = match *operator {
            Operator::I32Const { value } => (Op::I32Const, u64::from(value as u32)),
            Operator::I64Const { value } => (Op::I64Const, value as u64),
            Operator::F32Const { value } => (Op::F32Const, u64::from(value.bits())),
            Operator::F64Const { value } => (Op::F64Const, value.bits()),
            _ => return self.plain_operator(operator),
        };
        let value = self.constant(op, bits);
        self.stack.push(value);
        true
    }

    fn memory(&mut self, operator: &Operator<'_>) -> bool {
        let access = loads_and_stores! { self, operator;
            I32Load I64Load F32Load F64Load I32Load8S I32Load8U I32Load16S I32Load16U
            I64Load8S I64Load8U I64Load16S I64Load16U I64Load32S I64Load32U;
            I32Store I64Store F32Store F64Store I32Store8 I32Store16 I64Store8 I64Store16 I64Store32
        };
        if access {
            return true;
        }
        match operator {
            Operator::MemorySize { .. } => {
                let base = self.memory_base();
                let value = self.emit(Op::MemoryPages, 0, 0, &[base], &[Type::I32]);
                self.stack.push(value);
            }
            Operator::MemoryGrow { mem } => self.gate_with(Gate::MemoryGrow, &[*mem], 1),
            Operator::MemoryCopy { dst_mem, src_mem } => self.memory_copy(*dst_mem, *src_mem),
            Operator::MemoryFill { mem } => self.memory_fill(*mem),
            Operator::MemoryInit { data_index, mem } => self.gate_with(Gate::MemoryInit, &[*mem, *data_index], 3),
            Operator::DataDrop { data_index } => self.gate_with(Gate::DataDrop, &[*data_index], 0),
            _ => return false,
        }
        true
    }

    fn table(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::TableGet { table } => {
                let index = self.pop();
                let base = self.table_base(table);
                let slot = self.emit(Op::TableSlot, 0, 0, &[base, index], &[Type::I64]);
                let value = self.emit(Op::SlotReference, 0, 0, &[slot], &[Type::I32]);
                self.stack.push(value);
            }
            Operator::TableSize { table } => {
                let base = self.table_base(table);
                let value = self.emit(Op::TableLength, 0, 0, &[base], &[Type::I32]);
                self.stack.push(value);
            }
            Operator::TableSet { table } => self.gate_with(Gate::TableSet, &[table], 2),
            Operator::TableGrow { table } => self.gate_with(Gate::TableGrow, &[table], 2),
            Operator::TableFill { table } => self.gate_with(Gate::TableFill, &[table], 3),
            Operator::TableCopy { dst_table, src_table } => {
                self.gate_with(Gate::TableCopy, &[dst_table, src_table], 3);
            }
            Operator::TableInit { elem_index, table } => {
                self.gate_with(Gate::TableInit, &[table, elem_index], 3);
            }
            Operator::ElemDrop { elem_index } => self.gate_with(Gate::ElemDrop, &[elem_index], 0),
            _ => return false,
        }
        true
    }

    fn plain_operator(&mut self, operator: &Operator<'_>) -> bool {
        plain_operators! { self, operator;
            I32Eqz I32Eq I32Ne I32LtS I32LtU I32GtS I32GtU I32LeS I32LeU I32GeS I32GeU
            I32Clz I32Ctz I32Popcnt I32Add I32Sub I32Mul I32DivS I32DivU I32RemS I32RemU I32And I32Or I32Xor
            I32Shl I32ShrS I32ShrU I32Rotl I32Rotr I32Extend8S I32Extend16S
            I64Eqz I64Eq I64Ne I64LtS I64LtU I64GtS I64GtU I64LeS I64LeU I64GeS I64GeU
            I64Clz I64Ctz I64Popcnt I64Add I64Sub I64Mul I64DivS I64DivU I64RemS I64RemU I64And I64Or I64Xor
            I64Shl I64ShrS I64ShrU I64Rotl I64Rotr I64Extend8S I64Extend16S I64Extend32S
            F32Eq F32Ne F32Lt F32Gt F32Le F32Ge F32Abs F32Neg F32Ceil F32Floor F32Trunc F32Nearest F32Sqrt
            F32Add F32Sub F32Mul F32Div F32Min F32Max F32Copysign
            F64Eq F64Ne F64Lt F64Gt F64Le F64Ge F64Abs F64Neg F64Ceil F64Floor F64Trunc F64Nearest F64Sqrt
            F64Add F64Sub F64Mul F64Div F64Min F64Max F64Copysign
            I32WrapI64 I32TruncF32S I32TruncF32U I32TruncF64S I32TruncF64U I64ExtendI32S I64ExtendI32U
            I64TruncF32S I64TruncF32U I64TruncF64S I64TruncF64U
            F32ConvertI32S F32ConvertI32U F32ConvertI64S F32ConvertI64U F32DemoteF64
            F64ConvertI32S F64ConvertI32U F64ConvertI64S F64ConvertI64U F64PromoteF32
            I32ReinterpretF32 I64ReinterpretF64 F32ReinterpretI32 F64ReinterpretI64
            I32TruncSatF32S I32TruncSatF32U I32TruncSatF64S I32TruncSatF64U
            I64TruncSatF32S I64TruncSatF32U I64TruncSatF64S I64TruncSatF64U
        }
    }
}
