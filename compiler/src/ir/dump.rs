//! Text of a function, one line per instruction.
