//! Checks what `ir` guarantees of a finished function; for tests and debugging.
