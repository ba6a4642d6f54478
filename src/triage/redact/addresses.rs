//! Secrets in addresses: user and password before the host, the values of a query, addresses of webhooks that are secrets
//! themselves, and connection strings of databases.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::keys::compiled;

/// `scheme://user:password@`, with slashes that JSON may have escaped. A password may hold an `@`.
static USERINFO: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?i)\b[a-z][a-z0-9+.-]*:(?:\\*/){2}(?P<who>[^\s"'`<>/?#\\]+)@"#));

/// The same with a slash or a question mark in the password.
static USERINFO_WITH_SLASH: LazyLock<Regex> =
    LazyLock::new(|| compiled(r#"(?i)\b[a-z][a-z0-9+.-]*://(?P<who>[^\s"'`<>/@:?#]*:(?P<password>[^\s"'`<>@]+))@"#));

/// Connection strings without a scheme: Go's MySQL driver, Oracle's JDBC, and the general form.
static WITHOUT_SCHEME: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?i)(?P<go>[a-z0-9_.%-]+:[^\s"'`]+)@(?:tcp|udp|unix)\(|jdbc:oracle:[a-z]+:(?P<oracle>[^\s"'`@]+)@|(?:^|[\s"'`=(,])(?P<pair>[a-z0-9_.-]+:[^\s@/"'`]{3,})@(?:localhost|[a-z0-9-]+(?:\.[a-z0-9-]+)+)(?::\d|/)"#,
    )
});

static QUERY: LazyLock<Regex> = LazyLock::new(|| compiled(r#"\?(?P<query>[^\s"<>\\)?:,;.!|][^\s"<>\\]*)"#));

/// Services that let everybody post who has the address.
static WEBHOOK: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r#"(?i)(?:hooks\.slack(?:-gov)?\.com|discord(?:app)?\.com/api/webhooks|[a-z0-9.-]+\.webhook\.office\.com|outlook\.office(?:365)?\.com/webhook|api\.telegram\.org|events\.(?:eu\.)?pagerduty\.com/integration|hc-ping\.com|nosnch\.in|heartbeat\.uptimerobot\.com|hooks\.zapier\.com|maker\.ifttt\.com/trigger)(?:\\*/)(?P<path>[^\s"'`<>\\?]+(?:\\/[^\s"'`<>\\?]+)*)"#,
    )
});

pub(super) fn find(line: &str, places: &mut Vec<Range<usize>>) {
    find_secrets(line, places);
    for found in QUERY.captures_iter(line) {
        places.extend(found.name("query").map(|query| query.range()));
    }
}

/// What is a secret for certain: all but queries.
pub(super) fn find_secrets(line: &str, places: &mut Vec<Range<usize>>) {
    if line.contains('@') {
        places.extend(USERINFO.captures_iter(line).filter_map(|found| Some(found.name("who")?.range())));
        for found in USERINFO_WITH_SLASH.captures_iter(line) {
            let (Some(who), Some(password)) = (found.name("who"), found.name("password")) else { continue };
            if !is_port_and_path(password.as_str()) {
                places.push(who.range());
            }
        }
        for found in WITHOUT_SCHEME.captures_iter(line) {
            let who = ["go", "oracle", "pair"].iter().find_map(|name| found.name(name));
            places.extend(who.map(|who| who.range()));
        }
    }
    places.extend(WEBHOOK.captures_iter(line).filter_map(|found| Some(found.name("path")?.range())));
}

/// `8443/path`, as in an address whose path holds an `@`.
fn is_port_and_path(text: &str) -> bool {
    text.split_once('/').is_some_and(|(port, _)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}
