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

    Unexpected "BFS0201" "a word where another was expected"
        "The statement cannot be read. Each form of statement is shown in the language reference.";
    MissingSemicolon "BFS0202" "a statement without its `;`"
        "Every statement ends with `;`, except a role, which ends with the `}` of its body.";
    NotInRole "BFS0203" "a statement that cannot stand inside a role"
        "The body of a role holds rules. Lets, includes, assignments and the like stand at top level.";
    UnclosedRole "BFS0204" "a role without its closing brace"
        "The body of a role ends with `}`. Roles do not nest: write `role NAME : PARENT { .. }` to inherit.";
    StrayBrace "BFS0205" "a closing brace that closes nothing"
        "A `}` at top level belongs to no role. Often the `{` is missing, or the role was closed before.";
    NestedTooDeep "BFS0206" "parentheses that nest too deep"
        "The parentheses of a condition nest at most 32 deep.";
    TooManyErrors "BFS0207" "more errors than are reported"
        "After 32 syntax errors the rest of a file is not read, and 200 findings are shown at most.";

    UnknownLet "BFS0301" "a let that is not defined"
        "`{name}` in a string is replaced by `let name = \"..\";`, which must stand above, in the same file or an included one.";
    LetTooLate "BFS0302" "a let that is used before it is defined"
        "Lets are filled in from top to bottom. Move the definition up.";
    RepeatedName "BFS0303" "a name that is defined twice"
        "Each let and each role is defined once in the whole policy, includes counted.";
    LetKind "BFS0304" "a let of the wrong kind"
        "A let is a string, for patterns, or a number, for conditions. Neither turns into the other.";
    UnreadableInclude "BFS0305" "an include that cannot be read"
        "The path of an include is relative to the file it stands in.";
    IncludeCycle "BFS0306" "a file that includes itself"
        "Includes must not run in a circle. A file that several others include is read once, and that is fine.";
    BadInclude "BFS0307" "an include that may not be"
        "A policy includes files of its own folder and the folders below it, by a plain relative path.";
    RepeatedStatement "BFS0308" "a statement that may stand once only"
        "`policy` and `default` stand at most once.";
    NotInInclude "BFS0309" "a statement that cannot stand in an included file"
        "`policy` and `default` belong into the main file: an include must not change what a policy does where no rule speaks.";
    MissingDefault "BFS0310" "no default"
        "Every policy says what happens where no rule decides: `default deny;` makes it a list of what is allowed, `default allow;` a list of what is refused.";
    BadDefault "BFS0311" "a default that is neither allow nor deny"
        "The default is `allow` or `deny`. To hide everything else, write `default deny;` and `hide all on \"/\";`.";

    UnusedDefine "BFS0312" "a value from outside for a let that does not exist"
        "`-D name=value` replaces the value of `let name`, which the policy must define.";

    RelativePattern "BFS0401" "a pattern that is not absolute"
        "Patterns begin at the root. To match at any depth, begin with `/**/`.";
    EmptyComponent "BFS0402" "an empty component"
        "Two `/` in a row have nothing between them.";
    DotComponent "BFS0403" "`.` or `..` in a pattern"
        "Rules speak of objects, and the kernel has resolved `.` and `..` before anyone asks: such a pattern would match nothing.";
    GluedStars "BFS0404" "`**` glued to something else"
        "`**` stands for whole components and must be one by itself. Inside a component `*` is any text.";
    ComponentTooLong "BFS0405" "a component that is longer than any name"
        "Linux knows no names longer than 255 bytes.";
    UnclosedBracket "BFS0406" "a bracket or brace without its partner"
        "`[..]` and `{..}` open and close within one component. For the characters themselves write `\\[`, `\\]`, `\\{`, `\\}`.";
    LonelyChoice "BFS0407" "braces with one choice"
        "`{a,b}` is one of several; `{name}` is a let; `\\{` is the character.";
    BadClass "BFS0408" "a class that makes no sense"
        "`[a-z_]` matches one byte in the class, `[!a-z]` one that is not. Ranges go upwards; characters of several bytes cannot stand in a class.";
    MatchesNothing "BFS0409" "a pattern that matches nothing"
        "No name in a file system can match this, so the rule would never apply.";
    BadEscape "BFS0410" "an unknown escape"
        "Escapes are `\\xNN` for any byte, `\\n`, `\\t`, `\\r`, and a backslash before one of `\\ \" * ? [ ] { } , - ! ^`.";
    BadByte "BFS0411" "a byte that no name contains"
        "Names contain neither `/` nor NUL, by escape or otherwise.";
    StringTooLong "BFS0412" "a string that is too long"
        "A string has at most 4096 bytes once its lets are filled in: as much as a path can have.";
    NotOneFile "BFS0413" "an executable that is not one file"
        "A role is entered by executing one file, named by its absolute path without wildcards.";
    BracesTooDeep "BFS0414" "braces that nest too deep"
        "Braces nest at most 8 deep.";

    UnknownOperation "BFS0501" "an operation that does not exist"
        "The operations and groups are listed in the language reference.";
    NotCarried "BFS0502" "a condition on an argument that some operation does not carry"
        "A condition may speak only of arguments that every operation of its rule carries: otherwise it would silently never hold for the others.";
    UnknownArgument "BFS0503" "a word in a condition that means nothing"
        "A condition speaks of arguments (flags, mode, size, offset, length, uid, gid, owner), named constants, and lets that are numbers.";
    BadNumber "BFS0504" "a number that is none"
        "Numbers are decimal, `0x`, `0o` or `0b`, with `_` between digits, and may have a unit: KiB, MiB, GiB, TiB.";
    NumberTooLarge "BFS0505" "a number that is too large"
        "Numbers have 64 bits.";
    BadQualifier "BFS0506" "qualifiers that make no sense"
        "`audit` records all that the rule decides, `quiet` nothing. Allowed requests are not recorded anyway, so `quiet allow` says nothing.";
    ConditionTooLarge "BFS0507" "a condition that is too large"
        "A condition has at most 256 comparisons.";
    ForeignConstant "BFS0508" "a constant of another argument"
        "`O_*`, `RENAME_*` and `XATTR_*` are numbers of `flags`; `S_*` are numbers of `mode`.";
    ConstantCondition "BFS0509" "a condition that does not depend on anything"
        "The comparison has the same outcome for every request.";

    UnknownRole "BFS0601" "a role that is not declared"
        "Roles may be used before they are declared, but must be declared somewhere in the policy.";
    RoleCycle "BFS0602" "a role that inherits from itself"
        "Inheritance must not run in a circle.";
    UnknownSubject "BFS0603" "a user or group without a number"
        "An object must not depend on the machine that compiled it, so names are resolved only by a mapping given to the compiler, or on request by the running system.";
    BadId "BFS0604" "an id that is none"
        "User and group ids are numbers from 0 to 4294967294; a range names its lower end first, and includes both.";
    SeparatedRole "BFS0605" "a role that nobody could hold"
        "The role inherits from two roles that are separate.";
    SeparatedAssignment "BFS0606" "an assignment of separated roles"
        "One subject would hold two roles that are separate, counting what they inherit.";
    BadSeparation "BFS0607" "a separation that separates nothing"
        "`separate` names two or more different roles of which nobody may hold two.";

    TooManyClasses "BFS0701" "too many combinations of roles"
        "The decision tables have a column for every set of roles that can be active at once. The limit keeps them small; it can be raised.";
    TooManyFiles "BFS0702" "too many files"
        "Includes nest at most 64 deep, and a policy has at most 4096 files.";

    TooBig "BFS0801" "a policy that is too large to compile"
        "The automaton would exceed a limit. The message names the patterns that cause most of it; limits can be raised by `--limits`.";
    NotEnforceable "BFS0802" "a rule that a hook cannot enforce"
        "The hook named by `--hook` cannot see an operation that the rule names. Name another hook, or the operation that it follows.";
}
