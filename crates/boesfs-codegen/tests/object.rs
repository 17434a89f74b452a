//! Policy objects: what stock tools make of them, that they are the same each time, that damage is refused, and, as
//! golden files, their instructions beside policy lines. Fails where a tool is missing.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Command;

use boesfs_codegen::automaton::Limits;
use boesfs_codegen::bpf::disasm;
use boesfs_codegen::emit::layout::kmod::VERSION;
use boesfs_codegen::emit::layout::{ENTRY, FUNCTIONS, Map, Table};
use boesfs_codegen::manifest::{FORMAT, Manifest};
use boesfs_codegen::object::{
    MAGIC, MANIFEST_OFFSET, MANIFEST_SECTION, PolicyObject, Programs, ReadError, build, build_with, front, read,
    read_functions, reseal,
};
use boesfs_codegen::tables::Packed;
use boesfs_codegen::{arbitrary, pack};
use boesfs_lang::check::{Input, check};
use boesfs_lang::policy::Policy;
use proptest::prelude::*;

const SMALL: &str = r#"policy small;
default deny;
allow view on "/usr/";
allow all on "/work/";
deny write on "/work/**/*.lock";
hide all on "/home/*/.ssh/";
kill all on "/etc/shadow";
allow write on "/work/quota"
    when size <= 1 MiB and (flags & 3 != 2 or not uid == 0);
deny chmod on "/**" when mode & 0o6000 != 0;
deny create on "/work/" when owner == 18446744073709551615 or gid > 4294967295;
audit allow read on "/etc/hosts";
role admin { allow all on "/etc/"; }
user 1000 : admin;
"#;

fn policy(text: &str) -> Policy {
    check(&Input::new("small.bfs", text)).unwrap_or_else(|errors| panic!("{errors}")).policy
}

