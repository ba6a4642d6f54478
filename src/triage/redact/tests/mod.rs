//! What is hidden, and what a diagnosis needs and therefore stays.

use base64::{Engine, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};

mod callers;

use super::{DROPPED, Redacted, RedactedLog, holds_a_secret};
use crate::triage::LogExcerpt;

fn key_pem() -> String {
    KeyPair::generate().unwrap().serialize_pem()
}

fn redacted(line: &str) -> String {
    Redacted::new(line).to_string()
}

#[test]
fn a_secret_is_hidden_in_every_form_in_which_logs_write_it() {
    let jwt = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln";
    for (line, kept) in [
        ("\"GET /pay?card=4111&cvv=1 HTTP/1.1\" 503", "\"GET /pay?[redacted] HTTP/1.1\" 503"),
        (&format!("token {jwt} end"), "token [redacted] end"),
        ("authorization: Bearer abc.def end", "authorization: Bearer [redacted] end"),
        ("Proxy-Authorization: Basic dXNlcjpodW50ZXIy end", "Proxy-Authorization: Basic [redacted] end"),
        (
            "authorization: Digest username=\"u\", realm=\"r\", response=\"hunter2\" end",
            "authorization: Digest [redacted] end",
        ),
        (
            "Authorization: AWS4-HMAC-SHA256 Credential=x/20260101, SignedHeaders=host, Signature=hunter2 end",
            "Authorization: AWS4-HMAC-SHA256 [redacted] end",
        ),
        ("{\"authorization\":\"ApiKey hunter2 x\",\"a\":1}", "{\"authorization\":\"ApiKey [redacted]\",\"a\":1}"),
        ("map[Authorization:[Bearer hunter2] Accept:[*/*]]", "map[Authorization:[Bearer [redacted]] Accept:[*/*]]"),
        ("authorization: hunter2hunter2 end", "authorization: [redacted]"),
        ("cookie: sid=hunter2; theme=dark end", "cookie: [redacted] end"),
        ("Set-Cookie: sid=hunter2; Path=/; HttpOnly", "Set-Cookie: [redacted]"),
        ("{\"set-cookie\":\"sid=hunter2; Path=/\",\"a\":1}", "{\"set-cookie\":\"[redacted]\",\"a\":1}"),
        ("join_token=4f3c end", "join_token=[redacted] end"),
        ("password: hunter2", "password: [redacted]"),
        ("password: swordfish", "password: [redacted]"),
        ("DB_PASSWORD=swordfish,x DB_HOST=db", "DB_PASSWORD=[redacted] DB_HOST=db"),
        ("user=bot,pwd=hunter2,host=db", "user=bot,pwd=[redacted],host=db"),
        ("{\"passwd\":\"hun\\\"ter2\",\"host\":\"db\"}", "{\"passwd\":\"[redacted]\",\"host\":\"db\"}"),
        (
            "{\"msg\":\"{\\\"token\\\":\\\"hunter2\\\",\\\"a\\\":1}\"}",
            "{\"msg\":\"{\\\"token\\\":\\\"[redacted]\\\",\\\"a\\\":1}\"}",
        ),
        (
            "{\"m\":\"{\\\\\\\"clientSecret\\\\\\\":\\\\\\\"hunter2\\\\\\\"}\"}",
            "{\"m\":\"{\\\\\\\"clientSecret\\\\\\\":\\\\\\\"[redacted]\\\\\\\"}\"}",
        ),
        ("run --token=hunter2 --node x", "run --token=[redacted] --node x"),
        ("run -joinToken hunter2 -x", "run -joinToken [redacted] -x"),
        ("args: [\"--api-key\", \"hunter2\", \"--x\"]", "args: [\"--api-key\", \"[redacted]\", \"--x\"]"),
        ("curl -u bot:hunter2 https://x", "curl -u [redacted] https://x"),
        ("x-api-key: hunter2", "x-api-key: [redacted]"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[redacted]"),
        ("Server=db;User Id=sa;Password=hunter2;Encrypt=true", "Server=db;User Id=sa;Password=[redacted];Encrypt=true"),
        ("<password>hunter2</password>", "<password>[redacted]</password>"),
        ("(\"password\", \"hunter2\")", "(\"password\", \"[redacted]\")"),
        ("api_key%3Dhunter2 end", "api_key%3D[redacted] end"),
        ("the password is \"hunter2\"", "the password is \"[redacted]\""),
        ("dial postgres://bot:hun@ter2@db:5432/x failed", "dial postgres://[redacted]@db:5432/x failed"),
        ("dial amqp://bot:hun/ter2@mq/x failed", "dial amqp://[redacted]@mq/x failed"),
        ("dsn bot:hunter2@tcp(db:3306)/x", "dsn [redacted]@tcp(db:3306)/x"),
        ("jdbc:oracle:thin:scott/tiger@db:1521", "jdbc:oracle:thin:[redacted]@db:1521"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("posting to https://hooks.slack.com/services/T0/B0/hunter2", "posting to https://hooks.slack.com/[redacted]"),
        ("xoxb-123456-abcdef xapp-1-A0-12-ab", "[redacted] [redacted]"),
        ("ghp_0123456789abcdefABCD", "[redacted]"),
        ("pass\u{200b}word=hunter2", "password=[redacted]"),
        ("root:$6$salt$0123456789abcdef./x:1", "root:[redacted]:1"),
        (
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"hunter2\"}",
            "{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"[redacted]\"}",
        ),
        ("a\u{1b}[31mred", "a [31mred"),
        // A password may hold whatever ends a word elsewhere.
        ("DB_PASSWORD=Xy7)kQ2pLm9 next", "DB_PASSWORD=[redacted] next"),
        ("(DB_PASSWORD=a}bcdef123) next", "(DB_PASSWORD=[redacted]) next"),
        ("msg=\"password=p'ssw0rd99\" next", "msg=\"password=[redacted]\" next"),
        ("password=Ab<Cd12345, token=ab\\cd12345", "password=[redacted], token=[redacted]"),
        ("password=<hunter22> next", "password=[redacted] next"),
        ("{\"m\":\"password=hunter2\\nuser=bot\"} x", "{\"m\":\"password=[redacted]\\nuser=bot\"} x"),
        ("{password: hunter2, user: bot}", "{password: [redacted], user: bot}"),
        ("password: correct horse battery staple", "password: [redacted]"),
        ("password: correct horse battery, user: bot", "password: [redacted] battery, user: bot"),
        ("token: hunter2 was rejected", "token: [redacted] was rejected"),
        ("SECRET_KEY_BASE=hunter2 SLACK_TOKEN_V2=hunter2", "SECRET_KEY_BASE=[redacted] SLACK_TOKEN_V2=[redacted]"),
        ("MY_TOKEN_OF_OURS=hunter2 TOKEN_TTL=1h", "MY_TOKEN_OF_OURS=[redacted] TOKEN_TTL=1h"),
        ("keytool -storepass hunter2 -keypass hunter3 -v", "keytool -storepass [redacted] -keypass [redacted] -v"),
        ("openssl -passin pass:hunter2 -in x", "openssl -passin pass:[redacted] -in x"),
        // Lists, and names that stand beside their values, in documents and in other lines.
        ("{\"token\":[\"a1\",\"b2\"],\"a\":1}", "{\"token\":[\"[redacted]\",\"[redacted]\"],\"a\":1}"),
        ("tokens: [a1, b2] next", "tokens: [[redacted], [redacted]] next"),
        ("config {\"token\":[\"a1\",\"b2\"]} x", "config {\"token\":[\"[redacted]\",\"[redacted]\"]} x"),
        ("{\"name\":\"DB_PASSWORD\",\"value\":\"hunter2\"}", "{\"name\":\"DB_PASSWORD\",\"value\":\"[redacted]\"}"),
        (
            "env {\\\"name\\\":\\\"DB_PASSWORD\\\",\\\"value\\\":\\\"hunter2\\\"}",
            "env {\\\"name\\\":\\\"DB_PASSWORD\\\",\\\"value\\\":\\\"[redacted]\\\"}",
        ),
        ("{name: DB_PASSWORD, value: hunter2}", "{name: DB_PASSWORD, value: [redacted]}"),
        ("{\"value\":\"hunter2\",\"name\":\"api_key\"}", "{\"value\":\"[redacted]\",\"name\":\"api_key\"}"),
        ("{\"pin\":1,\"password\":12345678}", "{\"pin\":1,\"password\":\"[redacted]\"}"),
        (
            "[\"run\",\"--token\",\"hunter2\",\"-u\",\"a:b\"]",
            "[\"run\",\"--token\",\"[redacted]\",\"-u\",\"[redacted]\"]",
        ),
        (
            "{\"headers\":{\"Authorization\":[\"Bearer hunter2\"]},\"a\":\"token\",\"b\":\"c\"}",
            "{\"headers\":{\"Authorization\":[\"Bearer [redacted]\"]},\"a\":\"token\",\"b\":\"c\"}",
        ),
    ] {
        assert_eq!(redacted(line), kept, "{line}");
    }
}

#[test]
fn a_secret_of_yaml_may_stand_in_the_lines_below_its_name() {
    let log = RedactedLog::new("a: 1\npassword: |\n  hunter2\n  hunter3\nb: 2");
    assert_eq!(&*log, "a: 1\npassword: |\n  [redacted]\n  [redacted]\nb: 2");
    let log = RedactedLog::new("env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: HOST\n  value: db");
    assert_eq!(&*log, "env:\n- name: DB_PASSWORD\n  value: [redacted]\n- name: HOST\n  value: db");
}

#[test]
fn what_a_diagnosis_needs_stays() {
    let params = CertificateParams::default();
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let in_base64 = STANDARD.encode(certificate.pem());
    for line in [
        "msg=\"Renewing X509-SVID\" is it?",
        "token has expired",
        "request authenticate failure",
        "service account token has expired",
        "failed to fetch token: rpc error: code = Unavailable desc = x",
        "unable to load private key: disk full",
        "failed to get secret: web/tls-cert not found",
        "join token was not provided",
        "unable to retrieve valid identity token: no route",
        "credentials: cannot check peer: missing selected ALPN property",
        "is not authorized to read secrets: default",
        "TLS error: Secret is not supplied by SDS",
        "generated new workload certificate resource=default latency=1ms secret=ROOTCA",
        "secret \"default\" secret: default kubernetes://shop-cert",
        "spiffe://prod.example.org/ns/web/sa/frontend serial=234872364872364872368",
        "basic constraints of the authority, bearer authentication failed",
        "authorization denied for method /spire.api.server.agent.v1.Agent/RenewAgent",
        "docker.io/istio/proxyv2:1.26.0@sha256:0123456789abcdef",
        "https://spire-server:8081/path@x",
        "x509: certificate signed by unknown authority (possibly because of \"crypto/rsa: verification error\")",
        "[\"default\"] the token file /var/run/secrets/tokens/istio-token is empty",
        "token: null, secret: {\"name\": 1}, pass: true",
        "unable to load keypair: open /x: no such file",
        "Private key recovered, but SVID is expired. Generating new keypair.",
        &in_base64,
        &certificate.pem().replace('\n', " "),
        &STANDARD.encode(certificate.der()),
    ] {
        assert_eq!(redacted(line), line);
    }
    let log = format!("before\n{}after", certificate.pem());
    assert_eq!(&*RedactedLog::new(&log), log);
}

fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn nothing_is_dropped_from_what_real_proxies_and_past_nights_said() {
    let mut all = Vec::new();
    for folder in ["tests/data/envoy", "tests/data/evidence"] {
        files(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut all);
    }
    all.retain(|path| path.extension().is_some_and(|kind| kind != "md"));
    assert!(all.len() > 50, "{}", all.len());
    for path in all {
        let text = std::fs::read_to_string(&path).unwrap();
        for (said, kept) in text.lines().zip(RedactedLog::new(&text).lines()) {
            assert_eq!(said, kept, "{}", path.display());
        }
    }
}

/// None of a key's lines, nor a part of one that says anything.
fn hides(log: &str, key: &str) {
    let kept = RedactedLog::new(log);
    for line in key.lines().filter(|line| !line.starts_with("---")) {
        for part in line.as_bytes().chunks(12).filter(|part| part.len() == 12) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(!kept.contains(part), "{part} of {log} in {}", &*kept);
        }
    }
}

#[test]
fn a_private_key_is_hidden_in_one_line_in_several_and_cut_at_either_end() {
    let key = key_pem();
    let rsa = key.replace(" PRIVATE", " RSA PRIVATE");
    let lines: Vec<&str> = key.lines().collect();
    let prefixed = key.lines().fold(String::new(), |log, line| log + "2026-11-24T03:00:00Z stdout F " + line + "\n");
    let entry =
        |line: &str| serde_json::json!({"level": "info", "msg": line, "node": "a", "ts": "x"}).to_string() + "\n";
    let entries: String = key.lines().map(entry).collect();
    let logged = |before: &str, after: &str| key.lines().fold(String::new(), |log, line| log + before + line + after);
    let quoted = logged("time=x level=info msg=\"", "\" node=a\n");
    let bare = logged("level=info line=", " node=abcdefgh\n");
    let encrypted = key.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1);
    for log in [
        key.clone(),
        rsa,
        format!("read {}", key.replace('\n', "\\n")),
        format!("{{\"key\":\"{}\"}}", key.replace('\n', "\\n")),
        format!("{{\"m\":\"{{\\\"k\\\":\\\"{}\\\"}}\"}}", key.replace('\n', "\\\\n")),
        format!("read {}", key.replace('\n', " ")),
        prefixed,
        entries,
        quoted,
        bare,
        encrypted,
        lines[..lines.len() - 1].join("\n"),
        lines[1..].join("\n"),
        lines[1..lines.len() - 1].join("\n"),
        format!("dumped {} and went on", STANDARD.encode(&key)),
        format!("dumped {}", STANDARD.encode(&key).trim_end_matches('=').get(..200).unwrap()),
        format!("der {}", lines[1..lines.len() - 1].join("")),
    ] {
        hides(&log, &key);
        for part in STANDARD.encode(&key).as_bytes().chunks(16) {
            let part = std::str::from_utf8(part).unwrap();
            assert!(part.len() < 16 || !RedactedLog::new(&log).contains(part), "{part} in {log}");
        }
    }
    let log = format!("first\n{key}time=\"2026-11-24T03:00:00Z\" level=info msg=\"Renewing X509-SVID\" node=a\nlast");
    let expected = "time=\"2026-11-24T03:00:00Z\" level=info msg=\"Renewing X509-SVID\" node=a\nlast";
    let kept = RedactedLog::new(&log);
    assert!(kept.starts_with("first\n") && kept.ends_with(expected), "{}", &*kept);
}

