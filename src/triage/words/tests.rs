use super::*;

const TABLES: [(Tool, &str, usize); 5] = [
    (Tool::SpireAgent, include_str!("spire-agent.tsv"), 180),
    (Tool::SpireServer, include_str!("spire-server.tsv"), 157),
    (Tool::PilotAgent, include_str!("pilot-agent.tsv"), 106),
    (Tool::Envoy, include_str!("envoy.tsv"), 93),
    (Tool::Ztunnel, include_str!("ztunnel.tsv"), 48),
];

/// A line with the words of a row, and something where it leaves a gap.
fn line_of(row: &Words) -> String {
    row.parts.join(" something ")
}

#[test]
fn every_row_of_every_table_is_read() {
    for (tool, text, rows) in TABLES {
        assert_eq!(text.lines().count() - 1, rows, "{tool:?}");
        let unread: Vec<&str> = text.lines().skip(1).filter(|line| line.split('\t').count() != 7).collect();
        assert!(
            unread.is_empty() && tool.table().len() == rows,
            "{tool:?}: {} of {rows}: {unread:#?}",
            tool.table().len()
        );
    }
}

#[test]
fn the_words_of_every_row_are_found_and_point_where_it_says() {
    let mut wrong = Vec::new();
    for (tool, _, _) in TABLES {
        for row in tool.table() {
            let line = line_of(row);
            match tool.most_telling(&line) {
                Some(found) if found.points_to == row.points_to => {}
                found => wrong.push(format!(
                    "{tool:?} «{line}» points to {:?}, found {:?} by {:?}",
                    row.points_to,
                    found.map(|found| found.points_to),
                    found.map(|found| &found.parts),
                )),
            }
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_was_told_last_within_an_error_names_the_cause() {
    let line = "level=error msg=\"Synchronize failed\" error=\"failed to fetch authorized entries: rpc error: code = \
                ResourceExhausted desc = grpc: received message larger than max (4197194 vs. 4194304)\"";
    assert_eq!(Tool::SpireAgent.most_telling(line).unwrap().points_to, PointsTo::Cause(Scenario::Registration));
    let line = "503 UF TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:\
                _SAN_matcher:TLS_error_end";
    assert_eq!(Tool::Envoy.most_telling(line).unwrap().points_to, PointsTo::Cause(Scenario::IdentityMismatch));
    assert_eq!(Tool::Envoy.most_telling("200 - via_upstream").unwrap().points_to, PointsTo::HealthySign);
    assert_eq!(Tool::SpireAgent.most_telling("a line of somebody else"), None);
}
