//! `examples/web`: nginx serves, its editors edit, and neither does the other's work.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::rig::{Run, Sandbox, Site, records, repository};

fn site() -> Site {
    let site = Site::new();
    site.file("www/site/index.html", "<p>hello\n");
    site.file("www/site/.htpasswd", "admin:hash\n");
    site.file("www/tls.key", "PRIVATE\n");
    for dir in ["run", "tmp", "log"] {
        site.dir(&format!("www/{dir}"));
    }
    site
}

fn sandbox(site: &Site) -> Sandbox {
    Sandbox::example("web", &[("root", &site.at("www"))], site.at("audit.jsonl"))
}

/// The answer to one request; empty while nobody answers.
fn get(port: u16, path: &str) -> String {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        if stream.write_all(request.as_bytes()).is_ok() {
            let _ = stream.read_to_end(&mut answer);
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn nginx_serves_and_logs_and_leaks_nothing() {
    let site = site();
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("port").port();
    let conf = std::fs::read_to_string(repository("examples/web/nginx.conf")).expect("nginx.conf");
    site.file("www/nginx.conf", &conf.replace("8080", &port.to_string()));
    let prefix = site.at("www").display().to_string();
    let words = ["/usr/sbin/nginx", "-p", &prefix, "-c", "nginx.conf", "-e", "log/error.log"];
    let mut server = sandbox(&site).dir(site.at("www")).command(&words).spawn().expect("boesfs");
    let start = Instant::now();
    let mut home = String::new();
    while home.is_empty() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
        home = get(port, "/");
        assert!(server.try_wait().expect("wait").is_none(), "{}", site.text("www/log/error.log"));
    }
    let (hidden, key) = (get(port, "/.htpasswd"), get(port, "/everything/tls.key"));
    // SIGTERM passes through the agent to the server.
    std::process::Command::new("kill").arg(server.id().to_string()).status().expect("kill");
    server.wait().expect("wait");

    assert!(home.contains("200 OK") && home.ends_with("<p>hello\n"), "{home}");
    assert!(hidden.contains("403 Forbidden"), "{hidden}");
    assert!(key.contains("403 Forbidden") && !key.contains("PRIVATE"), "{key}");
    assert!(site.text("www/log/access.log").contains("GET / HTTP/1.0"), "{}", site.text("www/log/error.log"));
    let refused = records(&site.at("audit.jsonl"));
    assert!(refused.iter().any(|record| record.path.ends_with("/tls.key") && record.roles.contains(&"server".into())));
}

fn edit(site: &Site, script: &str) -> Run {
    sandbox(site).option("--role").option("editor").dir(site.at("www")).run(&["/bin/sh", "-c", script])
}

#[test]
fn editors_edit_pages_only() {
    let site = site();
    site.file("www/nginx.conf", "# the server's\n");
    let script = "echo '<p>bye' > site/index.html && mv site/index.html site/old.html && echo edited
        echo '<?php' > site/shell.php || echo no programs; echo evil >> nginx.conf || echo not the server
        cat log/access.log || echo not the logs";
    assert_eq!(edit(&site, script).ok().out, "edited\nno programs\nnot the server\nnot the logs\n");
    assert_eq!(site.text("www/site/old.html"), "<p>bye\n");
    assert_eq!(site.text("www/nginx.conf"), "# the server's\n");
}

#[test]
fn an_editor_who_starts_the_server_stays_an_editor() {
    let site = site();
    site.file("www/nginx.conf", "# the server's\n");
    let run = edit(&site, "/usr/sbin/nginx -p . -c nginx.conf -e log/error.log || echo refused").ok();
    assert_eq!(run.out, "refused\n", "{run:#?}");
    let by_server = run.audit.iter().filter(|record| record.comm == "nginx").collect::<Vec<_>>();
    assert!(
        !by_server.is_empty() && by_server.iter().all(|record| !record.roles.contains(&"server".into())),
        "{run:#?}"
    );
}