#[test]
fn a_caller_cannot_hide_the_lines_behind_its_own() {
    let mark = "\"GET /-----BEGIN PRIVATE KEY----- HTTP/1.1\" 503 UF";
    let next = "time=x level=error msg=\"Synchronize failed\" subsystem_name=manager\nSynchronize failed\n";
    let kept = RedactedLog::new(&format!("{mark}\n{next}{next}"));
    assert_eq!(kept.matches("Synchronize failed").count(), 4, "{}", &*kept);
    assert!(kept.contains("HTTP/1.1\" 503 UF"), "{}", &*kept);
}

#[test]
fn a_long_line_keeps_its_beginning_and_its_end_where_the_cause_stands() {
    let line = format!("Synchronize failed {} larger than max", "x".repeat(9000));
    let kept = redacted(&line);
    assert!(kept.starts_with("Synchronize failed") && kept.ends_with("larger than max") && kept.len() < 2100);
    assert_eq!(redacted(&kept), kept);
}

#[test]
fn evidence_of_an_older_build_is_cleared_when_it_is_read() {
    let key = key_pem();
    let lines: Vec<&str> = key.lines().chain(["token=hunter2", "fine"]).collect();
    let stored = serde_json::json!({"lines": lines, "cut": false}).to_string();
    let read: LogExcerpt = serde_json::from_str(&stored).unwrap();
    assert_eq!(read.lines.len(), lines.len());
    let text = serde_json::to_string(&read).unwrap();
    assert!(!text.contains("hunter2") && !text.contains(lines[1]) && text.contains("fine"), "{text}");
    let der = KeyPair::generate().unwrap().serialize_der();
    let stored = serde_json::json!({"certificates": [STANDARD.encode(&der)], "keys_dropped": 0, "other_blocks": 0});
    let read: crate::triage::PemFile = serde_json::from_value(stored).unwrap();
    assert!(read.certificates.is_empty());
}

