//! The words of SPIRE's agents, in one list: each is a part of a line that an agent writes (SPIRE source; domain notes,
//! section 3). What a line with them means is said by who asks: [`super::agent_log`] and [`super::agent_restart`].

/// Whether one of these words stands in a line.
pub(super) fn has(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

/// Said before the server answers: what came of it shows behind that.
pub(super) const RENEWAL: [&str; 2] = ["Renewing X509-SVID", "Creating X509-SVID"];
/// Said at level debug once the answer is there: the proof that the agent hands out SVIDs.
pub(super) const UPDATED: &str = "SVID updated";
/// How the line of a first attestation begins; its field `reattestable` is the server's own word.
pub(super) const ATTESTED: &str = "Node attestation was successful";
pub(super) const ATTESTED_AGAIN: &str = "Successfully reattested node";
/// SPIRE 1.15.3 and newer.
pub(super) const ATTESTED_ONCE_AND_IN_MEMORY: &str = "Node attestation is not reattestable";
pub(super) const WELL: [&str; 4] =
    ["Successfully rotated agent SVID", ATTESTED_AGAIN, ATTESTED, "Successfully rotated"];
pub(super) const BANNED: &str = "gent is banned";
pub(super) const BAD: [&str; 10] = [
    "Could not reattest agent",
    "Could not rotate agent SVID",
    BANNED,
    "Agent crashed",
    "already expired and reattest agent failed",
    "Agent needs to re-attest",
    "Agent failed re-attestation",
    "rotate agent SVID failed",
    "SVID key recovered, but SVID is expired",
    "service account token has expired",
];
/// The bundle that the agent started from does not lead to the server's certificate.
pub(super) const SERVER_NOT_TRUSTED: [&str; 2] =
    ["certificate signed by unknown authority", "ECDSA verification failure"];
/// Said only about the SPIRE server.
pub(super) const CANNOT_REACH: [&str; 5] = [
    "could not open attestation stream to SPIRE server",
    "Failed to retrieve attestation result",
    "Synchronize failed",
    "SVID sync failed",
    "failed to dial",
];
/// The server was there, and ended the handshake: often the agent's own SVID is over, and a restart attests anew.
pub(super) const HANDSHAKE_REFUSED: [&str; 3] = ["connection closed", "server preface", "remote error: tls"];
/// gRPC's words for an answer over its limit: all registration entries of an agent come in one.
pub(super) const TOO_MUCH: &str = "received message larger than max";
/// Said about anything that is dialled: they count only beside a word for the server.
pub(super) const NOT_DIALLED: [&str; 4] = ["Error while dialing", "connection refused", "i/o timeout", "no such host"];
pub(super) const SERVER: [&str; 4] = ["spire-server", "SPIRE server", ":8081", "subsystem_name=manager"];
/// The kubelet, which the agent asks who a workload is.
pub(super) const KUBELET: [&str; 2] = ["kubelet", ":10250"];
/// A peer's bundle.
pub(super) const FEDERATION: [&str; 2] = ["ederated", "bundle endpoint"];
pub(super) const WORKLOAD_ATTESTOR: [&str; 3] = ["workload attestor", "workload_attestor", "WorkloadAttestor"];
/// The agent could not learn who a workload is, and says so to the workload.
pub(super) const WORKLOAD_NOT_ATTESTED: [&str; 2] = ["Workload attestation failed", "Failed to attest the workload"];
/// The same, as it stands within the error of another line.
pub(super) const NOT_ATTESTED_IN_AN_ERROR: [&str; 2] =
    ["workload attestation failed", "Failed to collect all selectors"];
/// A workload got nothing, and the line says no more than that.
pub(super) const NO_IDENTITY: [&str; 3] =
    ["No identity issued", "no identity issued", "workload is not authorized for the requested identities"];
/// With the registration entry's ID and the server's own words.
pub(super) const NOT_SIGNED: &str = "Failed to mint X509 SVID";
/// Errors and warnings of every day: a proxy went away, or a server that is older knows no status reports.
pub(super) const HARMLESS: [&str; 6] = [
    "Error sending secrets over stream",
    "Received error from stream secrets server",
    "Received unexpected nonce; ignoring request",
    "Failed to post agent status",
    "SVID is not found. Starting node attestation",
    "Bundle is not found",
];
