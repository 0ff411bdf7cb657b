//! Syntax errors in plain words.

use super::{Reader, Rule};
use crate::ast::Span;
use crate::diagnostic::Diagnostic;
use pest::error::{Error, ErrorVariant, InputLocation};

/// What items start with.
const ITEMS: &[&str] = &[
    "op",
    "fn",
    "inst",
    "frame",
    "lower",
    "simplify",
    "form",
    "const",
    "role",
    "layout",
    "record",
    "gate",
    "trap",
    "convention",
    "fact",
    "state",
    "known",
    "region",
    "derive",
    "refine",
    "imply",
    "join",
    "access",
    "reject",
];

/// Words that cannot be names: `keyword` in the grammar.
const KEYWORDS: &[&str] = &[
    "rule", "if", "then", "else", "prefer", "when", "let", "in", "trap", "read", "write", "result", "seq", "branch",
    "yield", "const", "once", "and", "or", "true", "false", "fault", "clobbers", "jump",
];

/// Where the next line begins that starts an item, at or after a place.
pub fn next_item(text: &str, from: usize) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let word = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or("");
        if start >= from && ITEMS.contains(&word) {
            return Some(start);
        }
        start += line.len();
    }
    None
}

/// Punctuation and keywords, as written; None for what has a meaning of its own in the tree.
pub fn token(matched: Rule) -> Option<&'static str> {
    Some(match matched {
        Rule::t_open => "`(`",
        Rule::t_close => "`)`",
        Rule::t_open_brace => "`{`",
        Rule::t_close_brace => "`}`",
        Rule::t_open_bracket => "`[`",
        Rule::t_close_bracket => "`]`",
        Rule::t_comma => "`,`",
        Rule::t_semicolon => "`;`",
        Rule::t_colon => "`:`",
        Rule::t_equals => "`=`",
        Rule::t_at => "`@`",
        Rule::t_arrow => "`->`",
        Rule::t_implies => "`=>`",
        Rule::t_plus => "`+`",
        Rule::t_times | Rule::t_or_or | Rule::t_and_and | Rule::t_bar | Rule::t_caret | Rule::t_ampersand => OPERATOR,
        Rule::k_if => "`if`",
        Rule::k_then => "`then`",
        Rule::k_else => "`else`",
        Rule::k_let => "`let`",
        Rule::k_in => "`in`",
        Rule::k_when => "`when`",
        Rule::k_at => "`at`",
        Rule::k_prefer => "`prefer`",
        Rule::k_const => "`const`",
        Rule::k_trap => "`trap`",
        Rule::k_encodes => "`encodes`",
        Rule::k_op => "`op`",
        Rule::k_weight => "`weight`",
        Rule::k_read => "`read`",
        Rule::k_write => "`write`",
        Rule::k_result => "`result`",
        Rule::k_fn => "`fn`",
        Rule::k_inst => "`inst`",
        Rule::k_short => "`short`",
        Rule::k_fault => "`fault`",
        Rule::k_clobbers => "`clobbers`",
        Rule::k_requires => "`requires`",
        Rule::k_flags => "`flags`",
        Rule::k_undefined => "`undefined`",
        Rule::k_jump => "`jump`",
        Rule::k_call => "`call`",
        Rule::k_return => "`return`",
        Rule::k_frame => "`frame`",
        Rule::k_lower => "`lower`",
        Rule::k_simplify => "`simplify`",
        Rule::k_form => "`form`",
        Rule::k_ensures => "`ensures`",
        Rule::k_rule => "`rule`",
        Rule::k_seq => "`seq`",
        Rule::k_branch => "`branch`",
        Rule::k_yield => "`yield`",
        Rule::k_role => "`role`",
        Rule::k_layout => "`layout`",
        Rule::k_record => "`record`",
        Rule::k_gate => "`gate`",
        Rule::k_convention => "`convention`",
        Rule::k_fact => "`fact`",
        Rule::k_most => "`most`",
        Rule::k_means => "`means`",
        Rule::k_state => "`state`",
        Rule::k_with => "`with`",
        Rule::k_known => "`known`",
        Rule::k_region => "`region`",
        Rule::k_given => "`given`",
        Rule::k_case => "`case`",
        Rule::k_holds => "`holds`",
        Rule::k_reject => "`reject`",
        _ => return None,
    })
}

