//! Machine instructions: the few shared types around the instruction set generated from `spec/x86_64`.
//!
//! [`insts::Inst`] is generated: its variants, operand constraints ([`OperandVisitor`]) and encoder. Here stand the
//! operand types it is made of. Before register allocation a [`Reg`] is virtual, afterwards physical; nothing else
//! changes, so one instruction type serves both.

use iced_x86::{MemoryOperand, Register};

pub mod insts {
    //! Generated from `spec/x86_64/*.rules`.
    #![allow(unused_variables, unused_mut, clippy::all)]
    use super::*;
    include!(concat!(env!("OUT_DIR"), "/insts.rs"));
}
pub use insts::Inst;

/// Register class: general registers or vector registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegClass {
    Int,
    Float,
}

impl RegClass {
    pub fn allocator(self) -> regalloc2::RegClass {
        match self {
            RegClass::Int => regalloc2::RegClass::Int,
            RegClass::Float => regalloc2::RegClass::Float,
        }
    }
}

/// A virtual or physical register.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reg(u32);

const PHYSICAL: u32 = 1 << 31;
const FLOAT: u32 = 1 << 30;
const INDEX: u32 = FLOAT - 1;

impl Reg {
    /// The absent register (an address without index).
    pub const NONE: Reg = Reg(u32::MAX);

    pub const fn virtual_register(index: u32, class: RegClass) -> Reg {
        Reg(index | if matches!(class, RegClass::Float) { FLOAT } else { 0 })
    }

    pub const fn physical(hw: u8, class: RegClass) -> Reg {
        Reg(PHYSICAL | hw as u32 | if matches!(class, RegClass::Float) { FLOAT } else { 0 })
    }

    pub const fn gpr(hw: u8) -> Reg {
        Reg::physical(hw, RegClass::Int)
    }

    pub const fn xmm(hw: u8) -> Reg {
        Reg::physical(hw, RegClass::Float)
    }

    pub fn is_none(self) -> bool {
        self == Reg::NONE
    }

    pub fn is_physical(self) -> bool {
        self.0 & PHYSICAL != 0
    }

    pub fn class(self) -> RegClass {
        if self.0 & FLOAT != 0 { RegClass::Float } else { RegClass::Int }
    }

    /// Number of a virtual register.
    pub fn index(self) -> u32 {
        self.0 & INDEX
    }

    /// Hardware encoding of a physical register.
    pub fn hw(self) -> u8 {
        debug_assert!(self.is_physical());
        (self.0 & 15) as u8
    }

    pub fn vreg(self) -> regalloc2::VReg {
        regalloc2::VReg::new(self.index() as usize, self.class().allocator())
    }
}

impl std::fmt::Debug for Reg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_none() {
            f.write_str("-")
        } else if !self.is_physical() {
            write!(f, "{}{}", if self.class() == RegClass::Float { "f" } else { "r" }, self.index())
        } else if self.class() == RegClass::Float {
            write!(f, "xmm{}", self.hw())
        } else {
            write!(f, "{:?}", gpr64(self.hw()))
        }
    }
}

impl std::fmt::Display for Reg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(self, f)
    }
}

pub const RAX: Reg = Reg::gpr(0);
pub const RSP: Reg = Reg::gpr(4);
pub const R15: Reg = Reg::gpr(15);

pub fn gpr8(hw: u8) -> Register {
    const R: [Register; 16] = [
        Register::AL,
        Register::CL,
        Register::DL,
        Register::BL,
        Register::SPL,
        Register::BPL,
        Register::SIL,
        Register::DIL,
        Register::R8L,
        Register::R9L,
        Register::R10L,
        Register::R11L,
        Register::R12L,
        Register::R13L,
        Register::R14L,
        Register::R15L,
    ];
    R[(hw & 15) as usize]
}

pub fn gpr16(hw: u8) -> Register {
    Register::AX + u32::from(hw & 15)
}

pub fn gpr32(hw: u8) -> Register {
    Register::EAX + u32::from(hw & 15)
}

pub fn gpr64(hw: u8) -> Register {
    Register::RAX + u32::from(hw & 15)
}

pub fn xmm(hw: u8) -> Register {
    Register::XMM0 + u32::from(hw & 15)
}

/// Condition codes by their encoding in Jcc, SETcc, CMOVcc (Intel SDM vol. 1, appendix B).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cc {
    O,
    NO,
    B,
    AE,
    E,
    NE,
    BE,
    A,
    S,
    NS,
    P,
    NP,
    L,
    GE,
    LE,
    G,
}

impl Cc {
    const ALL: [Cc; 16] = [
        Cc::O,
        Cc::NO,
        Cc::B,
        Cc::AE,
        Cc::E,
        Cc::NE,
        Cc::BE,
        Cc::A,
        Cc::S,
        Cc::NS,
        Cc::P,
        Cc::NP,
        Cc::L,
        Cc::GE,
        Cc::LE,
        Cc::G,
    ];

    /// The condition that holds exactly when this one does not.
    pub fn inverted(self) -> Cc {
        Cc::ALL[(self as usize) ^ 1]
    }
}

