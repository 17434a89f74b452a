//! What the sandboxes of a machine share with the LSM hook: numbers of hooks, rows of cgroups, and the programs that lead to theirs.

use std::collections::{BTreeMap, BTreeSet};

use boesfs_codegen::bpf::disasm;
use boesfs_codegen::emit::layout::family;
use boesfs_codegen::emit::lsm::{Attach, PROGRAMS, dispatch, gate, gates, hooks};

#[test]
fn every_hook_that_judges_has_a_number_of_its_own() {
    let all: Vec<&str> = hooks().collect();
    let distinct: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), distinct.len());
    let numbers = all.len() + gates().count();
    assert!(numbers <= family::INDEX as usize, "{numbers} hooks and gates do not fit beside an index");
    for program in &PROGRAMS {
        match program.attach {
            Attach::Lsm(hook) => assert_eq!(distinct.contains(hook), hook != "inode_rename", "{hook}"),
            Attach::Exit(function) => assert!(!distinct.contains(function), "{function}"),
        }
    }
}

#[test]
fn there_is_a_program_for_each_hook_at_each_depth() {
    for (number, hook) in hooks().enumerate() {
        for level in [0, 1, 7] {
            let program = dispatch(number as u32, level).unwrap_or_else(|error| panic!("{hook}: {error}"));
            let listing = disasm::listing(&program);
            assert!(listing.contains("tail_call"), "{hook}:\n{listing}");
            let by_depth = listing.contains("get_current_ancestor_cgroup_id");
            assert_eq!(by_depth, level > 0, "{hook}:\n{listing}");
            // Where the kernel takes no refusal, the task is killed.
            assert_eq!(listing.contains("send_signal"), hook == "bprm_committed_creds", "{hook}:\n{listing}");
        }
    }
}

#[test]
fn a_program_leaves_or_goes_on() {
    insta::assert_snapshot!(disasm::listing(&dispatch(0, 0).expect("the first hook")));
}

#[test]
fn gates_look_for_the_cgroup_and_refuse() {
    let hooks = hooks().count();
    for (at, (number, hook)) in gates().enumerate() {
        assert_eq!(number as usize, hooks + at);
        let program = gate(number).unwrap_or_else(|error| panic!("{hook}: {error}"));
        let listing = disasm::listing(&program);
        assert!(listing.contains("get_current_cgroup_id") && !listing.contains("tail_call"), "{hook}:\n{listing}");
    }
    let (number, _) = gates().find(|(_, hook)| *hook == "key_permission").expect("a gate for keys");
    insta::assert_snapshot!(disasm::listing(&gate(number).expect("a gate")));
}

#[test]
fn cgroups_made_one_after_another_find_room() {
    // A cgroup takes a number for itself, and one for each of its files.
    for stride in 1..=128 {
        let mut rows = BTreeMap::new();
        for number in 0..4096 {
            *rows.entry(family::row(1000 + stride * number)).or_insert(0) += 1;
        }
        let fullest = rows.values().copied().max().unwrap_or(0);
        assert!(fullest <= family::WAYS, "{fullest} cgroups in a row, where each is {stride} after the one before");
    }
}
