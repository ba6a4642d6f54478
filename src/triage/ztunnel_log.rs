//! What the log of a node's ztunnel says of a pod in ambient mode, in whose place it makes and takes mTLS (words:
//! `words/ztunnel.tsv`). One log speaks of every pod of the node: lines about others are no evidence for this one.

use super::{
    LogExcerpt, Redacted, Scenario, Side,
    envoy::is_recent,
    not_understood::{KEPT_MOST, speaks_of_failure},
    words::{PointsTo, Tool},
};
use crate::mesh::{PodRef, ServiceAccount};

/// How many lines of connections that came about are kept.
const WELL_MOST: usize = 3;
/// How a line says that the other side refused us, before it says with which alert.
const REFUSED_BY_PEER: &str = "received fatal alert: ";

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// A connection with identities on both sides came about and ended well.
    Connected,
    /// Something failed for this reason.
    Failed(Scenario, &'static str),
    /// Something failed, and the words do not say why.
    Unclear,
}

/// Whose lines are looked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) pod: &'a PodRef,
    pub(crate) account: Option<&'a ServiceAccount>,
}

impl Of<'_> {
    /// Whether a line is about this pod, or about no pod: then it is about the whole node.
    fn concerns(self, line: &str) -> bool {
        let of_nobody = !line.contains("spiffe://") && !line.contains(".workload");
        of_nobody || self.is_named_in(line)
    }

    fn is_named_in(self, line: &str) -> bool {
        let workload = format!("\"{}\"", self.pod.name);
        let namespace = format!("\"{}\"", self.pod.namespace);
        let as_workload = line.contains(&workload) && line.contains(&namespace);
        as_workload || self.account.is_some_and(|account| names_identity(line, self.pod, account))
    }
}

/// Whether a line names the identity of this account, and not one that begins like it.
fn names_identity(line: &str, pod: &PodRef, account: &ServiceAccount) -> bool {
    let path = format!("/ns/{}/sa/{account}", pod.namespace);
    let goes_on = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.');
    line.match_indices(&path).any(|(at, found)| {
        let behind = line.get(at.saturating_add(found.len())..).unwrap_or_default();
        !behind.starts_with(goes_on)
    })
}

/// The lines of a ztunnel's log that say something of this pod or of the whole node, in their order: the newest of each kind.
pub(crate) fn ztunnel_log_excerpt(text: &str, of: Of<'_>) -> LogExcerpt {
    let (mut failed, mut well, mut cut) = (0_usize, 0_usize, false);
    let mut lines = Vec::new();
    for line in text.lines().rev().filter(|line| of.concerns(line)) {
        let (count, most) = match said(line) {
            Some(Said::Connected) => (&mut well, WELL_MOST),
            Some(Said::Failed(..) | Said::Unclear) => (&mut failed, KEPT_MOST.saturating_mul(2)),
            None => continue,
        };
        *count = count.saturating_add(1);
        if *count <= most {
            lines.push(Redacted::new(line));
        } else {
            cut = true;
        }
    }
    lines.reverse();
    LogExcerpt { lines, cut, ..LogExcerpt::default() }
}

/// What a line says of a connection or a certificate, if anything.
pub(super) fn said(line: &str) -> Option<Said> {
    if let Some((_, alert)) = line.split_once(REFUSED_BY_PEER) {
        return Some(refused_with(alert));
    }
    if line.contains("RevocationList") {
        return Some(Said::Failed(Scenario::TrustBundleMismatch, "the list of revoked certificates here is over"));
    }
    let row = Tool::Ztunnel.most_telling(line);
    if let Some((scenario, row)) = row.and_then(|row| Some((row.points_to.scenario()?, row))) {
        return Some(Said::Failed(scenario, row.meaning));
    }
    let failed = row.is_some_and(|row| row.points_to == PointsTo::ConsequenceOnly) || speaks_of_failure(line);
    if has_error(line) || is_loud(line) && failed {
        return Some(Said::Unclear);
    }
    let with_identities = line.matches("identity").count() > 1;
    (line.contains("connection complete") && with_identities).then_some(Said::Connected)
}

/// The other side refused what ztunnel showed for this pod.
fn refused_with(alert: &str) -> Said {
    let alert: String = alert.chars().take_while(char::is_ascii_alphanumeric).collect();
    match alert.as_str() {
        "CertificateExpired" => {
            Said::Failed(Scenario::ExpiredCertificate, "the peer says that the certificate of this side is over")
        }
        "UnknownCA" | "DecryptError" => {
            Said::Failed(Scenario::TrustBundleMismatch, "the peer does not trust the authority of this side")
        }
        _ => Said::Unclear,
    }
}

