//! Does the bot have every right that its configuration may need? Names exactly what is missing.

use std::collections::BTreeMap;

use super::{finding::DoctorFinding, grant};
use crate::{
    cluster::{
        AccessQuestion, connect,
        rights::{Duty, RightScope, needed},
    },
    config::Config,
};

const AREA: &str = "kubernetes";

/// The findings, and the roles to apply where rights are missing.
pub(super) async fn examine(
    config: &Config,
    settings: crate::cluster::Settings,
) -> (Vec<DoctorFinding>, Option<String>) {
    let kubernetes = &config.kubernetes;
    let spire = settings.spire_namespace.clone();
    let reach = match connect(kubernetes.kubeconfig.as_deref(), kubernetes.context.as_deref(), settings).await {
        Ok(reach) => reach,
        Err(error) => {
            let remedy = "run it in the bot's own pod, or set kubernetes.kubeconfig";
            return (vec![DoctorFinding::missing(AREA, error.to_string(), remedy)], None);
        }
    };
    let wanted = wanted(config, &spire);
    let (who, answers) = futures::join!(reach.who_am_i(), reach.may(&wanted));
    let mut findings: Vec<DoctorFinding> =
        who.iter().map(|who| DoctorFinding::ok(AREA, format!("asked as {who}"))).collect();
    let mut granted: BTreeMap<(Duty, Option<&str>), usize> = BTreeMap::new();
    let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
    let mut missing = Vec::new();
    for (one, answer) in wanted.iter().zip(answers) {
        match answer {
            Ok(true) => *granted.entry((one.right.duty, one.namespace.as_deref())).or_default() += 1,
            Ok(false) => missing.push(one.clone()),
            Err(error) => *unknown.entry(error.to_string()).or_default() += 1,
        }
    }
    findings.extend(granted.into_iter().map(|((duty, namespace), rights)| {
        DoctorFinding::ok(AREA, format!("{} in {} ({rights} rights)", duty.name(), grant::place(namespace)))
    }));
    findings.extend(missing.iter().map(not_granted));
    findings.extend(unknown.into_iter().map(|(why, rights)| {
        DoctorFinding::not_checked(AREA, format!("{rights} rights: {why}"), "check the API server and the way to it")
    }));
    let grant = (!missing.is_empty()).then(|| grant::yaml(&missing, who.as_deref()));
    (findings, grant)
}

/// Every right that the configuration may need, in every place.
fn wanted(config: &Config, spire: &str) -> Vec<AccessQuestion> {
    let named: Vec<Option<String>> = config.kubernetes.namespaces.iter().map(|one| Some(one.to_string())).collect();
    let watched = if named.is_empty() { vec![None] } else { named };
    let mut wanted: Vec<AccessQuestion> = Vec::new();
    for right in needed(config.writes, &config.kubernetes.without) {
        let namespaces = match right.place {
            RightScope::Watched => watched.clone(),
            RightScope::Spire => vec![Some(spire.to_owned())],
            RightScope::Cluster => vec![None],
        };
        wanted.extend(namespaces.into_iter().map(|namespace| AccessQuestion { right, namespace }));
    }
    wanted
}

fn not_granted(one: &AccessQuestion) -> DoctorFinding {
    let right = one.right;
    let name = right.name.map(|name| format!("/{name}")).unwrap_or_default();
    let said = format!(
        "not allowed to {} {}{name} in {}: {}",
        right.verb,
        grant::resource(right),
        grant::place(one.namespace.as_deref()),
        right.duty.without_it()
    );
    let otherwise = match right.duty {
        Duty::Targets => String::new(),
        duty if duty.is_of_a_fix() => {
            format!(
                ", or leave this fix out on purpose (kubernetes.without: {}), or all of them (writes: false)",
                duty.name()
            )
        }
        duty => format!(", or do without it on purpose (kubernetes.without: {})", duty.name()),
    };
    DoctorFinding::missing(AREA, said, format!("grant it as below{otherwise}"))
}
