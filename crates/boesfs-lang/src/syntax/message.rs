//! Messages for what the parser did not expect, in the words of the language's users.

use super::lexer::{Kind, Token};
use crate::diag::suggest::did_you_mean;
use crate::diag::{Code, Diagnostic};
use crate::ops;
use crate::source::{FileId, Span};

/// Where the parser stopped.
#[derive(Debug)]
pub(super) struct Place<'t> {
    pub(super) file: FileId,
    pub(super) text: &'t str,
    /// The tokens before it.
    pub(super) before: &'t [Token],
    /// The token it did not expect; none at the end of the file.
    pub(super) found: Option<Token>,
}

/// The words that begin a statement.
const STARTS: [&str; 15] = [
    "policy", "default", "let", "include", "role", "user", "group", "exe", "separate", "allow", "deny", "hide", "kill",
    "audit", "quiet",
];

/// What is said of a token that none of `expected` (terminals as the grammar spells them) matches.
pub(super) fn unexpected(place: &Place<'_>, expected: &[String]) -> Diagnostic {
    let can = |terminal: &str| expected.iter().any(|e| e.trim_matches('"') == terminal);
    if can("policy") {
        return if can("}") { in_role(place) } else { between_statements(place) };
    }
    if can(";") && place.ends_statement() {
        return Diagnostic::error(Code::MissingSemicolon, "missing `;`")
            .at(place.end_of_last(), "the statement ends here")
            .help("every statement ends with `;`, except a role, which ends with `}`");
    }
    let wanted = place.wanted(&can);
    let mut diagnostic = Diagnostic::error(Code::Unexpected, format!("expected {wanted}, found {}", place.shown()))
        .at(place.span(), "not expected here");
    if let Some(help) = place.help(&can) {
        diagnostic = diagnostic.help(help);
    }
    diagnostic
}

fn between_statements(place: &Place<'_>) -> Diagnostic {
    let Some(found) = place.found else {
        return Diagnostic::error(Code::Unexpected, "the file ends in the middle of a statement").at(place.span(), "");
    };
    if found.kind == Kind::CloseBrace {
        return Diagnostic::error(Code::StrayBrace, "this `}` closes nothing").at(place.span(), "no role is open here");
    }
    let diagnostic = Diagnostic::error(Code::Unexpected, format!("expected a statement, found {}", place.shown()));
    diagnostic.at(place.span(), "no statement begins like this").help(statement_help(place, found))
}

fn in_role(place: &Place<'_>) -> Diagnostic {
    let Some(found) = place.found else {
        let role = place.before.iter().rev().find(|token| token.kind == Kind::Role).map(|token| place.span_of(*token));
        let diagnostic =
            Diagnostic::error(Code::UnclosedRole, "a role is not closed").at(place.span(), "the file ends here");
        let diagnostic = role.map_or(diagnostic.clone(), |span| diagnostic.at(span, "the role begins here"));
        return diagnostic.help("add the `}`");
    };
    if found.kind == Kind::Role {
        return Diagnostic::error(Code::UnclosedRole, "a role cannot stand inside a role")
            .at(place.span(), "the role before it is still open")
            .help("close the role before with `}`; write `role NAME : PARENT { .. }` to inherit");
    }
    Diagnostic::error(Code::Unexpected, format!("expected a rule or `}}`, found {}", place.shown()))
        .at(place.span(), "no rule begins like this")
        .help(statement_help(place, found))
}

fn statement_help(place: &Place<'_>, found: Token) -> String {
    let word = place.text_of(found);
    if let Some(help) = did_you_mean(word, STARTS) {
        return help;
    }
    if ops::Op::from_name(word).is_some() || ops::GROUPS.iter().any(|group| group.name == word) {
        return format!("a rule begins with its effect: `allow {word} on \"/path\";`");
    }
    "a statement begins with an effect (allow, deny, hide, kill), or with policy, default, let, include, role, user, group, exe or separate".into()
}

