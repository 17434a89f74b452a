//! Names that change while they are used: no verdict may be had for one object and used on another. Run as root.

#![expect(clippy::unwrap_used, reason = "the helpers of tests, too, stop at the first surprise")]

mod fuse_support;

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use fuse_support::Fixture;

#[test]
fn swapping_names_never_opens_what_is_closed() {
    let fixture = Fixture::new("default allow; deny read on \"/secret/\";", |below| {
        fs::create_dir(below.join("secret")).unwrap();
        fs::create_dir(below.join("pub")).unwrap();
        fs::write(below.join("secret/f"), "SECRET").unwrap();
        fs::write(below.join("pub/f"), "public").unwrap();
    });
    let stop = AtomicBool::new(false);
    let (reads, leaks) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for i in 0..2 {
            let (fixture, stop) = (&fixture, &stop);
            scope.spawn(move || {
                let (link, spare) = (fixture.at("link"), fixture.at(&format!("spare{i}")));
                for turn in 0_u32.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let target = if turn % 2 == 0 { "pub" } else { "secret" };
                    let _ = fs::remove_file(&spare);
                    std::os::unix::fs::symlink(target, &spare).unwrap();
                    let _ = fs::rename(&spare, &link);
                    // A link to the public file comes and goes at a name that is read as well.
                    let _ = fs::hard_link(fixture.at("pub/f"), fixture.at("name"));
                    let _ = fs::rename(fixture.at("name"), fixture.at("secret/g"));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for name in ["link/f", "name", "secret/g", "link/g"] {
                        if let Ok(text) = fs::read(fixture.at(name)) {
                            reads.fetch_add(1, Ordering::Relaxed);
                            leaks.fetch_add(u32::from(text == b"SECRET"), Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(leaks.load(Ordering::Relaxed), 0);
    assert!(reads.load(Ordering::Relaxed) > 100, "the race did not happen");
    fixture.unmount();
}
