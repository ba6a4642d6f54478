//! Whether a restart cures a SPIRE agent, as its own log and pod tell it (domain notes, section 3).

use jiff::Timestamp;

use super::{
    LogExcerpt, Redacted,
    agent_log::{Sign, sign_of, telling_lines, time_of},
    agent_words::{
        ATTESTED, ATTESTED_AGAIN, ATTESTED_ONCE_AND_IN_MEMORY, BANNED, FEDERATION, KUBELET, RENEWAL,
        SERVER_NOT_TRUSTED, UPDATED, has,
    },
    ends::end_of,
    examine::spire_agent::{AgentState, CUT_OFF_LEAST, by_its_log},
};

/// Whether an agent that starts anew can attest its node again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attestation {
    /// It can, and how that is known.
    Again(String),
    /// It attested with something that works once, and how that is known.
    Once(String),
    /// Nothing tells.
    Unknown,
}

/// Where it is looked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct AttestationSigns<'a> {
    /// What the configuration says of all agents.
    pub configured: Option<bool>,
    /// The log of the agent that runs now.
    pub log: Option<&'a str>,
    /// Whether its pod carries a token of its service account for the SPIRE server, which the attestor `k8s_psat` takes anew
    /// at each start.
    pub has_server_token: bool,
}

impl AttestationSigns<'_> {
    /// What they say together: people first, then the agent, then its pod.
    pub fn read(&self) -> Attestation {
        let configured = self.configured.map(|again| (again, "the configuration says so".to_owned()));
        let log = self.log.and_then(|log| log.lines().rev().find_map(said_of_attestation));
        let token = self.has_server_token.then(|| (true, "its pod carries a token for the SPIRE server".to_owned()));
        match configured.or(log).or(token) {
            Some((true, how)) => Attestation::Again(how),
            Some((false, how)) => Attestation::Once(how),
            None => Attestation::Unknown,
        }
    }
}

fn said_of_attestation(line: &str) -> Option<(bool, String)> {
    let says = |again| Some((again, format!("its log says: «{}»", end_of(&Redacted::new(line)))));
    if line.contains(ATTESTED_ONCE_AND_IN_MEMORY) {
        return says(false);
    }
    if line.contains(ATTESTED_AGAIN) {
        return says(true);
    }
    let (_, field) = line.split_once("reattestable").filter(|_| line.contains(ATTESTED))?;
    match field.trim_start_matches(['"', '=', ':', ' ']) {
        yes if yes.starts_with("true") => says(true),
        no if no.starts_with("false") => says(false),
        _ => None,
    }
}

/// What has to be mended first where an agent that says this would start from the same fault again.
fn to_be_mended_first(line: &str) -> Option<&'static str> {
    if line.contains(BANNED) {
        Some("the SPIRE server has banned it: lift the ban there first")
    } else if has(line, &SERVER_NOT_TRUSTED) {
        Some(
            "it does not trust the SPIRE server, because the bundle that it starts from is old: mend that bundle, or clear the \
             agent's data directory",
        )
    } else {
        None
    }
}

/// Whether a line is about somebody else's certificate: a peer's, the kubelet's, a workload's.
fn is_about_others(line: &str) -> bool {
    has(line, &FEDERATION) || has(line, &KUBELET) || line.contains("orkload")
}

/// How many agents one plan restarts at most: more at once is the fault of something that they share.
pub const AGENTS_MOST: usize = 3;

/// Why no plan restarts the agents of so many nodes.
pub fn too_many_agents(count: usize) -> String {
    format!(
        "{count} nodes are more than one plan looks after ({AGENTS_MOST}): look at what they share, as the SPIRE server"
    )
}

/// The newest line, if the server cannot be reached by what the log says last. That the agent tries again says nothing.
fn cut_off_now(log: &str) -> Option<String> {
    let is_try = |sign: &Sign| matches!(sign, Sign::Renewal | Sign::NoIdentity);
    let answered = |line: &&str| line.contains(UPDATED);
    let newest = log.lines().rev().take_while(|line| !answered(line));
    let newest = newest.filter_map(|line| Some((line, sign_of(line).filter(|sign| !is_try(sign))?)));
    let cut_off = |(_, sign): &(&str, Sign)| *sign == Sign::CannotReach;
    let cut_off: Vec<_> = newest.take_while(cut_off).take(CUT_OFF_LEAST).collect();
    let (line, _) = cut_off.first().filter(|_| cut_off.len() >= CUT_OFF_LEAST)?;
    Some(format!(
        "it cannot reach the SPIRE server, so a new one could not attest, and what this one still serves would be gone: mend \
         that first («{}»)",
        end_of(&Redacted::new(line))
    ))
}

/// Why a restart would only repeat what is wrong, as the newest lines of the log say it.
pub fn repeated_by_a_restart(log: &str) -> Option<String> {
    faulty_start(log).or_else(|| cut_off_now(log))
}