fn compile(policy: &Policy) -> Packed {
    pack::compile(policy, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn object(policy: &Policy) -> Vec<u8> {
    build(policy, &compile(policy)).unwrap_or_else(|error| panic!("{error}"))
}

fn autoloaded(policy: &Policy) -> Vec<u8> {
    build_with(policy, &compile(policy), Programs::AutoloadLsm).unwrap_or_else(|error| panic!("{error}"))
}

fn reread(bytes: &[u8]) -> PolicyObject {
    read(bytes).unwrap_or_else(|error| panic!("{error}"))
}

/// `rules` literal rules below one directory for each hundred.
fn many(rules: usize) -> Policy {
    let mut text = String::from("policy many;\ndefault deny;\n");
    for i in 0..rules {
        text += &format!("allow read on \"/srv/tenant-{:05}/object-name-{i:06}\";\n", i / 100);
    }
    policy(&text)
}

#[test]
fn reads_back_what_was_built() {
    let policy = policy(SMALL);
    let packed = compile(&policy);
    let bytes = object(&policy);
    let read = reread(&bytes);
    assert_eq!(read.manifest, Manifest::new(&policy, packed.sizes));
    assert_eq!(read.tables.classes, packed.tables.classes);
    assert_eq!(read.tables.edges, packed.tables.edges);
    assert_eq!(read.tables.states, packed.tables.states);
    assert_eq!(read.tables.decisions, packed.tables.decisions);
    let names: Vec<&str> = read.program.functions().iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names[0], ENTRY);
    assert!(FUNCTIONS.iter().all(|name| names.contains(name)), "{names:?}");
    let lines: Vec<(&str, u32)> = read.program.lines().iter().map(|l| (l.file.as_str(), l.line)).collect();
    // Each condition at the line of its `when`.
    for line in [9, 10, 11] {
        assert!(lines.contains(&("small.bfs", line)), "{lines:?}");
    }
}

#[test]
fn functions_are_read_without_the_kernels_programs() {
    let bytes = object(&policy(SMALL));
    let (front, size) = (front(&bytes).expect("it has a front") as usize, bytes.len() as u64);
    let whole = reread(&bytes);
    let part = read_functions(&bytes[..front], size).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((&part.manifest, &part.tables, part.digest), (&whole.manifest, &whole.tables, whole.digest));
    assert!(part.program.functions().len() < whole.program.functions().len());
    for name in FUNCTIONS {
        let insns = |object: &PolicyObject| object.linked(&[name]).map(|(program, _)| program.insns().to_vec());
        assert_eq!(insns(&part), insns(&whole), "{name}");
    }
    assert_eq!(read_functions(&bytes, size), Ok(part));
    assert_eq!(read_functions(&bytes[..front - 1], size), Err(ReadError::NotElf), "section headers are cut off");
    assert_eq!(read_functions(&bytes[..front], size - 1), Err(ReadError::Short { has: size - 1, size }));
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    for at in [MANIFEST_OFFSET + 40, MANIFEST_OFFSET + 64, MANIFEST_OFFSET + 97, front / 2] {
        assert_eq!(read_functions(&changed(at), size), Err(ReadError::Damaged), "byte {at}");
        assert_eq!(read(&changed(at)), Err(ReadError::Damaged), "byte {at}");
    }
    let behind = changed(front + (bytes.len() - front) / 2);
    assert_eq!(read(&behind), Err(ReadError::Damaged));
    assert_eq!(read(&bytes[..front]), Err(ReadError::Short { has: front as u64, size }));
}

#[test]
fn instructions_beside_policy_lines() {
    // What judges, and one of the kernel's programs with what it calls: the others are much the same.
    let shown = [
        ENTRY,
        "lsm_inode_getattr",
        "step",
        "check",
        "decide",
        "cond",
        "walk",
        "subject",
        "find",
        "find_slow",
        "climbed",
        "climb",
        "climb_down",
        "answer",
    ];
    let program = reread(&object(&policy(SMALL))).program;
    let listing = shown.map(|name| {
        let (_, function) = program.function(name).unwrap_or_else(|| panic!("no {name}"));
        disasm::function_listing(&program, function)
    });
    insta::assert_snapshot!(listing.join("\n"));
}

#[test]
fn same_policy_same_bytes() {
    let first = object(&policy(SMALL));
    assert_eq!(first, object(&policy(SMALL)));
    assert_ne!(first, object(&policy(&SMALL.replace("small", "other"))));
    let many = many(2000);
    assert_eq!(object(&many), object(&many));
}

#[test]
fn length_of_the_program_does_not_depend_on_the_number_of_rules() {
    let length = |rules| reread(&object(&many(rules))).program.insns().len();
    assert_eq!(length(10), length(10_000));
}

fn run(tool: &str, args: &[&str], object: &[u8]) -> String {
    let mut file = tempfile::NamedTempFile::with_suffix(".o").expect("a temporary file");
    file.write_all(object).expect("the object is written");
    let output = Command::new(tool).args(args).arg(file.path()).output();
    let output = output.unwrap_or_else(|error| panic!("{tool} must be installed: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{tool}: {}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "{tool} warns");
    text(&output.stdout)
}

#[test]
fn readelf_is_content() {
    let out = run("readelf", &["-aW"], &object(&policy(SMALL)));
    for word in [
        "Linux BPF",
        "boesfs_walk",
        ".rodata.states",
        "R_BPF_INSN_64",
        "R_BPF_INSN_DISP32",
        ".BTF.ext",
        MANIFEST_SECTION,
    ] {
        assert!(out.contains(word), "no {word} in {out}");
    }
    assert!(!out.to_lowercase().contains("warning"), "{out}");
}

#[test]
fn llvm_objdump_knows_every_instruction() {
    let out = run("llvm-objdump", &["-d"], &object(&policy(SMALL)));
    for name in FUNCTIONS {
        assert!(out.contains(&format!("<{name}>:")), "no {name} in {out}");
    }
    assert!(!out.contains("unknown"), "{out}");
}

/// bpftool is in a directory that is not in everyone's path.
fn bpftool() -> &'static str {
    if std::path::Path::new("/usr/sbin/bpftool").exists() { "/usr/sbin/bpftool" } else { "bpftool" }
}

#[test]
fn bpftool_dumps_the_types() {
    let out = run(bpftool(), &["btf", "dump", "file"], &object(&policy(SMALL)));
    for word in ["FUNC 'step'", "STRUCT 'boesfs_context'", "DATASEC '.rodata.edges'", "DATASEC '.maps'"] {
        assert!(out.contains(word), "no {word} in {out}");
    }
}

#[test]
fn libbpf_opens_it() {
    let bytes = object(&policy(SMALL));
    let object = libbpf_rs::ObjectBuilder::default().open_memory(&bytes).expect("libbpf opens the object");
    let maps: Vec<String> = object.maps().map(|map| map.name().to_string_lossy().into_owned()).collect();
    for name in Table::ALL.map(Table::section).into_iter().chain(Map::ALL.map(Map::name)) {
        assert!(maps.iter().any(|map| map == name), "no {name} in {maps:?}");
    }
    let ops = object.maps().find(|map| map.name() == "boesfs_policy").expect("the policy as a struct_ops");
    assert_eq!(ops.map_type(), libbpf_rs::MapType::StructOps);
    // Seven programs, three numbers, and the policy's name.
    let value = ops.initial_value().expect("what it says of itself");
    assert_eq!((value.len(), value[56..60].to_vec()), (136, VERSION.to_le_bytes().to_vec()));
    let name = value[72..].split(|byte| *byte == 0).next();
    assert_eq!(name, Some(reread(&bytes).manifest.name.as_bytes()));
    let programs: BTreeSet<String> = object.progs().map(|p| p.name().to_string_lossy().into_owned()).collect();
    let ours: BTreeSet<String> = reread(&bytes).program.entries().map(|entry| entry.name.clone()).collect();
    assert_eq!(programs, ours);
}

#[test]
fn libbpf_loads_all_of_an_object_for_that_unasked() {
    let policy = policy(SMALL);
    let bytes = autoloaded(&policy);
    assert_eq!(bytes, autoloaded(&policy), "the same bytes each time");
    let (ours, all) = (reread(&bytes), reread(&object(&policy)));
    assert_eq!((ours.programs(), all.programs()), (Programs::AutoloadLsm, Programs::All));
    assert_eq!((&ours.manifest, &ours.tables), (&all.manifest, &all.tables));
    let object = libbpf_rs::ObjectBuilder::default().open_memory(&bytes).expect("libbpf opens the object");
    assert!(object.maps().all(|map| map.map_type() != libbpf_rs::MapType::StructOps), "nothing is for the module");
    let mut attached = BTreeSet::new();
    for program in object.progs() {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let (name, section) = (text(program.name()), text(program.section()));
        assert!(program.autoload(), "{name}");
        // bpftool makes the directory for its pins with the first link.
        assert!(section == "syscall" || !attached.contains("syscall"), "{name} stands behind what cannot be attached");
        let alone = attached.insert(section.clone());
        assert!(section == "syscall" || alone, "{name}: another program is attached there, too");
        // The same instructions but for where they are called from: what one kind of object does, the other one does.
        let insns = |object: &PolicyObject| object.linked(&[&name]).map(|(program, _)| program.insns().to_vec());
        assert_eq!(insns(&ours), insns(&all), "{name}");
    }
    assert_eq!(object.progs().count(), ours.program.entries().count());
    for name in ["lsm_file_open", "lsm_inode_permission", "lsm_task_alloc", "kmod_check"] {
        assert!(!ours.has(name), "{name}");
    }
    for name in [ENTRY, "boesfs_learn", "boesfs_arm", "lsm_file_open_path", "lsm_path_rename", "rename_ends"] {
        assert!(ours.has(name), "{name}");
    }
    let with_executables = format!("{SMALL}exe \"/usr/bin/passwd\" : admin;\n");
    assert!(reread(&autoloaded(&self::policy(&with_executables))).has("lsm_task_alloc"), "roles of executables");
}

/// aya-obj 0.3 knows no `syscall` and struct_ops programs, and no `?` in front of a section: in a copy, the sections are called like ones
/// that it knows.
#[test]
fn aya_parses_it() {
    let policy = policy(SMALL);
    let syscall = ("syscall\0", "lsm/boe\0");
    let asked = [syscall, ("?lsm/", "lsm/_"), ("?fexit/", "fexit/_"), ("?struct_ops/", "lsm/boesfs__")];
    aya_parses(object(&policy), &asked);
    aya_parses(autoloaded(&policy), &[syscall]);
}

fn aya_parses(mut bytes: Vec<u8>, sections: &[(&str, &str)]) {
    let ours = reread(&bytes);
    for (old, new) in sections {
        let mut renamed = 0;
        for at in 0..bytes.len() - old.len() {
            if bytes[at..].starts_with(old.as_bytes()) {
                bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
                renamed += 1;
            }
        }
        assert!(renamed >= 2, "the section's name stands in the section names and in the types");
    }
    let mut object = aya_obj::Object::parse(&bytes).expect("aya-obj parses the object");
    assert!(Map::ALL.iter().all(|map| object.maps.contains_key(map.name())));
    assert!(Table::ALL.iter().all(|table| object.maps.contains_key(table.section())));
    assert_eq!(object.programs.len(), ours.program.entries().count());
    object.relocate_calls(&Default::default()).expect("aya-obj links the functions");
    for (name, program) in &object.programs {
        let function = &object.functions[&program.function_key()];
        let (ours, _) = ours.linked(&[name]).expect("we have it too");
        assert_eq!(function.instructions.len(), ours.insns().len(), "{name}: all functions are linked in");
    }
}

#[test]
fn foreign_files_are_told_apart() {
    assert_eq!(read(b""), Err(ReadError::NotElf));
    assert_eq!(read(b"policy small;\n"), Err(ReadError::NotElf));
    let exe = std::env::current_exe().and_then(std::fs::read).expect("this test");
    assert_eq!(read(&exe), Err(ReadError::NotElf));
}

/// Writes another value into the manifest's header, with a hash sum that fits.
fn forged(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut object = object(&policy(SMALL));
    object[MANIFEST_OFFSET + at..MANIFEST_OFFSET + at + bytes.len()].copy_from_slice(bytes);
    reseal(&mut object);
    object
}

#[test]
fn other_versions_are_refused() {
    assert_eq!(read(&forged(8, &(FORMAT + 1).to_le_bytes())), Err(ReadError::Version { format: FORMAT + 1 }));
    assert_eq!(read(&forged(0, b"NotOurs!")), Err(ReadError::Foreign));
    assert!(read(&forged(0, b"")).is_ok(), "the forging itself is sound");
    // Where the first format had its manifest: behind another section.
    let mut object = object(&policy(SMALL));
    let headers = object[40..].first_chunk().map_or(0, |offset| u64::from_le_bytes(*offset)) as usize;
    let header = headers + 64 + 24;
    assert_eq!(object[header..header + 8], (MANIFEST_OFFSET as u64).to_le_bytes(), "the first section's offset");
    let elsewhere = object.len() as u64;
    object.extend(MAGIC);
    object[header..header + 8].copy_from_slice(&elsewhere.to_le_bytes());
    object[header + 8..header + 16].copy_from_slice(&(MAGIC.len() as u64).to_le_bytes());
    assert_eq!(read(&object), Err(ReadError::Version { format: 1 }));
}

#[test]
fn a_wrong_header_with_a_right_hash_sum_is_refused() {
    // Classes, seed, glob shift: each contradicts the tables.
    for (at, bytes) in [(12, 7u32.to_le_bytes()), (12, [0; 4]), (16, 77u32.to_le_bytes()), (24, 40u32.to_le_bytes())] {
        assert!(read(&forged(at, &bytes)).is_err(), "byte {at} of the header");
    }
}

/// Any bytes of the file changed, with a hash sum that fits again: whatever is read must not panic, and what is
/// accepted must still be a whole object that can be listed.
fn tampered(changes: &[(usize, u8)]) -> Vec<u8> {
    let mut object = object(&policy(SMALL));
    for (at, byte) in changes {
        let at = at % object.len();
        object[at] ^= byte;
    }
    reseal(&mut object);
    object
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_policy_reads_back(policy in arbitrary::policies(12)) {
        let packed = pack::compile(&policy, &Limits::default());
        let packed = packed.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let bytes = build(&policy, &packed).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let object = read(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(object.manifest.rules.len(), policy.rules.len());
    }

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn damage_with_a_fitting_hash_sum_never_panics(
        changes in proptest::collection::vec((any::<usize>(), 1u8..), 1..4)
    ) {
        if let Ok(object) = read(&tampered(&changes)) {
            let _ = disasm::listing(&object.program);
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let object = object(&policy(SMALL));
    let mut copy = object.clone();
    for bit in (0..object.len() * 8).step_by(7) {
        copy[bit / 8] ^= 1 << (bit % 8);
        assert!(read(&copy).is_err(), "bit {bit} of byte {}", bit / 8);
        copy[bit / 8] = object[bit / 8];
    }
}

#[test]
fn every_truncation_is_refused() {
    let object = object(&policy(SMALL));
    for length in (0..object.len()).step_by(13).chain([object.len() - 1]) {
        assert!(read(&object[..length]).is_err(), "{length} of {} bytes", object.len());
    }
    let longer = [object.as_slice(), &[0]].concat();
    assert_eq!(read(&longer), Err(ReadError::Damaged));
}
