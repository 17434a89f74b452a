//! From text to syntax tree.
//!
//! In: one source text. Out: an [`ast::Ast`] of all statements that could be read, and diagnostics for the others.
//! Holds: spans on everything; no meaning is given to any name yet; nothing recurses over the length of the text.

pub mod ast;
pub mod lexer;
mod message;
pub mod parser;
