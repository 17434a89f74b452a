//! What a bench found: tables for people, JSON for machines.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::rounds::Rounds;

/// Tables so far. Each is printed when it is complete.
pub(super) struct Report {
    tables: Vec<Value>,
}

impl Report {
    pub(super) fn new() -> Report {
        Report { tables: Vec::new() }
    }

    /// Adds the rounds of several jobs with the same contestants. `unit` is that of the first column, after which come ratios.
    pub(super) fn ratios(&mut self, title: &str, unit: &str, scale: f64, jobs: &[(String, Rounds)]) {
        let mut rows = Vec::new();
        for (i, (job, rounds)) in jobs.iter().enumerate() {
            let medians = rounds.medians();
            if i == 0 {
                let others = medians[1..].iter().map(|(name, ..)| format!(" {name} |")).collect::<String>();
                println!("\n{title}\n\n| | {} ({unit}) |{others}", medians[0].0);
                println!("|---|---|{}", "---|".repeat(medians.len() - 1));
            }
            let ratios = medians[1..].iter().map(|(.., ratio)| format!(" {ratio:.2} |")).collect::<String>();
            println!("| {job} | {:.3} |{ratios}", medians[0].1 * scale);
            let figures: serde_json::Map<String, Value> = medians
                .into_iter()
                .map(|(name, figure, ratio)| (name, json!({ "median": figure * scale, "ratio": ratio })))
                .collect();
            rows.push(json!({ "job": job, "contestants": figures }));
        }
        self.tables.push(json!({ "title": title, "unit": unit, "rows": rows }));
    }

    /// Adds a table of plain figures.
    pub(super) fn plain(&mut self, title: &str, columns: &[&str], rows: &[(String, Vec<String>)]) {
        println!("\n{title}\n\n| | {} |", columns.join(" | "));
        println!("|---|{}", "---|".repeat(columns.len()));
        for (name, cells) in rows {
            println!("| {name} | {} |", cells.join(" | "));
        }
        let rows: Vec<Value> = rows.iter().map(|(name, cells)| json!({ "job": name, "cells": cells })).collect();
        self.tables.push(json!({ "title": title, "columns": columns, "rows": rows }));
    }

    /// Writes all as JSON.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let all = json!({ "version": 1, "kernel": kernel.trim(), "cores": cores, "tables": self.tables });
        std::fs::write(path, serde_json::to_string_pretty(&all)? + "\n")
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("\n{}", path.display());
        Ok(())
    }
}
