//! Far thunks: the code that carries a call from one instance to another (`spec/sandbox.rules` §6), as the checker has it.

use super::{CompiledFunction, Site};
use crate::error::{CompileError, ErrorKind, Result};
use crate::lower::convention::Convention;
use vwasm_checker::thunk::thunk;

/// The far thunk of a signature.
pub fn far_thunk(convention: &Convention) -> Result<CompiledFunction> {
    let (parameters, results) = (convention.parameter_words, convention.result_words);
    let Some(thunk) = thunk(parameters as usize, results as usize) else {
        let message = format!("a function type with {} words of parameters and results on the stack", parameters + results);
        return Err(CompileError::new(ErrorKind::Limit, message));
    };
    let sites = vec![Site { offset: thunk.returns_to, code: 0, wasm_offset: u32::MAX }];
    Ok(CompiledFunction { code: thunk.code, sites, frame_size: thunk.frame, ..CompiledFunction::default() })
}
