//! The compiler broken on purpose: each way changes instructions that safety rests on, and the checker refuses what comes out.

use vwasm::compile::{Options, compile};
use vwasm::error::ErrorKind;
use vwasm::layout::*;
use vwasm::machine::{Amode, Base, Cc, Inst, NO_SITE, Reg, RegMem};
use vwasm::module::Module;
use vwasm::vcode::{Callee, MInst, VCode};
use vwasm_checker::layout::InstanceLayout;

fn machine(code: &mut VCode, mut change: impl FnMut(&mut Inst)) {
    for inst in &mut code.insts {
        if let MInst::Machine(inst) = inst {
            change(inst);
        }
    }
}

fn each(code: &mut VCode, mut change: impl FnMut(&mut MInst)) {
    code.insts.iter_mut().for_each(|inst| change(inst));
}

/// Memory operands that reach linear memory.
fn accesses(code: &mut VCode, change: impl Fn(&mut Amode)) {
    machine(code, |inst| {
        if let Some(amode) = inst.memory_mut()
            && amode.site != NO_SITE
        {
            change(amode);
        }
    });
}

/// Memory operands that reach fields of the instance.
fn fields(code: &mut VCode, change: impl Fn(&mut Inst)) {
    machine(code, |inst| {
        let field = inst.memory_mut().is_some_and(|amode| amode.base == Base::Instance && amode.index.is_none());
        if field {
            change(inst);
        }
    });
}

fn nothing() -> MInst {
    MInst::Entry(Box::new([]))
}

fn layout() -> InstanceLayout {
    // As the module below has it.
    let shape = vwasm_checker::layout::InstanceShape {
        memory_imports: 0,
        tables: 2,
        function_imports: 2,
        global_imports: 2,
        types: TYPES,
        references: 0,
        constants: 1,
        globals: 2,
    };
    InstanceLayout::new(&shape).expect("a small instance")
}

const TYPES: u32 = 11;