/// Where a branch goes: an address while encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(pub u64);

/// Base of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    None,
    Reg(Reg),
    /// Linear memory 0 of the instance: r15.
    Mem0,
    /// The instance's fields: r15.
    Instance,
    /// Outgoing words and spill slots: rsp.
    Stack,
    /// Incoming parameter and result words: `rsp + frame + 8`; becomes `Stack` once the frame's size is known.
    Incoming,
}

/// A memory operand `[base + index*scale + disp]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amode {
    pub base: Base,
    pub index: Reg,
    pub scale: u8,
    pub disp: i32,
    /// Wasm offset of the access that may fault here, or [`NO_SITE`].
    pub site: u32,
}

pub const NO_SITE: u32 = u32::MAX;

impl Amode {
    pub fn new(base: Base, disp: i32) -> Amode {
        Amode { base, index: Reg::NONE, scale: 1, disp, site: NO_SITE }
    }

    pub fn visit<V: OperandVisitor>(&mut self, visitor: &mut V) {
        if let Base::Reg(reg) = &mut self.base {
            visitor.use_reg(reg, RegClass::Int);
        }
        if !self.index.is_none() {
            visitor.use_reg(&mut self.index, RegClass::Int);
        }
    }

    fn base_register(&self) -> Register {
        match self.base {
            Base::None => Register::None,
            Base::Reg(reg) => gpr64(reg.hw()),
            Base::Mem0 | Base::Instance => Register::R15,
            Base::Stack | Base::Incoming => Register::RSP,
        }
    }

    pub fn to_memory_operand(&self) -> MemoryOperand {
        let index = if self.index.is_none() { Register::None } else { gpr64(self.index.hw()) };
        // iced chooses the shortest displacement when told 1 and the value needs more when it does not fit.
        let base = self.base_register();
        let size = if self.disp == 0 {
            0
        } else if (-128..128).contains(&self.disp) && base != Register::None {
            1
        } else {
            8
        };
        MemoryOperand::new(base, index, u32::from(self.scale), i64::from(self.disp), size, false, Register::None)
    }
}

impl std::fmt::Display for Amode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.base {
            Base::None => write!(f, "[")?,
            Base::Reg(reg) => write!(f, "[{reg}")?,
            Base::Mem0 => write!(f, "[mem0")?,
            Base::Instance => write!(f, "[instance")?,
            Base::Stack => write!(f, "[stack")?,
            Base::Incoming => write!(f, "[incoming")?,
        }
        if !self.index.is_none() {
            write!(f, " + {}", self.index)?;
            if self.scale != 1 {
                write!(f, "*{}", self.scale)?;
            }
        }
        match self.disp {
            0 => f.write_str("]"),
            d if d < 0 => write!(f, " - {:#x}]", d.unsigned_abs()),
            d => write!(f, " + {d:#x}]"),
        }
    }
}

/// A register or a memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegMem {
    Reg(Reg),
    Mem(Amode),
}

impl RegMem {
    pub fn visit<V: OperandVisitor>(&mut self, class: RegClass, visitor: &mut V) {
        match self {
            RegMem::Reg(reg) => visitor.use_reg(reg, class),
            RegMem::Mem(amode) => amode.visit(visitor),
        }
    }
}

impl std::fmt::Display for RegMem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RegMem::Reg(reg) => reg.fmt(f),
            RegMem::Mem(amode) => amode.fmt(f),
        }
    }
}

/// Sees every register operand of an instruction, in a fixed order.
pub trait OperandVisitor {
    fn use_reg(&mut self, reg: &mut Reg, class: RegClass);
    fn use_fixed(&mut self, reg: &mut Reg, class: RegClass, hw: u8);
    fn def(&mut self, reg: &mut Reg, class: RegClass);
    /// Written while uses are still read.
    fn early_def(&mut self, reg: &mut Reg, class: RegClass);
    fn def_fixed(&mut self, reg: &mut Reg, class: RegClass, hw: u8);
    /// `dst` is a definition in the register of the use `src`.
    fn tied_def(&mut self, dst: &mut Reg, src: &mut Reg, class: RegClass);
    fn tied_fixed(&mut self, dst: &mut Reg, src: &mut Reg, class: RegClass, hw: u8);
    fn clobber(&mut self, class: RegClass, hw: u8);
}

/// CPU features beyond x86-64-v2 that rules may require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Feature {
    Lzcnt = 1,
    Bmi1 = 2,
    Bmi2 = 4,
    Avx = 8,
    Avx2 = 16,
    Fma = 32,
    Movbe = 64,
}

/// A set of [`Feature`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuFeatures(pub u32);

impl CpuFeatures {
    pub const V2: CpuFeatures = CpuFeatures(0);
    pub const V3: CpuFeatures = CpuFeatures(127);

    pub fn has(self, feature: Feature) -> bool {
        self.0 & feature as u32 != 0
    }

    pub fn with(self, feature: Feature) -> CpuFeatures {
        CpuFeatures(self.0 | feature as u32)
    }

    pub fn union(self, other: CpuFeatures) -> CpuFeatures {
        CpuFeatures(self.0 | other.0)
    }
}