fn faulty_start(log: &str) -> Option<String> {
    let about_itself = |line: &&str| !is_about_others(line);
    let worked = |line: &&str| !line.contains(ATTESTED) && !line.contains("Successfully");
    let mut newest = log.lines().rev().take_while(worked).filter(about_itself);
    let (line, what) = newest.find_map(|line| Some((line, to_be_mended_first(line)?)))?;
    Some(format!("{what} («{}»)", end_of(&Redacted::new(line))))
}

/// Whether the log of an agent that has just started shows that it works: it attested, asks for SVIDs, and nothing fails.
/// Then since when that is so, where the lines bear times; else what is awaited.
pub fn works_since_its_start(log: &str) -> Result<Option<Timestamp>, String> {
    let updated = log.rfind(UPDATED);
    let since_update = updated.and_then(|at| log.get(at..)).unwrap_or(log);
    // An agent says that it asks before the server answers, and again at each try that fails: no try speaks against a failure.
    let answers: Vec<&str> = since_update.lines().filter(|line| !has(line, &RENEWAL)).collect();
    match judged(&answers.join("\n")) {
        Some(AgentState::CannotReachServer(why)) => return Err(format!("it cannot reach the SPIRE server; {why}")),
        Some(AgentState::Broken(why)) => return Err(why),
        _ => {}
    }
    let asks = updated.is_some() || log.lines().any(|line| has(line, &RENEWAL));
    match judged(since_update) {
        Some(AgentState::Works(_)) if !asks => {
            Err("it has attested its node, and has asked for no SVID yet".to_owned())
        }
        None if !asks => Err("its log shows no sign of work yet".to_owned()),
        Some(AgentState::Works(_)) | None => Ok(unbroken_since(log)),
        Some(AgentState::CannotReachServer(why)) => Err(format!("it cannot reach the SPIRE server; {why}")),
        Some(AgentState::Broken(why) | AgentState::Silent(why) | AgentState::Unknown(why)) => Err(why),
    }
}

fn judged(log: &str) -> Option<AgentState> {
    let lines = telling_lines(log).iter().map(|line| Redacted::new(line)).collect();
    by_its_log(&LogExcerpt { lines, ..LogExcerpt::default() }, &[])
}