const OPERATOR: &str = "an operator";
const ITEM: &str = "an item";
const NAME: &str = "a name";

/// What a grammar rule is called in an error message: the alternatives as written, or a name for a kind of thing.
fn plain(wanted: Rule) -> &'static [&'static str] {
    match wanted {
        Rule::EOI => &["the end of the file"],
        Rule::file
        | Rule::op
        | Rule::function
        | Rule::inst
        | Rule::frame
        | Rule::lower
        | Rule::simplify
        | Rule::form
        | Rule::constant
        | Rule::role
        | Rule::layout
        | Rule::record
        | Rule::gate
        | Rule::trap_item
        | Rule::convention
        | Rule::fact_item
        | Rule::state_item
        | Rule::known_item
        | Rule::extent
        | Rule::judgement
        | Rule::reject => &[ITEM],
        Rule::expr
        | Rule::or_expr
        | Rule::and_expr
        | Rule::eq_expr
        | Rule::bit_or
        | Rule::bit_xor
        | Rule::bit_and
        | Rule::sum
        | Rule::product
        | Rule::unary
        | Rule::postfix
        | Rule::primary
        | Rule::call
        | Rule::tuple
        | Rule::cond_expr
        | Rule::let_expr
        | Rule::boolean
        | Rule::cc => &["an expression"],
        Rule::unary_op | Rule::sum_op | Rule::eq_op | Rule::slice => &[OPERATOR],
        Rule::integer => &["an integer"],
        Rule::ident | Rule::path | Rule::binder => &[NAME],
        Rule::type_name => &["a type"],
        Rule::param | Rule::params => &["a parameter"],
        Rule::signature => &["`(`"],
        Rule::arrow => &["`->`"],
        Rule::op_word | Rule::marker => &["`commutative`", "`control`", "`call`", "`weight`"],
        Rule::weight => &["`weight`"],
        Rule::let_stmt | Rule::let_step => &["`let`"],
        Rule::trap_stmt | Rule::trap_step => &["`trap`"],
        Rule::read_stmt => &["`read`"],
        Rule::write_stmt => &["`write`"],
        Rule::result_stmt => &["`result`"],
        Rule::branch_stmt => &["`branch`"],
        Rule::rule => &["`rule`"],
        Rule::condition => &["`if`"],
        Rule::preference => &["`prefer`"],
        Rule::feature => &["`when`"],
        Rule::right | Rule::apply | Rule::mem_right | Rule::do_step => &["an instruction"],
        Rule::const_right => &["`const`"],
        Rule::seq => &["`seq`"],
        Rule::addr => &["`[`"],
        Rule::arg | Rule::nested | Rule::mem_word => &["an operand"],
        Rule::pattern | Rule::any | Rule::const_pat | Rule::same_pat | Rule::named_pat | Rule::op_pat | Rule::patterns => {
            &["a pattern"]
        }
        Rule::imm_pattern | Rule::imm_patterns => &["a name or number for an immediate"],
        Rule::once => &["`once`"],
        Rule::addr_part | Rule::scaled => &["a part of an address"],
        Rule::branch_step => &["`branch`"],
        Rule::yield_step => &["`yield`"],
        Rule::join => &["`and`", "`or`"],
        Rule::operand => &["an operand `name: kind`"],
        Rule::mode => &["`out`", "`inout`", "`early out`"],
        Rule::operand_kind => &["an operand kind such as `r32`"],
        Rule::fixed => &["`in`"],
        Rule::code_name => &["the name of an iced-x86 form"],
        Rule::encoded => &["the name of an operand"],
        Rule::short => &["`short`"],
        Rule::fault => &["`fault`"],
        Rule::requires => &["`requires`"],
        Rule::undefined => &["`undefined`"],
        Rule::clobber => &["`clobbers`"],
        Rule::flags_undefined | Rule::flags_set => &["`flags`"],
        Rule::jump => &["`jump`"],
        Rule::transfer => &["`trap`", "`call`", "`return`"],
        Rule::assign => &["an effect `operand = …`"],
        Rule::ensures => &["`ensures`"],
        Rule::access | Rule::layout_field => &["`host`", "`readable`", "`writable`"],
        Rule::record_field => &["a field `name: type`"],
        Rule::count => &["`[`"],
        Rule::convention_row | Rule::row_words | Rule::row_class => &["`integer`", "`float`", "`callee`"],
        Rule::row_use => &["`parameters`", "`results`", "`slot`"],
        Rule::at_most => &["`at most`"],
        Rule::promise => &["`with`"],
        Rule::condition_when => &["`when`"],
        Rule::holds => &["`holds`"],
        Rule::judged => &["`derive`", "`refine`", "`imply`", "`join`", "`access`"],
        Rule::exchange => &["`commutative`"],
        Rule::subject => &["`=`", "`given`", "`at`"],
        Rule::row => &["`case`"],
        Rule::gives => &["`=>`"],
        Rule::fact_pattern | Rule::fact_patterns | Rule::fact_arg => &["a pattern"],
        Rule::values => &[NAME],
        Rule::string | Rule::text => &["a text in quotes"],
        _ => &[],
    }
}

