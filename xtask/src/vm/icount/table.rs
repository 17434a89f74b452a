//! The table: for each contestant, the ratio of its instructions to those of a program without a sandbox, by operation.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};

/// What a guest says: by whom, and how many instructions an operation took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// What follows is the contestant's, not the native program's.
    By(String),
    Op(String, u64),
}

impl Row {
    /// Reads a line of the guest's, if it is one of these.
    pub(crate) fn parse(line: &str) -> Option<Row> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["by", who] => Some(Row::By(who.to_owned())),
            ["op", name, count] => Some(Row::Op(name.to_owned(), count.parse().ok()?)),
            _ => None,
        }
    }
}

/// A ratio may grow by this much, as a part of itself.
const TOLERANCE: f64 = 0.005;

/// The contestant that every other is compared with.
const NATIVE: &str = "native";

/// Operations in the table's order.
const ORDER: [&str; 17] = [
    "open-2",
    "open-9",
    "open-30",
    "stat",
    "create-rename-unlink",
    "read-4k",
    "write-4k",
    "mmap",
    "readdir-100",
    "denied",
    "exec",
    "untar",
    "tar",
    "find",
    "grep",
    "build",
    "git-status",
];

/// Ratios, by contestant and operation; instructions, for the native program.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Table {
    kernel: String,
    rows: Vec<(String, BTreeMap<String, f64>)>,
}

impl Table {
    /// An empty one, for this kernel.
    pub(crate) fn new(kernel: &str) -> Table {
        Table { kernel: kernel.to_owned(), rows: Vec::new() }
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Table> {
        let mut table = Table::default();
        let mut columns: Vec<&str> = Vec::new();
        for line in text.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.split_first() {
                Some((&"kernel", rest)) => table.kernel = rest.join(" "),
                Some((&"contestant", names)) => columns = names.to_vec(),
                Some((name, cells)) if !columns.is_empty() => {
                    let cells = columns.iter().zip(cells).filter(|(_, cell)| **cell != "-");
                    let cell = |(column, cell): (&&str, &&str)| Ok(((*column).to_owned(), cell.parse::<f64>()?));
                    let cells = cells.map(cell).collect::<Result<_>>().with_context(|| format!("`{line}`"))?;
                    table.rows.push(((*name).to_owned(), cells));
                }
                _ => {}
            }
        }
        Ok(table)
    }

    /// Adds what the guest of `contestant` said.
    pub(crate) fn add(&mut self, contestant: &str, rows: &[Row]) -> Result<()> {
        let (mut native, mut own) = (BTreeMap::new(), BTreeMap::new());
        let mut by = None;
        for row in rows {
            match (row, by) {
                (Row::By(who), _) => by = Some(who == NATIVE),
                (Row::Op(name, count), Some(true)) => drop(native.insert(name.clone(), *count as f64)),
                (Row::Op(name, count), Some(false)) => drop(own.insert(name.clone(), *count as f64)),
                (Row::Op(..), None) => bail!("{contestant}: a count of nobody"),
            }
        }
        let missing = native.keys().find(|name| !own.contains_key(*name));
        if let Some(missing) = missing {
            bail!("{contestant} did not do {missing}");
        }
        let ratio = |(name, count): (String, f64)| -> Result<(String, f64)> {
            let base = native.get(&name).with_context(|| format!("nobody did {name} without a sandbox"))?;
            Ok((name, count / base))
        };
        let ratios = own.into_iter().map(ratio).collect::<Result<_>>()?;
        match self.rows.iter_mut().find(|(name, _)| name == NATIVE) {
            // Boots differ by what is loaded; the first one's figures are shown.
            Some((_, shown)) => {
                for (name, count) in native {
                    shown.entry(name).or_insert(count);
                }
            }
            None => self.rows.push((NATIVE.to_owned(), native)),
        }
        self.rows.push((contestant.to_owned(), ratios));
        Ok(())
    }

    /// This table with the rows of `new` in place of its own.
    pub(crate) fn renewed(&self, new: &Table) -> Table {
        let mut table = Table { kernel: new.kernel.clone(), rows: self.rows.clone() };
        for (name, row) in &new.rows {
            match table.rows.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => known.clone_from(row),
                None => table.rows.push((name.clone(), row.clone())),
            }
        }
        table
    }

    /// What grew by more than the tolerance, or is not in the committed table.
    pub(crate) fn grown_over(&self, committed: &Table) -> Vec<String> {
        let mut grown = Vec::new();
        for (name, row) in self.rows.iter().filter(|(name, _)| name != NATIVE) {
            let Some((_, known)) = committed.rows.iter().find(|(known, _)| known == name) else {
                grown.push(format!("{name} is not in the committed table"));
                continue;
            };
            for (op, ratio) in row {
                match known.get(op) {
                    Some(before) if *ratio > before * (1.0 + TOLERANCE) => {
                        grown.push(format!("{name}: {op} grew from {before:.4} to {ratio:.4}"));
                    }
                    Some(_) => {}
                    None => grown.push(format!("{name}: {op} is not in the committed table")),
                }
            }
        }
        grown
    }

    /// The row of a contestant, for people who wait.
    pub(crate) fn line(&self, contestant: &str) -> String {
        let row = self.rows.iter().find(|(name, _)| name == contestant);
        let cells = row.map(|(_, row)| row.iter().map(|(op, ratio)| format!("{op} {ratio:.4}")).collect::<Vec<_>>());
        format!("{contestant}: {}", cells.unwrap_or_default().join(", "))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Guest instructions of an operation: `cargo xtask icount` writes this (docs/vm-lab.md).")?;
        writeln!(
            f,
            "The row `native` has instructions; the others have ratios to what a program without a sandbox takes.\n"
        )?;
        writeln!(f, "kernel {}\n", self.kernel)?;
        write!(f, "{:16}", "contestant")?;
        for op in ORDER {
            write!(f, " {op:>width$}", width = op.len().max(9))?;
        }
        writeln!(f)?;
        for (name, row) in &self.rows {
            write!(f, "{name:16}")?;
            for op in ORDER {
                let cell = match row.get(op) {
                    None => "-".to_owned(),
                    Some(count) if name == NATIVE => format!("{count:.0}"),
                    Some(ratio) => format!("{ratio:.4}"),
                };
                write!(f, " {cell:>width$}", width = op.len().max(9))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(open: u64) -> Vec<Row> {
        ["by native".to_owned(), "op open-2 1000".to_owned(), "by contestant".to_owned(), format!("op open-2 {open}")]
            .iter()
            .filter_map(|line| Row::parse(line))
            .collect()
    }

    fn table(open: u64) -> Table {
        let mut table = Table::new("6.12.1");
        table.add("peer", &rows(open)).unwrap();
        table
    }

    #[test]
    fn what_is_written_is_read() {
        let table = table(1190);
        assert_eq!(Table::parse(&table.to_string()).unwrap(), table);
        assert_eq!(Table::parse("").unwrap(), Table::default());
    }

    #[test]
    fn growth_is_found() {
        let committed = table(1000);
        assert_eq!(table(1005).grown_over(&committed), [""; 0]);
        assert_eq!(table(900).grown_over(&committed), [""; 0]);
        assert_eq!(table(1006).grown_over(&committed), ["peer: open-2 grew from 1.0000 to 1.0060"]);
        assert_eq!(table(1000).grown_over(&Table::default()), ["peer is not in the committed table"]);
    }

    #[test]
    fn a_contestant_that_leaves_out_an_operation_has_failed() {
        let rows = &rows(5)[..3];
        assert!(Table::new("x").add("peer", rows).is_err());
    }
}