/// Whether the access line of a connection ends with an error, whatever its level.
fn has_error(line: &str) -> bool {
    line.contains(" error=") || line.contains("\"error\":")
}

fn is_loud(line: &str) -> bool {
    let level = line.split_whitespace().nth(1).unwrap_or_default();
    let in_json = ["\"level\":\"warn", "\"level\":\"error"].iter().any(|word| line.contains(word));
    in_json || level.starts_with("warn") || level.starts_with("error")
}

/// Which side of the connection a line is about.
pub(super) fn side_of(line: &str) -> Side {
    if line.contains("outbound") {
        Side::Client
    } else if line.contains("inbound") {
        Side::Server
    } else {
        Side::Unknown
    }
}

/// The lines of late that say something, oldest first.
pub(super) fn of_late(log: &LogExcerpt, read_at: jiff::Timestamp) -> impl Iterator<Item = (&str, Said)> {
    let lines = log.lines.iter().map(Redacted::as_str).filter(move |line| is_recent(line, read_at));
    lines.filter_map(|line| Some((line, said(line)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(words: &str) -> String {
        format!(
            "2026-11-24T02:59:00.000000Z\terror\taccess\tconnection complete\tsrc.workload=\"web-0\" src.namespace=\"web\" \
             src.identity=\"spiffe://a/ns/web/sa/web\" dst.identity=\"spiffe://b/ns/x/sa/y\" direction=\"outbound\" {words}"
        )
    }

    #[test]
    fn each_version_of_rustls_words_and_json_lines_are_read_and_alerts_are_the_peers() {
        use Scenario::{ExpiredCertificate, IdentityMismatch, IstiodCa, TrustBundleMismatch};
        let cause = |line: &str| match said(line) {
            Some(Said::Failed(scenario, _)) => Some(scenario),
            _ => None,
        };
        for (words, scenario) in [
            ("error=\"io error: invalid peer certificate: BadSignature\"", Some(TrustBundleMismatch)),
            ("error=\"io error: invalid peer certificate: UnknownIssuer\"", Some(TrustBundleMismatch)),
            ("error=\"io error: invalid peer certificate: Expired\"", Some(ExpiredCertificate)),
            ("error=\"io error: received fatal alert: CertificateExpired\"", Some(ExpiredCertificate)),
            ("error=\"io error: received fatal alert: UnknownCA\"", Some(TrustBundleMismatch)),
            ("error=\"io error: received fatal alert: CertificateUnknown\"", None),
            ("error=\"tls handshake error: InvalidCertificate(ExpiredRevocationList)\"", Some(TrustBundleMismatch)),
            (
                "error=\"identity verification error: peer did not present the expected SAN (a), got b\"",
                Some(IdentityMismatch),
            ),
        ] {
            assert_eq!(cause(&access(words)), scenario, "{words}");
        }
        let json = "{\"level\":\"warn\",\"time\":\"2026-11-24T02:59:00Z\",\"scope\":\"ztunnel::identity::manager\",\
                    \"message\":\"certificate fetch failed (spiffe://a/ns/web/sa/web) and no valid existing certificate; will \
                    retry in 5s\"}";
        assert_eq!(cause(json), Some(IstiodCa));
        assert_eq!(
            said(&access("error=\"something new\"")),
            Some(Said::Unclear),
            "an error is never taken for a success"
        );
        assert_eq!(said(&access("bytes_sent=1").replace("\terror\t", "\tinfo\t")), Some(Said::Connected));
        assert_eq!(said("2026-11-24T02:59:00Z\tinfo\tstate\tready"), None);
    }

    #[test]
    fn lines_about_other_pods_of_the_node_are_no_evidence_for_this_one() {
        let pod = PodRef { namespace: "web".parse().unwrap(), name: "web-0".parse().unwrap() };
        let account: ServiceAccount = "web".parse().unwrap();
        let of = Of { pod: &pod, account: Some(&account) };
        let bad = access("error=\"io error: invalid peer certificate: BadSignature\"");
        let node_wide =
            "2026-11-24T02:59:00Z\twarn\txds::client\tXDS client connection error: tls handshake, retrying in 5s";
        let others = bad.replace("web-0", "api-0").replace("sa/web\"", "sa/web-admin\"");
        let text = [bad.as_str(), others.as_str(), node_wide].join("\n");
        let kept = ztunnel_log_excerpt(&text, of).lines;
        let with_blanks = [bad.as_str(), node_wide].map(|line| line.replace('\t', " "));
        assert_eq!(kept.iter().map(Redacted::as_str).collect::<Vec<_>>(), with_blanks);
    }
}