/// When the agent asked first after the newest failure of its log; where it has not since, when that was.
fn unbroken_since(log: &str) -> Option<Timestamp> {
    let (mut since, mut failed) = (None, true);
    for line in log.lines() {
        match sign_of(line) {
            _ if line.contains(UPDATED) && failed => (since, failed) = (time_of(line), false),
            Some(Sign::Renewal) if failed => (since, failed) = (time_of(line), false),
            Some(Sign::Bad | Sign::CannotReach | Sign::NotSigned | Sign::NotUnderstood) => {
                (since, failed) = (time_of(line), true);
            }
            _ => {}
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> Attestation {
        AttestationSigns { log: Some(log), ..AttestationSigns::default() }.read()
    }

    #[test]
    fn what_the_server_said_when_the_agent_attested_tells_whether_it_can_do_so_again() {
        let text =
            "time=\"2026-11-24T02:00:00Z\" level=info msg=\"Node attestation was successful\" reattestable=false";
        assert!(matches!(read(text), Attestation::Once(_)));
        let json =
            r#"{"level":"info","msg":"Node attestation was successful","reattestable":true,"spiffe_id":"spiffe://a"}"#;
        assert!(matches!(read(json), Attestation::Again(_)));
        let old = "level=info msg=\"Node attestation was successful\" spiffe_id=\"spiffe://a\"";
        assert_eq!(read(old), Attestation::Unknown, "agents before 1.8 do not say it");
        let warned =
            "level=warning msg=\"Node attestation is not reattestable and the 'memory' key manager is in use\"";
        assert!(matches!(read(warned), Attestation::Once(_)));
    }

    #[test]
    fn people_are_believed_before_the_log_and_the_log_before_the_pod() {
        let log = Some("msg=\"Node attestation was successful\" reattestable=false");
        let signs = AttestationSigns { configured: None, log, has_server_token: true };
        assert!(matches!(signs.read(), Attestation::Once(_)));
        assert!(matches!(AttestationSigns { configured: Some(true), ..signs }.read(), Attestation::Again(_)));
        assert!(matches!(AttestationSigns { log: None, ..signs }.read(), Attestation::Again(_)));
    }

    #[test]
    fn a_fault_that_the_agent_starts_from_again_is_not_cured_by_a_restart() {
        let banned = "level=error msg=\"Agent is banned: removing SVID and shutting down\"";
        insta::assert_snapshot!(repeated_by_a_restart(banned).unwrap(), @r#"the SPIRE server has banned it: lift the ban there first («level=error msg="Agent is banned: removing SVID and shutting down"»)"#);
        let own = "level=error msg=\"Failed to retrieve attestation result\" error=\"x509: certificate signed by unknown authority\"";
        assert!(repeated_by_a_restart(own).is_some());
        let of_a_peer = "level=error msg=\"Federated bundle: x509: certificate signed by unknown authority\"";
        assert_eq!(repeated_by_a_restart(of_a_peer), None);
        let mended = format!("{own}\nlevel=info msg=\"Node attestation was successful\" reattestable=true");
        assert_eq!(repeated_by_a_restart(&mended), None);
    }

    #[test]
    fn a_new_agent_could_not_attest_either_where_the_server_cannot_be_reached_now() {
        let dials = |why: &str| {
            format!(
                "level=error msg=\"Synchronize failed\" error=\"code = Unavailable: {why}\" subsystem_name=manager\n"
            )
        };
        let asks = "level=info msg=\"Renewing X509-SVID\" spiffe_id=\"spiffe://a/b\"\n";
        let own = "level=error msg=\"Could not rotate agent SVID\" error=\"deadline exceeded\"\n";
        let refused = dials("dial tcp 10.96.3.7:8081: connect: connection refused");
        let cut_off = format!("{own}{refused}{asks}{refused}{asks}");
        insta::assert_snapshot!(repeated_by_a_restart(&cut_off).unwrap(), @r#"it cannot reach the SPIRE server, so a new one could not attest, and what this one still serves would be gone: mend that first («level=error msg="Synchronize failed" error="code = Unavailable: dial tcp 10.96.3.7:8081: connect: connection refused" subsystem_name=manager»)"#);
        assert_eq!(repeated_by_a_restart(&format!("{own}{refused}")), None, "one failure heals by itself");
        assert_eq!(repeated_by_a_restart(&format!("{refused}{refused}{own}")), None, "it was reached after that");
        let updated = "level=debug msg=\"SVID updated\" spiffe_id=\"spiffe://a/b\"\n";
        assert_eq!(repeated_by_a_restart(&format!("{cut_off}{updated}")), None, "it answered after that");
        // The server refuses the agent's own SVID, which is over: a new agent attests anew.
        let over = dials("error reading server preface: remote error: tls: bad certificate");
        assert_eq!(repeated_by_a_restart(&format!("{own}{over}{over}")), None);
    }

    #[test]
    fn an_agent_works_when_it_has_issued_and_nothing_failed_after_that() {
        let attested = "time=\"2026-11-24T03:00:00Z\" level=info msg=\"Node attestation was successful\"";
        let issued = "time=\"2026-11-24T03:00:01Z\" level=info msg=\"Creating X509-SVID\" spiffe_id=\"spiffe://a/b\"";
        let refused = "time=\"2026-11-24T03:00:02Z\" level=error msg=\"Failed to mint X509 SVID\" error=\"no\"";
        assert!(works_since_its_start("").is_err());
        let waits = works_since_its_start(attested).unwrap_err();
        assert_eq!(waits, "it has attested its node, and has asked for no SVID yet");
        let asked_at = "2026-11-24T03:00:01Z".parse().ok();
        assert_eq!(works_since_its_start(&format!("{attested}\n{issued}")), Ok(asked_at));
        assert!(works_since_its_start(&format!("{attested}\n{issued}\n{refused}")).is_err());
    }

    /// It asks anew at each try, and says so before the server answers.
    #[test]
    fn an_agent_that_asks_again_and_again_while_the_server_hangs_does_not_work() {
        let at = |second: u32, rest: &str| format!("time=\"2026-11-24T03:00:{second:02}Z\" level={rest}\n");
        let asks = |second| at(second, "info msg=\"Creating X509-SVID\" spiffe_id=\"spiffe://a/b\"");
        let hangs = |second| {
            at(second, "error msg=\"Synchronize failed\" error=\"code = DeadlineExceeded\" subsystem_name=manager")
        };
        let attested = at(0, "info msg=\"Node attestation was successful\"");
        let once = format!("{attested}{}{}{}", asks(1), hangs(10), asks(15));
        assert_eq!(
            works_since_its_start(&once),
            Ok("2026-11-24T03:00:15Z".parse().ok()),
            "one failure heals by itself"
        );
        let twice = format!("{once}{}{}", hangs(25), asks(30));
        insta::assert_snapshot!(works_since_its_start(&twice).unwrap_err(), @r#"it cannot reach the SPIRE server; its log says: time="2026-11-24T03:00:25Z" level=error msg="Synchronize failed" error="code = DeadlineExceeded" subsystem_name=manager"#);
        let updated = format!("{twice}{}", at(35, "debug msg=\"SVID updated\" entry=e spiffe_id=\"spiffe://a/b\""));
        assert_eq!(works_since_its_start(&updated), Ok("2026-11-24T03:00:30Z".parse().ok()), "the server has answered");
    }
}
