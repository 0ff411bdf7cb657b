//! `VWASM_TRACE=wasi`: every call, its arguments and its outcome, one line on standard error.

use super::abi::{Errno, Failure, Memory, Result};
use crate::sys;
use alloc::format;
use alloc::string::String;

/// Longest string shown in full.
const SHOWN: u64 = 256;

/// Names of the error numbers, in order.
const ERRORS: &str = "success 2big acces addrinuse addrnotavail afnosupport again already badf badmsg busy canceled child \
connaborted connrefused connreset deadlk destaddrreq dom dquot exist fault fbig hostunreach idrm ilseq inprogress intr inval io \
isconn isdir loop mfile mlink msgsize multihop nametoolong netdown netreset netunreach nfile nobufs nodev noent noexec nolck \
nolink nomem nomsg noprotoopt nospc nosys notconn notdir notempty notrecoverable notsock notsup notty nxio overflow ownerdead \
perm pipe proto protonosupport prototype range rofs spipe srch stale timedout txtbsy xdev notcapable";

/// The call with its arguments, as they are before it.
pub(super) fn begin(name: &str, params: &str, args: &[u64], memory: &Memory) -> String {
    let mut line = format!("wasi {name}(");
    let mut args = args.iter().copied();
    for (n, letter) in params.bytes().enumerate() {
        if n > 0 {
            line.push_str(", ");
        }
        let value = args.next().unwrap_or(0);
        match letter {
            b'I' => line.push_str(&format!("{}", value as i64)),
            b'p' => line.push_str(&format!("{value:#x}")),
            b's' => {
                let length = args.next().unwrap_or(0);
                match memory.bytes(value, length.min(SHOWN)) {
                    Ok(bytes) => line.push_str(&format!("{:?}", String::from_utf8_lossy(bytes))),
                    Err(_) => line.push_str(&format!("{value:#x} + {length}")),
                }
                if length > SHOWN {
                    line.push('…');
                }
            }
            _ => line.push_str(&format!("{}", value as i32)),
        }
    }
    line.push(')');
    line
}

pub(super) fn end(mut line: String, outcome: &Result<()>) {
    let outcome = match *outcome {
        Ok(()) => "success",
        Err(Failure::Errno(Errno(number))) => ERRORS.split(' ').nth(usize::from(number)).unwrap_or("?"),
        Err(Failure::Trap(reason)) => reason,
        Err(Failure::Timeout) => "timeout",
    };
    line.push_str(&format!(" = {outcome}\n"));
    sys::write_all(2, line.as_bytes());
}

pub(super) fn exit(status: u64) {
    sys::write_all(2, format!("wasi proc_exit({})\n", status as i32).as_bytes());
}
