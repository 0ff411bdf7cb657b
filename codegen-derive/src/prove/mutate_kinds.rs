//! The kinds of ways to break a rule: their names in the lock, and what a rule must have to be broken so.

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Two operands exchanged.
    Swapped,
    /// An operand replaced by another value.
    Operand,
    Instruction,
    Width,
    Signedness,
    Condition,
    Constant,
    Scale,
    /// A part of an address left out.
    Address,
    /// A step left out, a check among them.
    Step,
    TrapCode,
    Premise,
    /// A matched operator replaced by its like.
    Matched,
    /// A number, or a value that must be the same as another, is anything.
    Anything,
    /// The rule under another operator.
    Operator,
    /// What the operator means, or one that is matched.
    Meaning,
    /// The promise of a form, the rule's own or one that it uses.
    Promise,
    /// The description of an instruction.
    Description,
    /// A helper function.
    Function,
}

impl Change {
    pub const ALL: [Change; 19] = [
        Change::Swapped,
        Change::Operand,
        Change::Instruction,
        Change::Width,
        Change::Signedness,
        Change::Condition,
        Change::Constant,
        Change::Scale,
        Change::Address,
        Change::Step,
        Change::TrapCode,
        Change::Premise,
        Change::Matched,
        Change::Anything,
        Change::Operator,
        Change::Meaning,
        Change::Promise,
        Change::Description,
        Change::Function,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Change::Swapped => "swapped",
            Change::Operand => "operand",
            Change::Instruction => "instruction",
            Change::Width => "width",
            Change::Signedness => "signedness",
            Change::Condition => "condition",
            Change::Constant => "constant",
            Change::Scale => "scale",
            Change::Address => "address",
            Change::Step => "step",
            Change::TrapCode => "trap-code",
            Change::Premise => "premise",
            Change::Matched => "matched",
            Change::Anything => "anything",
            Change::Operator => "operator",
            Change::Meaning => "meaning",
            Change::Promise => "promise",
            Change::Description => "description",
            Change::Function => "function",
        }
    }

    /// What a rule must have to be broken in this way.
    pub fn needs(self) -> &'static str {
        match self {
            Change::Swapped => "two operands of one type",
            Change::Operand => "an operand, and another value of its type",
            Change::Instruction => "an instruction or operator with another of its operands and results",
            Change::Width => "an instruction of another width, or memory as an operand",
            Change::Signedness => "a signed or unsigned operation with a twin",
            Change::Condition => "a condition code",
            Change::Constant => "a number",
            Change::Scale | Change::Address => "an address made of parts",
            Change::Step => "a step without a result, or an operand that could be the result",
            Change::TrapCode => "a trap",
            Change::Premise => "a premise",
            Change::Matched => "a matched operator with its like",
            Change::Anything => "a number on the left side, or a value met twice",
            Change::Operator => "an operator with another of its operands and results",
            Change::Meaning => "an operator whose meaning is an expression",
            Change::Promise => "a form's promise",
            Change::Description => "an instruction whose effect is an expression",
            Change::Function => "a helper function",
        }
    }
}
