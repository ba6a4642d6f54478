//! What the rule in force says for one port and subset.
//!
//! Istio 1.31: `GetPortLevelTrafficPolicy`, `MergeSubsetTrafficPolicy` (pilot/pkg/networking/util/util.go),
//! `MergeTrafficPolicy` (pilot/pkg/model/destination_rule.go) and, for single endpoints, `trafficPolicyTLSModeForPort`
//! (pilot/pkg/xds/endpoints/mtls_checker.go).

use super::{
    policy_objects::{LoadBalancer, OutlierDetection, PortSettings, Subset, TlsMode, TlsSettings, TrafficPolicy},
    rule_merge::MergedRule,
};

/// The place in a rule that a setting is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RulePlace {
    Rule,
    RulePort,
    Subset,
    SubsetPort,
}

impl RulePlace {
    /// As Istio writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "trafficPolicy",
            Self::RulePort => "portLevelSettings",
            Self::Subset => "the subset's trafficPolicy",
            Self::SubsetPort => "the subset's portLevelSettings",
        }
    }
}

/// The settings that count for one port.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PortPolicy<'o> {
    pub(super) tls: Option<(&'o TlsSettings, RulePlace)>,
    pub(super) balancer: Option<&'o LoadBalancer>,
    outliers: Option<&'o OutlierDetection>,
}

impl PortPolicy<'_> {
    pub(super) fn is_passthrough(&self) -> bool {
        self.balancer.is_some_and(LoadBalancer::is_passthrough)
    }

    /// Whether endpoints that are not ready are kept from the client: only then they could be called in a panic.
    pub(super) fn keeps_ready_only(&self) -> bool {
        self.outliers.is_some_and(|outliers| outliers.min_health_percent > 0)
    }
}

fn port_entry(policy: &TrafficPolicy, port: u16) -> Option<&PortSettings> {
    policy.port_level_settings.iter().find(|entry| entry.is_for(port))
}

/// A port's entry stands in for the whole policy: what it leaves out is not taken from the level above.
fn at_port(policy: &TrafficPolicy, port: u16, whole: RulePlace, of_port: RulePlace) -> (PortPolicy<'_>, bool) {
    if let Some(entry) = port_entry(policy, port) {
        let tls = entry.tls.as_ref().map(|tls| (tls, of_port));
        let (balancer, outliers) = (entry.load_balancer.as_ref(), entry.outlier_detection.as_ref());
        (PortPolicy { tls, balancer, outliers }, true)
    } else {
        let tls = policy.tls.as_ref().map(|tls| (tls, whole));
        let (balancer, outliers) = (policy.load_balancer.as_ref(), policy.outlier_detection.as_ref());
        (PortPolicy { tls, balancer, outliers }, false)
    }
}

/// The settings of the rule itself.
pub(super) fn of_rule<'o>(rule: &MergedRule<'o>, port: u16) -> PortPolicy<'o> {
    rule.policy.map(|policy| at_port(policy, port, RulePlace::Rule, RulePlace::RulePort).0).unwrap_or_default()
}

/// Subset's port over subset over rule's port over rule. A port entry of the subset wipes all that the rule says, also where
/// it has no `tls`.
pub(super) fn of_subset<'o>(rule: &MergedRule<'o>, subset: Option<&'o Subset>, port: u16) -> PortPolicy<'o> {
    let base = of_rule(rule, port);
    let Some(policy) = subset.and_then(|subset| subset.traffic_policy.as_ref()) else { return base };
    let (own, has_port_entry) = at_port(policy, port, RulePlace::Subset, RulePlace::SubsetPort);
    if has_port_entry || rule.policy.is_none() {
        return own;
    }
    PortPolicy {
        tls: own.tls.or(base.tls),
        balancer: own.balancer.or(base.balancer),
        outliers: own.outliers.or(base.outliers),
    }
}

/// The mode that each endpoint of an automatic cluster is held to. Here a port entry without `tls` does fall back to the level
/// above, unlike for the cluster.
pub(super) fn endpoint_mode(rule: &MergedRule<'_>, subset: Option<&Subset>, port: u16) -> Option<(TlsMode, RulePlace)> {
    let level = |policy: Option<&TrafficPolicy>, whole, of_port| {
        let policy = policy?;
        let entry = port_entry_with_tls(policy, port).map(|tls| (tls.mode, of_port));
        entry.or_else(|| policy.tls.as_ref().map(|tls| (tls.mode, whole)))
    };
    let of_subset =
        subset.and_then(|subset| level(subset.traffic_policy.as_ref(), RulePlace::Subset, RulePlace::SubsetPort));
    of_subset.or_else(|| level(rule.policy, RulePlace::Rule, RulePlace::RulePort))
}

fn port_entry_with_tls(policy: &TrafficPolicy, port: u16) -> Option<&TlsSettings> {
    policy.port_level_settings.iter().filter(|entry| entry.is_for(port)).find_map(|entry| entry.tls.as_ref())
}
