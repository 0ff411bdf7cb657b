// The types of the table of instruction forms: the generator's, which fills it, and word for word the sandbox checker's.

/// Where an operand is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// ModRM.reg
    Reg,
    /// ModRM.rm, or the lowest bits of the opcode.
    Rm,
    /// VEX.vvvv
    Vvvv,
    /// Nowhere: it is cl.
    Cl,
    Immediate,
}

/// One encoded operand: what may stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    pub place: Place,
    /// Bytes of the register or of the memory accessed.
    pub width: u8,
    pub kind: u16,
}

impl Operand {
    pub const REGISTER: u16 = 1;
    /// rsp, moved by a constant.
    pub const STACK: u16 = 2;
    pub const MEMORY: u16 = 4;
    /// The register is a vector register.
    pub const VECTOR: u16 = 32;
    /// An address that is not accessed.
    pub const ADDRESS: u16 = 16;
    pub const IMMEDIATE: u16 = 8;
    /// A branch's target.
    pub const LABEL: u16 = 64;
    pub const READ: u16 = 128;
    pub const WRITTEN: u16 = 256;

    pub fn is(&self, kind: u16) -> bool {
        self.kind & kind != 0
    }
}

/// What the result of operand 0 is made of. Numbers are operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// No general register or memory is assigned through an operand.
    Nothing,
    Unknown,
    /// The operand, zero-extended if it is narrower.
    Copy(u8),
    SignExtend(u8),
    Add(u8, u8),
    And(u8, u8),
    Or(u8, u8),
    Xor(u8, u8),
    ShiftLeft(u8, u8),
    ShiftRight(u8, u8),
    /// The first if the condition holds, else the second.
    Select(u8, u8),
    Zero,
    /// The address of operand 1.
    Address,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagsEffect {
    Kept,
    Undefined,
    /// As by subtracting the second operand from the first.
    Compare(u8, u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    Next,
    Jump,
    JumpIf,
    JumpRegister,
    Call,
    CallMemory,
    Return,
    Trap,
}

/// An exact instruction form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// In their encoded order; those behind `count` say nothing.
    pub operands: [Operand; 4],
    pub count: u8,
    pub effect: Effect,
    /// Operand 0 gets operand 1, eight bytes, and that is all.
    pub moves: bool,
    pub flags: FlagsEffect,
    pub transfer: Transfer,
    /// Hardware number of the condition, or 255.
    pub condition: u8,
    /// General registers written without being encoded, whole and (zero-extended) by their lower halves.
    pub implicit: u16,
    pub implicit32: u16,
    /// Bit of the CPU feature needed.
    pub feature: u32,
    /// Operands 0 and 1 must be the same register.
    pub same: bool,
    /// Bits of the numbers that an immediate may be; 0 for any.
    pub literals: u16,
    /// Number of the operand that is accessed if it is memory, or 255.
    pub memory: u8,
    /// Whether a register may stand in `Place::Rm`, or nothing does; whether memory may.
    pub modes: [bool; 2],
    /// The bits of the immediate that count once it is sign-extended.
    pub mask: u64,
    /// Bits of REX that may extend registers, if there is no memory: 4 for ModRM.reg, 1 for `Place::Rm`.
    pub extends: u8,
    /// Bits of the places (1 << place) with registers; with general ones; with 8-bit ones.
    pub registers: u8,
    pub general: u8,
    pub bytes: u8,
    /// Bits of the places where rsp may stand, and where nothing else may.
    pub stack: u8,
    pub only_stack: u8,
    /// Not any registers and immediate will do.
    pub particular: bool,
}

/// What an opcode's entry in the table says: the form's number plus one; 32768 times the bytes of the immediate; bit 31, whether
/// there is a ModRM byte (else the opcode's lowest bits are the register in `Place::Rm`). Or bit 30, and the number of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coded(pub u32);

impl Coded {
    pub const GROUP: u32 = 1 << 30;

    pub const fn new(number: u32, modrm: bool, immediate: u8) -> Coded {
        Coded((modrm as u32) << 31 | (immediate as u32) << 15 | number)
    }

    pub const fn modrm(self) -> bool {
        self.0 >> 31 != 0
    }

    pub const fn immediate(self) -> usize {
        (self.0 >> 15 & 15) as usize
    }

    pub const fn number(self) -> usize {
        self.0 as usize & 0x7fff
    }
}

/// Number of an opcode in the table: of VEX or legacy, its map (0 to 3 for one byte, 0F, 0F38, 0F3A), the prefix that belongs
/// to it (0 to 3 for none, 66, F3, F2), REX.W or VEX.W.
pub const fn opcode_number(vex: bool, map: u8, prefix: u8, wide: bool, opcode: u8) -> usize {
    (vex as usize) << 13 | (map as usize & 3) << 11 | (prefix as usize & 3) << 9 | (wide as usize) << 8 | opcode as usize
}
