//! Numbers: decimal, `0x`, `0o`, `0b`, `_` between digits, and units of 1024.

use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::source::{SourceMap, Span};
use crate::syntax::ast::Number;

const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];

/// The value of a number in a condition.
pub(super) fn value(sources: &SourceMap, number: Number) -> Result<u64, Diagnostic> {
    let written = sources.text(number.digits);
    let (digits, glued) = split_unit(written);
    let digits_value = digits_value(digits, number.digits)?;
    let unit_span = number.unit.map_or(number.digits, |unit| unit.0);
    match (glued, number.unit) {
        (glued, None) => times(digits_value, glued, unit_span, number.span),
        ("", Some(unit)) => times(digits_value, sources.text(unit.0), unit_span, number.span),
        (_, Some(_)) => Err(bad(number.span, "two units")),
    }
}

/// A number that was given from outside for the let at `place`.
pub(super) fn from_outside(written: &[u8], place: Span) -> Result<u64, Diagnostic> {
    let Ok(written) = std::str::from_utf8(written) else {
        return Err(bad(place, "the value given from outside is not text"));
    };
    let (digits, unit) = split_unit(written.trim());
    times(digits_value(digits.trim_end(), place)?, unit, place, place)
}

fn times(value: u64, unit: &str, unit_span: Span, span: Span) -> Result<u64, Diagnostic> {
    if unit.is_empty() {
        return Ok(value);
    }
    let Some((_, shift)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let help = did_you_mean(unit, UNITS.iter().map(|(name, _)| *name));
        return Err(Diagnostic::error(Code::BadNumber, format!("`{unit}` is no unit"))
            .at(unit_span, "")
            .help(help.unwrap_or_else(|| "units are KiB, MiB, GiB and TiB".into())));
    };
    value.checked_mul(1 << shift).ok_or_else(|| too_large(span))
}

/// A user or group id.
pub(super) fn id(sources: &SourceMap, span: Span) -> Result<u32, Diagnostic> {
    let value = digits_value(sources.text(span), span)?;
    // The kernel's "no id" is all ones: it can never be anyone's.
    match u32::try_from(value) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(Diagnostic::error(Code::BadId, format!("`{value}` is no user or group id"))
            .at(span, "ids go up to 4294967294")),
    }
}

/// Decimal digits and the letters behind them.
fn split_unit(written: &str) -> (&str, &str) {
    if written.starts_with("0x") || written.starts_with("0o") || written.starts_with("0b") {
        return (written, "");
    }
    let end = written.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(written.len());
    written.split_at(end)
}

fn digits_value(written: &str, span: Span) -> Result<u64, Diagnostic> {
    let (digits, radix) = match written.get(..2) {
        Some("0x") => (&written[2..], 16),
        Some("0o") => (&written[2..], 8),
        Some("0b") => (&written[2..], 2),
        _ => (written, 10),
    };
    if radix == 10 && digits.len() > 1 && digits.starts_with('0') {
        return Err(bad(span, "a leading zero could mean octal")
            .help(format!("write `0o{}` for octal, or drop the zero", digits.trim_start_matches('0'))));
    }
    let mut value = 0u64;
    let mut any = false;
    for c in digits.chars().filter(|c| *c != '_') {
        let Some(digit) = c.to_digit(radix) else {
            return Err(bad(span, format!("`{c}` is no digit of base {radix}")));
        };
        any = true;
        value = value
            .checked_mul(u64::from(radix))
            .and_then(|value| value.checked_add(u64::from(digit)))
            .ok_or_else(|| too_large(span))?;
    }
    if any { Ok(value) } else { Err(bad(span, "no digits")) }
}

fn bad(span: Span, why: impl Into<String>) -> Diagnostic {
    Diagnostic::error(Code::BadNumber, "this is no number").at(span, why)
}

fn too_large(span: Span) -> Diagnostic {
    Diagnostic::error(Code::NumberTooLarge, "this number is too large").at(span, "more than 64 bits")
}
