//! `docs/object-format.md` says what the code does: names, offsets and sizes there are those of the constants here.

use boesfs_codegen::emit::MAX_ENTRIES;
use boesfs_codegen::emit::layout::{self, Table, context};
use boesfs_codegen::manifest::FORMAT;
use boesfs_codegen::object::{HEADER_BYTES, MAGIC, MANIFEST_SECTION};
use boesfs_codegen::tables::{HASH_DISPLACEMENT_SHIFT, HASH_STATE, HASH_WORD, MAX_CHAIN, verdict_bits};
use boesfs_lang::cond::Arg;

#[test]
fn numbers_and_names_are_those_of_the_code() {
    let doc = include_str!("../../../docs/object-format.md");
    let args: Vec<&str> = Arg::ALL.iter().map(|arg| arg.name()).collect();
    let mut said = vec![
        format!("Format version: **{FORMAT}**"),
        format!("| `{}` | AX | the entry program `{}`", layout::ENTRY_SECTION, layout::ENTRY),
        format!("above {} leads to the dead state", layout::SLOTS),
        format!("| in: 1 to {} |", layout::MAX_REPEAT),
        format!("| {} | u64[{}] | `args` | in: {} |", context::ARGS, args.len(), args.join(", ")),
        format!("It has {} bytes", context::BYTES),
        format!("`{}`, an array of one entry of {} bytes", layout::REQUEST_MAP, layout::REQUEST_BYTES),
        format!("{} slots of {} bytes", layout::SLOTS, layout::SLOT_BYTES),
        format!("each {} bytes of name", layout::NAME_BYTES),
        format!("{} words of zero", layout::NAMES_TAIL),
        format!("at most 2^{}", MAX_ENTRIES.ilog2()),
        format!("h = state * {HASH_STATE:#x} + seed"),
        format!("h = (h ^ (h >> 32)) * {HASH_WORD:#x}"),
        format!("disp[(h >> {HASH_DISPLACEMENT_SHIFT})"),
        format!("at most {MAX_CHAIN} tries"),
        format!("magic: `{}`", MAGIC.escape_ascii()),
        format!("| `{MANIFEST_SECTION}` |"),
        format!("| {HEADER_BYTES} | | `boesfs_codegen::manifest::Manifest`"),
        format!("| {} | the deciding rule says `audit`", verdict_bits::AUDIT.ilog2()),
        format!("| {} | it says `quiet`", verdict_bits::QUIET.ilog2()),
        format!("| {} | the default decided", verdict_bits::NOT_GRANTED.ilog2()),
        format!("| {}..63 | number of the deciding rule", verdict_bits::RULE_SHIFT),
    ];
    for (offset, of, field) in [
        (context::CLASS, "u32", "class"),
        (context::OP, "u32", "op"),
        (context::START, "u32", "start"),
        (context::COUNT, "u32", "count"),
        (context::REPEAT, "u32", "repeat"),
        (context::MODE, "u32", "mode"),
        (context::STATE, "u64", "state"),
        (context::CHECK, "u64", "check"),
        (context::DECIDE, "u64", "decide"),
        (context::NS, "u64", "ns"),
    ] {
        said.push(format!("| {offset} | {of} | `{field}` |"));
    }
    said.extend(Table::ALL.map(|table| format!("| `{}` | {} | ", table.section(), table.entry_bytes())));
    said.extend(layout::FUNCTIONS.map(|name| format!(" {name}(")));
    for words in said {
        assert!(doc.contains(&words), "docs/object-format.md does not say: {words}");
    }
}
