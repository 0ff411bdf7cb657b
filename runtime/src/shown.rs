//! Names from a module, as they may be shown to people: no line, no terminal sequence, no turned-round text comes out of them.

use alloc::string::String;

/// Most characters of a name that are shown.
const MOST: usize = 200;

/// A name with what is not printable escaped, cut when it is long.
pub fn shown(name: &str) -> String {
    let mut rest = name.chars();
    let mut text = escaped(rest.by_ref().take(MOST));
    if rest.next().is_some() {
        text.push('…');
    }
    text
}

/// All of a name: of what somebody is to judge by, nothing may be left out.
pub fn shown_whole(name: &str) -> String {
    escaped(name.chars())
}

fn escaped(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::new();
    for character in characters {
        match character {
            '"' | '\'' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    text
}
