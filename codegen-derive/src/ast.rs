//! The tree of a specification: what the parser builds, the checker types, and every printer reads.
//!
//! One [`Spec`] holds all items of all files. Names are plain strings; after `check` every name resolves,
//! every [`Expr`] carries its type, and emitters may index by name without further checks.

/// A byte range in one file of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Span {
    pub file: u32,
    pub start: u32,
    pub end: u32,
}

/// A name with the place it stands.
#[derive(Clone, Debug)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// Type of an expression. `Bits(32)` is written `i32`, as in Wasm; no type converts silently.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Bool,
    Bits(u16),
    F32,
    F64,
    /// The flags register as a whole (result of `flags_add32` and its like).
    Flags,
    /// A condition code.
    Cond,
    Tuple(Vec<Type>),
    /// Sorts of machine operands that a `form` produces.
    Addr,
    RegMem(u16),
    XmmMem(u16),
    /// Not yet known (before checking).
    Unknown,
}

/// What an expression may be.
#[derive(Clone, Debug)]
pub struct Expr {
    pub kind: ExprKind,
    pub ty: Type,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum ExprKind {
    /// An integer literal; its width comes from the context.
    Int(i128),
    Bool(bool),
    /// A parameter, a `let`, an immediate, a `const` item.
    Var(String),
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    /// `if c then a else b`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Built-in or user function: `sext64(x)`, `fits_simm32(c)`.
    Call(Name, Vec<Expr>),
    /// `x[hi:lo]`
    Slice(Box<Expr>, u16, u16),
    Tuple(Vec<Expr>),
    /// `let x = e in body` (only in `fn`).
    Let(Name, Box<Expr>, Box<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Not,    // !b
    BitNot, // ~x
    Neg,    // -x
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    BitAnd,
    BitOr,
    BitXor,
    Eq,
    Ne,
    And, // &&
    Or,  // ||
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: Name,
    pub ty: Type,
}

/// `op i32.add(a: i32, b: i32; imm: i32) -> i32 commutative { … }`
#[derive(Clone, Debug)]
pub struct Op {
    pub name: Name,
    pub params: Vec<Param>,
    /// At most two; the first has 64 bits of room in the IR, the second 32.
    pub immediates: Vec<Param>,
    pub results: Vec<Type>,
    pub commutative: bool,
    /// Declared `control` (terminators; the body says at most when to branch) or `call` (body empty): lowered by the compiler's
    /// own frame code through `inst`s.
    pub kind: OpKind,
    /// Size for the termination measure of `simplify` (default 10; constants 1).
    pub weight: u32,
    pub body: Vec<OpStmt>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    Ordinary,
    Control,
    Call,
}

/// Region of storage an effect touches (alias classes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Region {
    /// Linear memory: an access may trap `out_of_bounds_memory_access`.
    Memory,
    /// A field that never changes while guest code runs: reading it is pure.
    Constant,
    /// Mutable globals, own or imported.
    Global,
    /// Table slots and table lengths.
    Table,
    /// The size of a memory.
    Size,
}

#[derive(Clone, Debug)]
pub enum OpStmt {
    /// `let x = e`
    Let(Name, Expr),
    /// `trap CODE when e`
    Trap(Name, Expr),
    /// `read REGION x: T at e`
    Read { region: Region, name: Name, ty: Type, address: Expr, span: Span },
    /// `write REGION e at e`
    Write { region: Region, value: Expr, address: Expr, span: Span },
    /// `result = e` (a tuple for several results)
    Result(Expr),
    /// `branch when e`: the first target is taken when e holds (control operators)
    Branch(Expr),
}

/// `fn fits_simm32(x: i64) -> bool = sext64(x[31:0]) == x`
#[derive(Clone, Debug)]
pub struct Function {
    pub name: Name,
    pub params: Vec<Param>,
    pub result: Type,
    pub body: Expr,
    pub span: Span,
}

/// `inst add32(dst: inout r32, src: rm32) encodes Add_r32_rm32(dst, src) when cpu.bmi1 { … }`
#[derive(Clone, Debug)]
pub struct Inst {
    pub name: Name,
    pub operands: Vec<Operand>,
    /// iced-x86 `Code` name; `{cc}` in it stands for the condition-code operand's suffix (`Set{cc}_rm8`).
    pub code: Name,
    /// The form to take when the immediate fits 8 signed bits.
    pub short: Option<Name>,
    /// Operand names in the order of the encoded form. Fixed registers may be named too (`Shl_rm32_CL(dst, count)`).
    /// An integer literal encodes a constant immediate (`VEX_Vcmpsd_xmm_xmm_xmmm64_imm8(dst, a, b, 3)`).
    pub encoded: Vec<EncodedOperand>,
    pub feature: Option<Name>,
    pub body: Vec<InstStmt>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum EncodedOperand {
    Operand(Name),
    Literal(i64, Span),
}

#[derive(Clone, Debug)]
pub struct Operand {
    pub name: Name,
    pub mode: Mode,
    pub kind: OperandKind,
    /// `in rcx`
    pub fixed: Option<Name>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Use,
    Out,
    EarlyOut,
    InOut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperandKind {
    /// r8 r16 r32 r64
    Reg(u16),
    /// rm8 … rm64: general register or memory
    RegMem(u16),
    /// m8 … m64: memory only, of that access width
    Mem(u16),
    /// xmm32 xmm64 xmm128: vector register holding a value of that width
    Xmm(u16),
    /// xm32 xm64 xm128
    XmmMem(u16),
    /// an address that is not accessed (lea)
    Addr,
    /// simm8 simm32 (sign-extended by the instruction), uimm8, imm32 (no extension), imm64
    SImm(u16),
    UImm(u16),
    Cc,
    /// branch target; resolved at emission
    Label,
}

#[derive(Clone, Debug)]
pub enum InstStmt {
    Let(Name, Expr),
    /// `dst = e`, `m = e`: target is an operand name
    Assign(Name, Expr),
    /// `flags = e`
    Flags(Expr),
    /// `flags undefined`
    FlagsUndefined(Span),
    /// `fault divide_error when e`
    Fault(Name, Expr),
    /// `requires e`: the effect is described for operands that satisfy this only; every use is proved to
    Requires(Expr),
    /// `undefined dst when e`: all 64 bits of the register may be anything then
    Undefined(Name, Expr),
    /// `clobbers rdx`
    Clobber(Name),
    /// `jump target when e`, `jump target`
    Jump(Name, Option<Expr>),
    /// `trap` (ud2), `call target`, `return`
    Transfer(Name, Span),
}

/// One of: the `lower` or `simplify` rules of an operator, or a `form`.
#[derive(Clone, Debug)]
pub struct RuleBlock {
    pub kind: BlockKind,
    /// Operator name, or the form's name.
    pub name: Name,
    /// Forms only.
    pub params: Vec<Param>,
    pub immediates: Vec<Param>,
    pub result: Type,
    pub ensures: Option<Expr>,
    pub rules: Vec<Rule>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Lower,
    Simplify,
    Form,
}

/// `rule NAME (pattern, pattern; immediate) if e prefer e when cpu.bmi2 => right`
#[derive(Clone, Debug)]
pub struct Rule {
    pub name: Name,
    /// One for each operand of the operator (or parameter of the form).
    pub patterns: Vec<Pattern>,
    /// One for each immediate.
    pub immediates: Vec<ImmPattern>,
    pub conditions: Vec<Expr>,
    pub preferences: Vec<Expr>,
    pub features: Vec<Name>,
    pub right: Right,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Pattern {
    /// Binds the value (or, for a form's immediate parameter, the number).
    Var(Name),
    /// `_`
    Any(Span),
    /// `const c`: the value is a constant of the operand's type
    Const(Name),
    /// `const 0`
    Literal(i128, Span),
    /// `=x`: the value of a name bound before
    Same(Name),
    /// `(i32.load once b p; k)`; `x@(i32.and y z)` binds its value too
    Op { op: Name, alias: Option<Name>, once: bool, args: Vec<Pattern>, immediates: Vec<ImmPattern>, span: Span },
}

#[derive(Clone, Debug)]
pub enum ImmPattern {
    Var(Name),
    Any(Span),
    Literal(i128, Span),
}

/// Right-hand sides. In a `simplify` rule `Apply` names an operator, in `lower` and `form` an instruction or a form.
#[derive(Clone, Debug)]
pub enum Right {
    /// A bound value, unchanged.
    Var(Name),
    /// `add32 x, rm32(y)`; in simplify `i32.shl x, (i32.const; ctz(c))`.
    Apply { name: Name, args: Vec<Arg>, span: Span },
    /// `seq { … }`
    Seq { steps: Vec<Step>, span: Span },
    /// An address literal (forms of sort addr).
    Addr(AddrLit),
    /// `mem32 addr(b, p, k)` (forms of sort rm32 …)
    Mem { width: u16, address: Box<Arg>, span: Span },
    /// Simplify only: `const e`: a constant of the operator's result type.
    Const(Expr),
}

#[derive(Clone, Debug)]
pub enum Arg {
    /// A value, temporary, immediate, condition code, compile-time expression, or a form: `rm32(y)`.
    Expr(Expr),
    /// `(add32 x, y)`: a nested instruction (or operator, in simplify) whose result is used here
    Nested(Box<Right>),
    /// `[ … ]`
    Addr(AddrLit),
    /// `mem32 addr(…)`
    Mem { width: u16, address: Box<Arg>, span: Span },
}

impl Right {
    pub fn span(&self) -> Span {
        match self {
            Right::Var(name) => name.span,
            Right::Apply { span, .. } | Right::Seq { span, .. } | Right::Mem { span, .. } => *span,
            Right::Addr(literal) => literal.span,
            Right::Const(expr) => expr.span,
        }
    }
}

impl Arg {
    pub fn span(&self) -> Span {
        match self {
            Arg::Expr(expr) => expr.span,
            Arg::Nested(right) => right.span(),
            Arg::Addr(literal) => literal.span,
            Arg::Mem { span, .. } => *span,
        }
    }
}

/// `[base + index*scale + displacement]`: values in registers and compile-time 32-bit terms, each with its scale.
/// Roles `mem0` and `instance` may stand as base. An i32 value is written `zext64(p)`: its register is used as it is,
/// because an i32 in a register is zero-extended.
#[derive(Clone, Debug)]
pub struct AddrLit {
    pub parts: Vec<(Expr, u8)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// `let t = RIGHT` or `let (t, u) = RIGHT`
    Let(Vec<Name>, Right),
    /// an instruction for its effect
    Do(Right),
    /// `trap CODE if CC`
    TrapIf { code: Name, cond: Arg, span: Span },
    /// `branch CC`, `branch CC and CC`, `branch CC or CC` (lower br_if only): taken when the condition holds
    Branch { first: Arg, second: Option<(BranchJoin, Arg)>, span: Span },
    /// last step: the value(s) of the sequence, an address or a condition code
    Yield(Arg, Span),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BranchJoin {
    And,
    Or,
}

// ---- spec/sandbox.rules -------------------------------------------------------------------------

#[derive(Clone, Debug)]
pub struct Constant {
    pub name: Name,
    pub value: i128,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Role {
    pub name: Name,
    pub register: Name,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Host,
    Readable,
    Writable,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub access: Access,
    pub name: Name,
    pub count: Option<Name>,
    /// i32, i64, or the name of a record
    pub ty: Name,
    /// `holds table`: the fact that a load of the whole element gives; its number is the fact's.
    pub holds: Option<Name>,
    pub span: Span,
}

/// `layout instance { … }` (fields downwards from r15) and `record slot { … }` (fields upwards from 0).
#[derive(Clone, Debug)]
pub struct Layout {
    pub name: Name,
    pub descending: bool,
    pub fields: Vec<Field>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Gate {
    pub name: Name,
    pub params: Vec<Param>,
    pub results: Vec<Type>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub struct Trap {
    pub name: Name,
    pub number: u8,
    pub message: String,
    pub span: Span,
}

/// `reject frame "…"`: a reason to reject code.
#[derive(Clone, Debug)]
pub struct Words {
    pub name: Name,
    pub words: String,
    pub span: Span,
}

/// `fact max(bound: i64) at most bound "…" means le_u(value, bound)`: what the checker may know of a 64-bit value.
#[derive(Clone, Debug)]
pub struct Fact {
    pub name: Name,
    pub params: Vec<Param>,
    /// An unsigned bound of the value.
    pub most: Option<Expr>,
    pub words: String,
    /// Over the parameters and `value`.
    pub means: Expr,
    pub span: Span,
}

/// `state table_length(table: i32) -> i64 with …`: a number that is the same all through a guest's run as far as facts go,
/// and what is promised of it, under its own name. `known least_length(table: i32) -> i64`: one that the checker knows.
#[derive(Clone, Debug)]
pub struct State {
    pub name: Name,
    pub params: Vec<Param>,
    pub result: Type,
    pub known: bool,
    pub with: Option<Expr>,
    pub span: Span,
}

/// `region slots(table: i32) = start, size readable`: bytes that guest code may touch.
#[derive(Clone, Debug)]
pub struct Extent {
    pub name: Name,
    pub params: Vec<Param>,
    pub start: Expr,
    pub size: Expr,
    pub writable: bool,
    /// Writable only if this holds.
    pub when: Option<Expr>,
    pub holds: Option<Name>,
    pub span: Span,
}

/// What the rows of a table of facts say.
#[derive(Clone, Debug)]
pub enum Judged {
    /// `derive add(a, b) = a + b`: a fact about the value of the expressions, made from facts about the operands.
    Derive(Expr),
    /// `refine below(a, b) given lt_u(a, b)`: a further fact about the first, if the condition holds.
    Refine(Expr),
    /// `imply implies(a, b)`: the first fact implies the second, of the same value.
    Imply,
    /// `join either(a, b)`: a fact about a value of which one of the two holds.
    Join,
    /// `access plain(a; d: i64, w: i64) at a + d, w`: the region that this many bytes at this address lie in.
    Access(Expr, Expr),
}

/// A table of facts: the first row whose patterns and premises fit is taken.
#[derive(Clone, Debug)]
pub struct Judgement {
    pub name: Name,
    pub judged: Judged,
    /// Names of the values that facts are known of.
    pub values: Vec<Name>,
    pub numbers: Vec<Param>,
    /// Two values may be exchanged.
    pub commutative: bool,
    pub rows: Vec<Row>,
    pub span: Span,
}

/// `case memory(m, x), bounded(y) if … prefer … => memory(m, x + y)`
#[derive(Clone, Debug)]
pub struct Row {
    pub patterns: Vec<FactPattern>,
    pub conditions: Vec<Expr>,
    /// Premises that the row is right without.
    pub preferences: Vec<Expr>,
    /// A fact or region with its numbers, or the name of a pattern; none for `imply`.
    pub result: Option<(Name, Vec<Expr>)>,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub enum FactPattern {
    /// `_`
    Any(Span),
    /// `bounded(x)`, `f@bounded(x)`: any fact, and its bound
    Bounded { alias: Option<Name>, bound: Name },
    /// `memory(m, x)`, `memory(=m, 0)`
    Fact { name: Name, args: Vec<FactArg>, span: Span },
}

#[derive(Clone, Debug)]
pub enum FactArg {
    Any(Span),
    Var(Name),
    Same(Name),
    Literal(i128, Span),
}

/// `convention guest { integer parameters rdi, … }`
#[derive(Clone, Debug)]
pub struct Convention {
    pub name: Name,
    /// (words before the list, the registers): (["integer", "parameters"], ["rdi", …])
    pub rows: Vec<(Vec<String>, Vec<Name>)>,
    pub span: Span,
}

#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Path and text of each file, indexed by `Span::file`.
    pub files: Vec<(String, String)>,
    pub ops: Vec<Op>,
    pub functions: Vec<Function>,
    pub insts: Vec<Inst>,
    /// Instructions that the compiler's frame code (calls, branches, prologues, moves) uses.
    pub frame: Vec<Name>,
    pub blocks: Vec<RuleBlock>,
    pub constants: Vec<Constant>,
    pub roles: Vec<Role>,
    pub layouts: Vec<Layout>,
    pub gates: Vec<Gate>,
    pub traps: Vec<Trap>,
    pub conventions: Vec<Convention>,
    pub facts: Vec<Fact>,
    pub states: Vec<State>,
    pub extents: Vec<Extent>,
    pub judgements: Vec<Judgement>,
    pub rejections: Vec<Words>,
}