type Break = (&'static str, fn(&mut VCode));

const BREAKS: [Break; 31] = [
    ("the bound check of a table is left out", |code| {
        each(code, |inst| {
            if matches!(inst, MInst::TrapIf { code: TrapCode::UndefinedElement | TrapCode::OutOfBoundsTableAccess, .. }) {
                *inst = nothing();
            }
        })
    }),
    ("the bound check lets the length pass", |code| {
        each(code, |inst| {
            if let MInst::TrapIf { cc: cc @ Cc::AE, .. } = inst {
                *cc = Cc::A
            }
        })
    }),
    ("the bound check is negated", |code| {
        each(code, |inst| {
            if let MInst::TrapIf { cc: cc @ Cc::AE, .. } = inst {
                *cc = Cc::B
            }
        })
    }),
    ("the bound check is signed", |code| {
        each(code, |inst| {
            if let MInst::TrapIf { cc: cc @ Cc::AE, .. } = inst {
                *cc = Cc::GE
            }
        })
    }),
    ("the signature is not checked", |code| {
        each(code, |inst| {
            if matches!(inst, MInst::CheckSignature { .. }) {
                *inst = nothing()
            }
        })
    }),
    ("the slot is compared with itself", |code| {
        each(code, |inst| {
            if let MInst::CheckSignature { slot, signature } = inst {
                *signature = *slot
            }
        })
    }),
    ("slots are 8 bytes", |code| {
        machine(code, |inst| {
            if let Inst::Shl64Imm { count, .. } = inst {
                *count = 3
            }
        })
    }),
    ("slots are 32 bytes", |code| {
        machine(code, |inst| {
            if let Inst::Shl64Imm { count, .. } = inst {
                *count = 5
            }
        })
    }),
    ("the index is or-ed with the mask", |code| {
        machine(code, |inst| {
            if let Inst::And64 { dst, dst_in, src } = *inst {
                *inst = Inst::Or64 { dst, dst_in, src }
            }
        })
    }),
    ("the slot's offset is subtracted", |code| {
        machine(code, |inst| {
            if let Inst::Add64 { dst, dst_in, src } = *inst {
                *inst = Inst::Sub64 { dst, dst_in, src }
            }
        })
    }),
    ("a table's base comes from the field beside", |code| {
        fields(code, |inst| {
            let field = layout().table(0);
            if let Some(amode) = inst.memory_mut()
                && amode.disp == field
            {
                amode.disp += 8
            }
        })
    }),
    ("indices are scaled by 8", |code| {
        accesses(code, |amode| {
            if !amode.index.is_none() {
                amode.scale = 8
            }
        })
    }),
    ("displacements are negative", |code| accesses(code, |amode| amode.disp = -8)),
    ("accesses go without the memory's base", |code| {
        accesses(code, |amode| {
            if !amode.index.is_none() {
                amode.base = Base::None
            }
        })
    }),
    ("accesses go to the frame", |code| {
        accesses(code, |amode| {
            if !amode.index.is_none() {
                amode.base = Base::Stack
            }
        })
    }),
    ("i32 loads read 64 bits", |code| {
        machine(code, |inst| {
            if let Inst::Load32 { dst, m } = *inst {
                *inst = Inst::Load64 { dst, m }
            }
        })
    }),
    ("i32 loads are sign-extended", |code| {
        machine(code, |inst| {
            if let Inst::Load32 { dst, m } = *inst {
                *inst = Inst::Movsxd64Load { dst, m }
            }
        })
    }),
    ("wrapping an i64 copies 64 bits", |code| {
        machine(code, |inst| {
            if let Inst::Mov32 { dst, src } = *inst {
                *inst = Inst::Mov64 { dst, src }
            }
        })
    }),
    ("i32 products are 64 bits wide", |code| {
        machine(code, |inst| match *inst {
            Inst::Imul32Imm { dst, src, c } => *inst = Inst::Imul64Imm { dst, src, c },
            Inst::Imul32 { dst, dst_in, src } => *inst = Inst::Imul64 { dst, dst_in, src },
            _ => {}
        })
    }),
    ("i32 additions are 64 bits wide", |code| {
        machine(code, |inst| match *inst {
            Inst::Lea32 { dst, m } => *inst = Inst::Lea64 { dst, m },
            Inst::Add32 { dst, dst_in, src: src @ RegMem::Reg(_) } => *inst = Inst::Add64 { dst, dst_in, src },
            _ => {}
        })
    }),
    ("comparisons give all ones", |code| {
        machine(code, |inst| {
            if let Inst::Movzx328 { dst, src } = *inst {
                *inst = Inst::Movsx648 { dst, src }
            }
        })
    }),
    ("globals are stored in the gate's field", |code| {
        fields(code, |inst| {
            if let Inst::Store32 { m, .. } | Inst::Store64 { m, .. } = inst {
                m.disp = INSTANCE_GATE
            }
        })
    }),
    ("globals are stored in the host's record", |code| {
        fields(code, |inst| {
            if let Inst::Store32 { m, .. } | Inst::Store64 { m, .. } = inst {
                m.disp = INSTANCE_INSTANCE
            }
        })
    }),
    ("globals are stored in a signature", |code| {
        fields(code, |inst| {
            if let Inst::Store32 { m, .. } = inst {
                m.disp = layout().signature(0)
            }
        })
    }),
    ("an imported global's cell is taken for another", |code| {
        fields(code, |inst| {
            if let Inst::Load64 { m, .. } = inst
                && m.disp == layout().global_import(0)
            {
                m.disp = layout().global_import(1)
            }
        })
    }),
    ("the frame has no outgoing words", |code| code.outgoing = 0),
    ("returns pop nothing", |code| {
        each(code, |inst| {
            if let MInst::Return { pop, .. } = inst {
                *pop = 0
            }
        })
    }),
    ("returns pop a word more", |code| {
        each(code, |inst| {
            if let MInst::Return { pop, .. } = inst {
                *pop += 8
            }
        })
    }),
    ("what the callee pops is not put back", |code| {
        each(code, |inst| {
            if let MInst::Call(call) = inst {
                call.pop = 0
            }
        })
    }),
    ("an import is called through another's slot", |code| {
        each(code, |inst| {
            if let MInst::Call(call) = inst
                && let Callee::Import(offset) = &mut call.callee
            {
                *offset += 4
            }
        })
    }),
    ("i64 and i32 parameters are exchanged", |code| {
        each(code, |inst| {
            if let MInst::Entry(defs) = inst
                && let [first, second, ..] = &mut **defs
            {
                std::mem::swap::<Reg>(&mut first.1, &mut second.1);
            }
        })
    }),
];

fn module_text() -> String {
    // i64 parameters beside i32 ones, an index that is wrapped, multiplied and compared.
    let more = r#"
  (func (export "mixed") (param i64 i32) (result i32)
    (i32.add (i32.load (local.get 1)) (i32.load offset=8 (i32.wrap_i64 (local.get 0)))))
  (func (export "multiplied") (param i32 i32) (result i32)
    (i32.load (i32.mul (i32.load (local.get 0)) (i32.const 1000003))))
  (func (export "compared") (param i32 i32) (result i32)
    (i32.load (i32.lt_s (local.get 0) (local.get 1))))
  (func (export "words in") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (i32.load (i32.add (local.get 6) (local.get 7))))
)"#;
    let text = include_str!("checker/everything.wat").trim_end();
    format!("{}{more}", text.strip_suffix(')').unwrap_or(text))
}

#[test]
fn every_break_is_noticed() {
    let bytes = wat::parse_str(module_text()).expect("a module");
    let module = Module::decode(&bytes).expect("a valid module");
    assert_eq!(module.types.len() as u32, TYPES, "the layout above is another module's");
    compile(&module, &Options::default(), &|| ()).expect("unbroken, it is accepted");
    let mut missed = Vec::new();
    for (name, sabotage) in BREAKS {
        let options = Options { sabotage: Some(sabotage), ..Options::default() };
        match compile(&module, &options, &|| ()) {
            Err(error) if error.kind == ErrorKind::Rejected => println!("{name}: {error}"),
            Err(error) => missed.push(format!("{name}: not the checker, but: {error}")),
            Ok(_) => missed.push(format!("{name}: accepted")),
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(BREAKS.len() >= 25);
}