impl Place<'_> {
    fn span_of(&self, token: Token) -> Span {
        Span { file: self.file, start: token.start, end: token.end }
    }

    fn text_of(&self, token: Token) -> &str {
        &self.text[token.start as usize..token.end as usize]
    }

    fn span(&self) -> Span {
        self.found.map_or_else(|| self.end_of_last(), |token| self.span_of(token))
    }

    /// The empty range behind the last token before the place.
    fn end_of_last(&self) -> Span {
        let end = self.before.last().map_or(0, |token| token.end);
        Span { file: self.file, start: end, end }
    }

    /// What was found, as it is called in messages.
    fn shown(&self) -> String {
        match self.found {
            None => "the end of the file".into(),
            Some(token) if token.kind == Kind::Str => "a string".into(),
            Some(token) => {
                let word = self.text_of(token);
                let short: String = word.chars().take(40).collect();
                let kind = if token.kind.is_keyword() { "the word " } else { "" };
                let more = if short.len() < word.len() { ".." } else { "" };
                format!("{kind}`{short}{more}`")
            }
        }
    }

    /// Whether the token found can only mean that the statement before has ended.
    fn ends_statement(&self) -> bool {
        let starts = |token: Token| token.kind.word().is_some_and(|word| word == "}" || STARTS.contains(&word));
        self.found.is_none_or(starts)
    }

    /// The first token of the statement that the place is in.
    fn statement(&self) -> Option<Kind> {
        let ends = |token: &&Token| matches!(token.kind, Kind::Semicolon | Kind::OpenBrace | Kind::CloseBrace);
        let from = self.before.iter().rposition(|token| ends(&token)).map_or(0, |i| i + 1);
        self.before.get(from).map(|token| token.kind)
    }

    fn last(&self) -> Option<Kind> {
        self.before.last().map(|token| token.kind)
    }

    /// What could have stood here, in words.
    fn wanted(&self, can: &dyn Fn(&str) -> bool) -> &'static str {
        let statement = self.statement();
        match statement {
            _ if can("allow") && can("IDENT") => "an operation",
            _ if can("allow") && statement == Some(Kind::Default) => "`allow` or `deny`",
            _ if can("allow") => "an effect (`allow`, `deny`, `hide` or `kill`)",
            _ if can("on") => "`on` and the paths",
            _ if can("=") => "`=` and a value",
            _ if can("==") => "a comparison such as `==` or `<=`",
            _ if can("STRING") && can("IDENT") => "a name, a number or a string",
            _ if can("STRING") && can("INT") => "a string or a number",
            _ if can("STRING") => "a string in double quotes",
            _ if can("INT") && can("IDENT") => "an argument of the operation or a number",
            _ if can("INT") => "a number",
            Some(Kind::Separate) if can("IDENT") => "the name of a role",
            Some(Kind::Role) if can("IDENT") && self.last() == Some(Kind::Role) => "the role's name",
            Some(Kind::Role) if can("IDENT") => "the name of a role",
            Some(Kind::User | Kind::Group | Kind::Exe) if can("IDENT") => "the name of a role",
            Some(Kind::Policy | Kind::Let) if can("IDENT") => "a name",
            _ if can("IDENT") => "an operation or a group of operations",
            Some(Kind::Role) if can("{") => "`{` and the role's rules",
            _ if can(":") => "`:` and the roles",
            _ if can(")") => "`)`",
            _ if can(";") => "`;`",
            _ => "something else",
        }
    }

    fn help(&self, can: &dyn Fn(&str) -> bool) -> Option<String> {
        let found = self.found?;
        let word = self.text_of(found);
        if can("and") && matches!(found.kind, Kind::Eq | Kind::Ne | Kind::Lt | Kind::Le | Kind::Gt | Kind::Ge) {
            return Some("comparisons do not chain: join two of them with `and`".into());
        }
        if can("==") && found.kind == Kind::Assign {
            return Some("equality is written `==`".into());
        }
        if can("on") && found.kind == Kind::Ident {
            return Some(
                did_you_mean(word, ["on"])
                    .unwrap_or_else(|| "operations are separated by `,`; the paths follow `on`".into()),
            );
        }
        if can("on") && found.kind == Kind::Str {
            return Some("write `on` before the paths".into());
        }
        if can("IDENT") && found.kind.is_keyword() {
            return Some(format!("`{word}` is a word of the language and cannot be a name"));
        }
        if can("STRING") && found.kind == Kind::Ident {
            return Some(format!("paths stand in double quotes: `\"/{word}\"`"));
        }
        if found.kind == Kind::Ident {
            let next = ["except", "when", "and", "or"].into_iter().filter(|next| can(next));
            return did_you_mean(word, next);
        }
        if can(";") && found.kind == Kind::Str {
            return Some("separate strings with `,`".into());
        }
        None
    }
}