/// What stands at a place: a word, a sign, a character.
fn token_at(text: &str) -> &str {
    let word = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(text.len());
    if word > 0 {
        return text[..word].trim_end_matches('.').get(..).filter(|word| !word.is_empty()).unwrap_or(".");
    }
    for sign in ["=>", "->", "==", "!=", "&&", "||"] {
        if text.starts_with(sign) {
            return sign;
        }
    }
    &text[..text.chars().next().map_or(0, char::len_utf8)]
}

impl Reader {
    /// An error of the grammar in plain words.
    pub fn syntax_error(&self, text: &str, error: Error<Rule>) -> Diagnostic {
        let start = self.base as usize
            + match error.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
            };
        let start = start.min(text.len());
        let found = token_at(&text[start..]);
        // The end of the file is behind the last thing in it.
        let start = if found.is_empty() { text.trim_end().len() } else { start };
        let span = Span { file: self.file, start: start as u32, end: (start + found.len()) as u32 };
        let positives = match &error.variant {
            ErrorVariant::ParsingError { positives, .. } => positives,
            ErrorVariant::CustomError { .. } => return Diagnostic::new(span, "this is nested too deeply"),
        };
        let mut expected: Vec<&str> = Vec::new();
        for &wanted in positives {
            match token(wanted) {
                Some(name) => expected.push(name),
                None => expected.extend(plain(wanted)),
            }
        }
        // Kinds of things first, then words and signs, `an operator` last.
        expected.sort_by_key(|name| (*name == OPERATOR, name.starts_with('`'), *name));
        expected.dedup();
        if expected.contains(&OPERATOR) {
            expected.retain(|name| *name != "`(`");
        }
        let item = expected.contains(&ITEM);
        let listed = match expected.as_slice() {
            [] => "something else".to_string(),
            [one] => one.to_string(),
            [one, other] => format!("{one} or {other}"),
            [many @ .., last] => format!("one of {}, or {last}", many.join(", ")),
        };
        let shown = if found.is_empty() { "the end of the file".to_string() } else { format!("`{}`", found.escape_debug()) };
        let error = Diagnostic::new(span, format!("expected {listed}, found {shown}")).label("not expected here");
        let starts_line = text[..start].ends_with('\n') || start == 0;
        if item {
            let items: Vec<String> = ITEMS.iter().map(|item| format!("`{item}`")).collect();
            error.help(format!("an item starts with one of {}", items.join(", ")))
        } else if expected.contains(&"`}`") && (found.is_empty() || starts_line && ITEMS.contains(&found)) {
            error.help("is a `}` missing before this?")
        } else if expected.contains(&NAME) && KEYWORDS.contains(&found) {
            error.help(format!("`{found}` is a word of the language: choose another name"))
        } else if found == "=" && expected.contains(&OPERATOR) {
            error.help("equality is written `==`")
        } else if found == "->" && expected.contains(&"`=>`") {
            error.help("a rule's right side follows `=>`")
        } else {
            error
        }
    }
}
