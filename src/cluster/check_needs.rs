//! What each check asks for, and what becomes of it without: the page `config/checks.md` is written from this.

use std::fmt::Write;

use strum::{EnumMessage, IntoEnumIterator};

use super::rights::{Duty, RIGHTS, RightScope};
use crate::triage::CheckId;

/// What a check asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct CheckNeeds {
    /// The duties whose rights it uses, beside finding the pods at all.
    duties: &'static [Duty],
    /// What it reads, and with which tool.
    reads: &'static str,
    /// What the bot does where a right or a tool is missing.
    otherwise: &'static str,
}

const CERTIFICATES: CheckNeeds = CheckNeeds {
    duties: &[Duty::Exec, Duty::PortForward],
    reads: "the file by `cat` in the container, and what the proxy serves by Envoy's admin interface (`/config_dump`)",
    otherwise: "Each copy stands for the other; with neither it is inconclusive.",
};
const FILES: CheckNeeds = CheckNeeds {
    duties: &[Duty::Exec, Duty::MountedBundles],
    reads: "the files by `cat` in the container; a bundle also from the ConfigMap that is mounted there",
    otherwise: "What cannot be read is listed under \"could not be seen\", and never taken for empty.",
};
const BUNDLES: CheckNeeds = CheckNeeds {
    duties: &[Duty::Exec, Duty::PortForward, Duty::Spire, Duty::Bundles, Duty::MountedBundles],
    reads: "the roots of each place: file, proxy, ConfigMaps, and the SPIRE server by `spire-server bundle`",
    otherwise: "A place that cannot be read is named, and never taken for empty.",
};
const PROXY: CheckNeeds = CheckNeeds {
    duties: &[Duty::PortForward, Duty::Exec],
    reads: "Envoy's admin interface (`/stats`, `/clusters`) by port-forward, else by `pilot-agent request`",
    otherwise: "Without counters it is inconclusive: absent is not zero.",
};

fn needs(check: CheckId) -> CheckNeeds {
    match check {
        CheckId::SvidDates
        | CheckId::SvidUsage
        | CheckId::ClockSkew
        | CheckId::Chain
        | CheckId::SpiffeId
        | CheckId::ServedIsOnDisk => CERTIFICATES,
        CheckId::FileUnreadable | CheckId::KeyInFile | CheckId::OtherBlocks | CheckId::FileCut | CheckId::FileChain => {
            FILES
        }
        CheckId::BundleEnd | CheckId::Bundles => BUNDLES,
        CheckId::Issuer => CheckNeeds {
            duties: &[Duty::Exec, Duty::PortForward, Duty::Spire, Duty::Bundles],
            reads: "the chain that is served, against SPIRE's bundle and istiod's `istio-ca-root-cert`",
            otherwise: "Without both roots it is not told who issued a certificate, and no fix of SPIRE is certain.",
        },
        CheckId::PodStart => CheckNeeds {
            duties: &[Duty::Logs],
            reads: "the pod's state and its events, of a pod without a certificate alone",
            otherwise: "Without events the pod's own waiting reasons must do.",
        },
        CheckId::SpireServer => CheckNeeds {
            duties: &[Duty::Spire, Duty::Exec, Duty::PortForward],
            reads: "each pod of the server by `spire-server healthcheck`, else by its HTTP probe and its readiness",
            otherwise: "Readiness alone decides nothing: it is inconclusive.",
        },
        CheckId::SpireAgent => CheckNeeds {
            duties: &[Duty::Spire, Duty::Exec, Duty::PortForward, Duty::Logs],
            reads: "the agent of each node by `spire-agent healthcheck` and by its log",
            otherwise: "A green healthcheck without a log proves little: it is inconclusive.",
        },
        CheckId::SpireAgents => CheckNeeds {
            duties: &[Duty::Spire],
            reads: "the list of all agents' pods, and whether each is Ready",
            otherwise: "Where the list cannot be read it is inconclusive.",
        },
        CheckId::ServerLog | CheckId::AgentLog | CheckId::ProxyLog | CheckId::ZtunnelLog => CheckNeeds {
            duties: &[Duty::Logs],
            reads: "the log of the container, the newest part of it",
            otherwise: "A log that is silent or cannot be read is inconclusive.",
        },
        CheckId::ModeInEffect | CheckId::DestinationRule => CheckNeeds {
            duties: &[Duty::Istio],
            reads: "the objects that decide on mTLS: Istio's rules and mesh configuration, namespaces, Services, their endpoints \
                    and pods",
            otherwise: "Without one kind of object nothing is computed: it is inconclusive, and names the right.",
        },
        CheckId::ServerCounters | CheckId::ClientCounters | CheckId::Connections => PROXY,
    }
}

/// The page of all checks, as Markdown.
pub fn page_of_checks() -> String {
    let mut page = "# The checks
Each check reads and changes nothing. Its number is that of the runbook's step which it automates, or of one that follows it.
It ends as ok, FAIL or ? (inconclusive, which never counts as a pass). The code writes this page; a test holds it to that.
"
    .to_owned();
    for check in CheckId::iter() {
        let CheckNeeds { duties, reads, otherwise } = needs(check);
        let about = check.get_documentation().unwrap_or_default();
        let step = check.step();
        // Writing into a String cannot fail.
        let _ =
            writeln!(page, "\n## `{check}`\n- **About**: {about}\n- **Runbook**: step {step}\n- **Reads**: {reads}");
        let rights: Vec<String> =
            duties.iter().map(|duty| format!("`{}` ({})", duty.name(), rights_of(*duty).join("; "))).collect();
        let _ = writeln!(page, "- **Rights**: {}\n- **Without them**: {otherwise}", rights.join(", "));
    }
    page
}

/// The rights of a duty, as `get, create pods/exec in watched namespaces`.
fn rights_of(duty: Duty) -> Vec<String> {
    let mut rights: Vec<(String, Vec<&str>)> = Vec::new();
    for right in RIGHTS.iter().filter(|right| right.duty == duty) {
        let place = match right.place {
            RightScope::Watched => " in watched namespaces",
            RightScope::Spire => " in SPIRE's namespace",
            RightScope::Cluster => "",
        };
        let name = right.name.map_or_else(String::new, |name| format!("/{name}"));
        let object = format!("{}{name}{place}", right.resource);
        match rights.iter_mut().find(|(known, _)| *known == object) {
            Some((_, verbs)) => verbs.push(right.verb),
            None => rights.push((object, vec![right.verb])),
        }
    }
    rights.into_iter().map(|(object, verbs)| format!("{} {object}", verbs.join(", "))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_page_of_the_checks_says_what_the_code_asks_for() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/checks.md");
        if std::env::var_os("WRITE_CHECKS").is_some() {
            fs::write(path, page_of_checks()).unwrap();
        }
        let written = fs::read_to_string(path).unwrap_or_default();
        assert!(written == page_of_checks(), "write it anew: WRITE_CHECKS=1 cargo test --lib check_needs");
    }

    #[test]
    fn every_check_uses_rights_that_the_bot_has_without_a_fix() {
        for check in CheckId::iter() {
            for duty in needs(check).duties {
                assert!(!duty.is_of_a_fix() && RIGHTS.iter().any(|right| right.duty == *duty), "{check}: {duty:?}");
            }
        }
    }
}
