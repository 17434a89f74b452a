//! From start to exit of a static program that does nothing.

use std::process::Command;

use anyhow::{Context, Result};

use super::Options;
use super::area::Area;
use super::report::Report;
use super::rounds::{Rounds, median};
use super::workload;
use crate::shell::{self, command};
use crate::{install, release};

/// Starts in a row within a round.
const STARTS: &str = "20";

pub(super) fn run(options: &Options, area: &Area, report: &mut Report) -> Result<()> {
    let policy = area.at("open.bfs");
    std::fs::write(&policy, "policy open;\ndefault deny;\nallow view, exec on \"/usr/\", \"/bin/\", \"/lib*/\";\n")?;
    let object = area.at("open.o");
    let (policy, object) = (policy.to_string_lossy().into_owned(), object.to_string_lossy().into_owned());
    shell::run(&mut command(&release::binary("boesfsc").to_string_lossy(), &["compile", "-o", &object, &policy]))?;
    // As people have it. What a linker has written is kept by the page cache in smaller pieces than a copy, and takes longer to start.
    let boesfs = install::copy("boesfs", &workload::store()?)?.to_string_lossy().into_owned();
    let nothing = ["/bin/busybox", "true"];
    let bwrap = [
        "bwrap",
        "--unshare-user",
        "--unshare-pid",
        "--unshare-ipc",
        "--die-with-parent",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
    ];
    let mut contestants: Vec<(&str, Vec<&str>)> = vec![
        ("native", nothing.to_vec()),
        ("native again", nothing.to_vec()),
        ("bubblewrap", [&bwrap[..], &nothing].concat()),
        ("boesfs exec policy.o", [&[boesfs.as_str(), "exec", "--hook", "fuse", &object, "--"], &nothing[..]].concat()),
        (
            "boesfs exec policy.bfs",
            [&[boesfs.as_str(), "exec", "--hook", "fuse", &policy, "--"], &nothing[..]].concat(),
        ),
    ];
    let bundle = bundle(area)?;
    if shell::is_root() {
        contestants
            .push(("crun", vec!["crun", "--cgroup-manager=disabled", "run", "--bundle", &bundle, "boesfs-bench"]));
    }
    let names: Vec<String> = contestants.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rounds = Rounds::run(options.rounds(15), &names, |i| {
        // Outside of what is timed: crun does not run where both versions of cgroups are mounted.
        let place = "[ $1 != crun ] || [ ! -d /sys/fs/cgroup/unified ] || umount --lazy /sys/fs/cgroup/unified; shift; exec \"$@\"";
        let mut command = Command::new(if shell::is_root() { "unshare" } else { "env" });
        if shell::is_root() {
            command.arg("--mount");
        }
        command
            .args(["sh", "-c", place, "sh", &names[i]])
            .arg(release::binary("bench-inside"))
            .args(["starts", STARTS]);
        let output = command.args(&contestants[i].1).output()?;
        let found: serde_json::Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("{}: {}", names[i], String::from_utf8_lossy(&output.stderr)))?;
        Ok(median(found["seconds"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect()))
    })?;
    report.ratios("Start to exit: median ratio to native", "ms", 1e3, &[("busybox true".into(), rounds)]);
    Ok(())
}

/// A container of one static program for crun.
fn bundle(area: &Area) -> Result<String> {
    let dir = area.fresh("bundle")?;
    let bin = area.fresh("bundle/rootfs/bin")?;
    std::fs::copy("/bin/busybox", bin.join("busybox")).context("busybox-static is missing")?;
    shell::run(command("crun", &["spec"]).current_dir(&dir))?;
    let config = dir.join("config.json");
    let mut spec: serde_json::Value = serde_json::from_slice(&std::fs::read(&config)?)?;
    spec["process"]["terminal"] = false.into();
    spec["process"]["args"] = serde_json::json!(["/bin/busybox", "true"]);
    std::fs::write(&config, spec.to_string())?;
    Ok(dir.to_string_lossy().into_owned())
}
