//! The codes of all diagnostics: the only list of them. `docs/diagnostics.md` is made from it.
//!
//! A code is never reused and never changes its meaning. 01: texts and words; 02: syntax; 03: names, lets and
//! includes; 04: patterns; 05: operations and conditions; 06: roles and subjects; 07: limits; 08: later stages.

macro_rules! codes {
    ($($name:ident $id:literal $title:literal $explanation:literal;)*) => {
        /// The kind of a diagnostic.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// Its stable identifier.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Code::$name => $id,)* }
            }

            /// What it is, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            /// Why it is refused, and what to write instead.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Code::$name => $explanation,)* }
            }
        }
    };
}

codes! {
    UnexpectedByte "BFS0101" "a character that means nothing here"
        "The language is written in ASCII words, numbers, strings and the signs `; : , { } ( ) ..  & == != < <= > >=`. Anything else belongs into a string.";
    UnterminatedString "BFS0102" "a string without its closing quote"
        "A string ends on the line it starts on. Write `\\n` for a newline inside a name.";
    NotUtf8 "BFS0103" "a text that is not UTF-8"
        "Policies are UTF-8 texts. Write bytes of file names that are not UTF-8 as escapes: `\\xff`.";
    TextTooLong "BFS0104" "a text that is too long"
        "One file of a policy holds at most 256 MiB.";
}
