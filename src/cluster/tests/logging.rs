use futures::io::Cursor;

use super::{Machines, Mesh, pod_ref};
use crate::cluster::{logs::newest, sample::is_tls_error};

#[tokio::test]
async fn of_a_log_that_is_too_long_the_newest_lines_are_kept() {
    let padding = "x".repeat(400);
    let lines: Vec<String> = (0..4000).map(|number| format!("{number} {padding}")).collect();
    let log = lines.into_iter().map(|line| &*line.leak()).collect();
    let mesh = Mesh::with(Machines { log, ..Machines::default() }).await;
    let text = mesh.reach.log(&pod_ref("frontend-a"), Some("istio-proxy"), 3600).await.unwrap();
    assert!(text.len() <= 1024 * 1024 && text.len() > 1000 * 1000, "{} bytes", text.len());
    assert!(text.ends_with(&format!("3999 {padding}\n")), "the newest line is there");
    let first = text.lines().next().unwrap();
    assert!(first.ends_with(&padding) && first.len() > padding.len() + 1, "and none is torn: {first}");
}

#[tokio::test]
async fn one_bad_byte_costs_one_character_and_not_the_log() {
    let text = newest(Cursor::new(b"before\nb\xffd\nafter\n"), 100).await.unwrap();
    assert_eq!(text, "before\nb\u{fffd}d\nafter\n");
    assert_eq!(newest(Cursor::new(b"one\ntwo\nthree\n"), 8).await.unwrap(), "three\n");
    assert_eq!(newest(Cursor::new(b""), 8).await.unwrap(), "");
}

#[tokio::test]
async fn of_a_line_that_is_too_long_no_part_is_kept_since_the_name_of_its_secret_is_cut_off() {
    for log in ["password=hunter2hunter2", "before\npassword=hunter2hunter2\n", "password=hunter2hunter2\n"] {
        let error = newest(Cursor::new(log.as_bytes()), 10).await.unwrap_err();
        assert_eq!(error.to_string(), "its newest line is over 10 bytes, and is not read in part");
    }
    let log = b"password=hunter2hunter2\nafter\n";
    assert_eq!(newest(Cursor::new(log), 10).await.unwrap(), "after\n");
}

#[test]
fn only_what_is_about_tls_counts_against_a_fix() {
    let line =
        |status: &str, detail: &str| format!("[2026-11-24T03:00:00.000Z] \"GET / HTTP/1.1\" {status} - \"{detail}\"");
    let expired = line(
        "503 UF via",
        "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:certificate_has_expired",
    );
    assert!(is_tls_error(&expired, false));
    let refused = line("503 UF via", "delayed_connect_error:_Connection_refused");
    assert!(!is_tls_error(&refused, true), "nobody answers: network, not TLS");
    let cut = line("503 UC upstream_reset", "-");
    assert!(is_tls_error(&cut, true), "all there is to see of a rejected certificate where counters are hidden");
    assert!(!is_tls_error(&cut, false), "an application that hung up: the counters say which");
    assert!(!is_tls_error(&line("500 - via_upstream", "-"), true));
}
