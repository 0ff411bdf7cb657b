//! Random operands for sample instructions.
//!
//! Registers of every number but rsp (which only stands in addresses), addresses of every shape, immediates at their edges.

use crate::model::Source;
use crate::random::Random;
use crate::values::integers;
use vwasm::machine::{Amode, Base, Cc, Label, Reg};

const CONDITIONS: [Cc; 16] =
    [Cc::O, Cc::NO, Cc::B, Cc::AE, Cc::E, Cc::NE, Cc::BE, Cc::A, Cc::S, Cc::NS, Cc::P, Cc::NP, Cc::L, Cc::GE, Cc::LE, Cc::G];

const RSP: u8 = 4;

/// Chooses operands.
pub struct Operands<'a> {
    pub random: &'a mut Random,
    /// Where branches go.
    pub label: u64,
    /// The memory operand chosen, and its bytes.
    pub access: Option<(Amode, u32)>,
}

impl Operands<'_> {
    /// An index is any register but rsp, and not the base, so that the base can be set to make the address.
    fn index(&mut self, base: u8) -> (Reg, u8) {
        let hw = self.random.below(16) as u8;
        if hw == RSP || hw == base || self.random.below(2) == 0 {
            return (Reg::NONE, 1);
        }
        (Reg::gpr(hw), 1 << self.random.below(4))
    }

    fn displacement(&mut self) -> i32 {
        match self.random.below(3) {
            0 => 0,
            1 => self.random.next() as i8 as i32,
            _ => self.random.bits(32) as u32 as i32,
        }
    }
}

impl Source for Operands<'_> {
    fn gpr(&mut self) -> Reg {
        loop {
            let hw = self.random.below(16) as u8;
            if hw != RSP {
                return Reg::gpr(hw);
            }
        }
    }

    fn xmm(&mut self) -> Reg {
        Reg::xmm(self.random.below(16) as u8)
    }

    fn memory(&mut self, bytes: u32) -> Option<Amode> {
        (self.random.below(2) == 0).then(|| self.access(bytes))
    }

    fn access(&mut self, bytes: u32) -> Amode {
        let (base, hw) = match self.random.below(8) {
            0 => (Base::Mem0, 15),
            1 => (Base::Stack, RSP),
            _ => {
                let reg = self.gpr();
                (Base::Reg(reg), reg.hw())
            }
        };
        let (index, scale) = self.index(hw);
        let amode = Amode { index, scale, ..Amode::new(base, self.displacement()) };
        self.access = Some((amode, bytes));
        amode
    }

    fn address(&mut self) -> Amode {
        let mut amode = self.access(8);
        self.access = None;
        if !amode.index.is_none() && self.random.below(4) == 0 {
            amode.base = Base::None;
        }
        amode
    }

    fn immediate(&mut self, width: u32) -> u64 {
        let value = match self.random.below(4) {
            0 => self.random.next() as i8 as i64 as u64,
            1 => self.random.pick(&integers(width)),
            _ => self.random.bits(width),
        };
        if width < 64 { value & ((1 << width) - 1) } else { value }
    }

    fn condition(&mut self) -> Cc {
        self.random.pick(&CONDITIONS)
    }

    fn label(&mut self) -> Label {
        Label(self.label)
    }
}
