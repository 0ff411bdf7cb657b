//! Names from a module, as they may be shown to people: no line, no terminal sequence, no turned-round text comes out of them.

use alloc::string::String;

/// Most characters of a name that are shown.
const MOST: usize = 200;

/// A name with what is not printable escaped, cut when it is long.
pub fn shown(name: &str) -> String {
    let mut text = String::new();
    for (number, character) in name.chars().enumerate() {
        if number == MOST {
            text.push('…');
            break;
        }
        match character {
            '"' | '\'' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    text
}