#[test]
fn a_configuration_may_hold_addresses_and_no_secret() {
    for fine in ["https://pager.example.org/v2/enqueue?team=x", "app=spire-server", "S0ONCALL", "/etc/token", "15m"] {
        assert!(!holds_a_secret(fine), "{fine}");
    }
    for secret in [
        "https://u:p@pager.example.org",
        "https://pager.example.org/x?token=hunter2",
        "https://hooks.slack.com/services/T/B/x",
        "xoxb-1234567",
    ] {
        assert!(holds_a_secret(secret), "{secret}");
    }
}

proptest! {
    #[test]
    fn what_was_cleared_once_is_clear(text in "(\\PC|[ \\n\"'\\\\:=?@/,;{}\\[\\]-]|token|password|Bearer |://|authorization: |cookie: |secret|\\[redacted\\]){0,24}") {
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once.clone());
        let log = RedactedLog::new(&text);
        prop_assert_eq!(&*RedactedLog::new(&log), &*log);
    }

    #[test]
    fn a_value_behind_the_name_of_a_secret_never_stays(
        name in "(DB_|db\\.|x-|my)?(password|passwd|token|client_secret|api[_-]key|accessKey|PWD)(_BASE|_v2)?",
        value in "[A-Za-z0-9!#$%^*+~-]{3,20}[0-9][A-Za-z0-9!#$%^*+~\"'`<>()\\[\\]{}\\\\]{3,20}[A-Za-z0-9]{4}",
        form in 0..7_usize,
    ) {
        let line = match form {
            0 => format!("{name}={value} next"),
            1 => serde_json::json!({&name: value, "next": 1}).to_string(),
            2 => format!("{name}: {value}"),
            3 => format!("run --{name} {value} next"),
            4 => serde_json::json!({"m": serde_json::json!({&name: [&value, &value]}).to_string()}).to_string(),
            5 => format!("msg=\"x {name}={value}\" next"),
            _ => format!("{name}='{value}', next"),
        };
        // A value may begin with a dash, and would then be another flag; within quotes it holds none of the same.
        prop_assume!(!(value.starts_with('-') || form == 6 && value.contains(['\'', '\\'])));
        let kept = redacted(&line);
        prop_assert!(kept.contains(DROPPED), "{} in {}", value, kept);
        for part in value.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|part| part.len() > 3) {
            prop_assert!(!kept.contains(part), "{} of {} in {}", part, value, kept);
        }
    }
}
