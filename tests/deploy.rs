//! What is in `deploy/` is held to the code: rights, metrics, scopes, paths. (`tests/live/deploy` runs Helm and promtool.)
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

use mtls_medic::{
    chat::slack::SCOPES,
    cluster::{
        Settings,
        rights::{RIGHTS, RightScope},
    },
    config::{Config, mesh_settings},
    metrics::MetricName,
};
use serde_json::Value;
use strum::IntoEnumIterator;

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn documents(path: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&text(path)).unwrap()
}

fn manifests() -> Vec<Value> {
    let all = ["deploy/manifests/mtls-medic.yaml", "deploy/manifests/all-fixes.yaml"].map(documents);
    all.concat().into_iter().filter(|one| !one.is_null()).collect()
}

fn of_kind(kind: &str) -> Vec<Value> {
    manifests().into_iter().filter(|one| one["kind"] == kind).collect()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|one| one.as_str().unwrap().to_owned()).collect()
}

/// (duty, place, group, resource, name, verb), one for each verb on each resource.
type Granted = (String, &'static str, String, String, String, String);

fn granted() -> Vec<Granted> {
    let mut all = Vec::new();
    for role in of_kind("ClusterRole").into_iter().chain(of_kind("Role")) {
        let place = if role["kind"] == "Role" { "spire" } else { "everywhere" };
        assert!(place == "everywhere" || role["metadata"]["namespace"] == "spire-system", "{role}");
        let duty = role["metadata"]["name"].as_str().unwrap().trim_start_matches("mtls-medic-").to_owned();
        for rule in role["rules"].as_array().unwrap() {
            let names = Some(strings(&rule["resourceNames"])).filter(|names| !names.is_empty());
            for (group, resource) in pairs(&strings(&rule["apiGroups"]), &strings(&rule["resources"])) {
                for (name, verb) in pairs(&names.clone().unwrap_or(vec![String::new()]), &strings(&rule["verbs"])) {
                    all.push((duty.clone(), place, group.clone(), resource.clone(), name, verb));
                }
            }
        }
    }
    all
}

fn pairs(left: &[String], right: &[String]) -> Vec<(String, String)> {
    left.iter().flat_map(|one| right.iter().map(|other| (one.clone(), other.clone()))).collect()
}

#[test]
fn the_roles_grant_what_the_bot_asks_all_of_it_and_nothing_else() {
    let needed = RIGHTS.iter().map(|right| {
        let place = if right.place == RightScope::Spire { "spire" } else { "everywhere" };
        let owned = |text: &str| text.to_owned();
        let name = right.name.unwrap_or_default();
        (owned(right.duty.name()), place, owned(right.group), owned(right.resource), owned(name), owned(right.verb))
    });
    let (needed, given): (BTreeSet<Granted>, Vec<Granted>) = (needed.collect(), granted());
    let given_once: BTreeSet<Granted> = given.iter().cloned().collect();
    assert_eq!(given.len(), given_once.len(), "nothing is granted twice");
    assert_eq!(given_once.difference(&needed).collect::<Vec<_>>(), Vec::<&Granted>::new(), "granted and never asked");
    assert_eq!(needed.difference(&given_once).collect::<Vec<_>>(), Vec::<&Granted>::new(), "asked and not granted");
    for (_, _, group, resource, name, verb) in &given {
        assert!(![group, resource, name, verb].iter().any(|word| word.contains('*')), "a wildcard");
        assert!(!resource.starts_with("secrets"), "secrets are never read");
        assert!(["get", "list"].contains(&verb.as_str()) || resource.starts_with("pods/"), "{resource} {verb}");
    }
}

#[test]
fn every_role_is_bound_to_the_bots_own_account_and_to_nobody_else() {
    let (roles, bindings) =
        (of_kind("ClusterRole").len() + of_kind("Role").len(), [of_kind("ClusterRoleBinding"), of_kind("RoleBinding")]);
    let bindings = bindings.concat();
    assert_eq!(roles, bindings.len());
    let account = serde_json::json!([{"kind": "ServiceAccount", "name": "mtls-medic", "namespace": "mtls-medic"}]);
    for binding in bindings {
        assert_eq!(binding["subjects"], account);
        assert_eq!(binding["roleRef"]["name"], binding["metadata"]["name"]);
    }
}

#[test]
fn what_looks_can_be_applied_without_what_writes() {
    let looking = text("deploy/manifests/mtls-medic.yaml");
    assert!(!looking.contains("eviction"), "the write role of the fix is in a file of its own");
    assert!(looking.contains("writes: false"));
}

#[test]
fn the_chart_writes_a_configuration_that_the_bot_understands() {
    let map = of_kind("ConfigMap").into_iter().next().unwrap();
    let config = Config::parse(map["data"]["config.yaml"].as_str().unwrap()).unwrap();
    assert_eq!(config.listen.port(), 8080);
    assert!(!config.writes && config.kubernetes.without.is_empty());
    let folder = config.journal.parent().unwrap().to_str().unwrap();
    let container = &of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let mounted = container["volumeMounts"].as_array().unwrap();
    assert!(mounted.iter().any(|mount| mount["mountPath"] == folder && mount["name"] == "journal"));
    let text = map.to_string();
    assert!(!["xoxb-", "xapp-", "Bearer"].iter().any(|secret| text.contains(secret)));
}

#[test]
fn the_pod_has_nothing_that_it_does_not_need() {
    let deployment = &of_kind("Deployment")[0]["spec"];
    assert_eq!((&deployment["replicas"], &deployment["strategy"]["type"]), (&1.into(), &"Recreate".into()));
    let pod = &deployment["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    let container = &pod["containers"][0];
    let expected = serde_json::json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(container["securityContext"], expected);
    assert_eq!(of_kind("ServiceAccount")[0]["automountServiceAccountToken"], false);
    let server = text("src/http/health.rs");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert!(server.contains(&format!(".route(\"{path}\"")), "{path} is served");
    }
    assert_eq!(of_kind("Service")[0]["spec"]["publishNotReadyAddresses"], true, "alerts come in before Slack is back");
}

#[test]
fn the_admission_policy_allows_the_commands_that_the_bot_runs() {
    let policy =
        of_kind("ValidatingAdmissionPolicy").iter().map(ToString::to_string).collect::<String>().replace('\\', "");
    let settings = Settings::default();
    for argv in [
        vec!["cat", &settings.svid_path, &settings.svid_path],
        vec!["cat", &settings.bundle_path, &settings.bundle_path],
        vec![&settings.agent_command, "healthcheck", "-socketPath", &settings.agent_socket],
        vec![
            &settings.agent_command,
            "debug",
            "getinfo",
            "-output",
            "json",
            "-socketPath",
            &settings.agent_admin_socket,
        ],
        vec![&settings.server_command, "healthcheck", "-socketPath", &settings.server_socket],
        vec![&settings.server_command, "bundle", "show", "-output", "json", "-socketPath", &settings.server_socket],
        vec![&settings.server_command, "bundle", "list", "-output", "json", "-socketPath", &settings.server_socket],
    ] {
        let written = serde_json::to_string(&argv).unwrap();
        assert!(policy.contains(&written), "{written} is not in {policy}");
    }
}

#[test]
fn rules_and_dashboard_use_metrics_that_the_bot_has_and_the_dashboard_shows_each_of_them() {
    let there: BTreeSet<&str> = MetricName::iter().map(MetricName::name).collect();
    let used = |path: &str| -> BTreeSet<String> {
        let text = text(path);
        let names = text.split("mtls_medic_").skip(1);
        names.map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()).collect()
    };
    let (rules, dashboard) = (used("deploy/chart/files/rules.yaml"), used("deploy/chart/files/dashboard.json"));
    for name in rules.iter().chain(&dashboard) {
        assert!(there.contains(name.as_str()), "{name} is none of {there:?}");
    }
    for name in there {
        assert!(dashboard.contains(name), "{name} is not on the dashboard");
    }
}

/// The paper says of each metric what the bot says of it in `/metrics`, and names no other.
#[test]
fn the_paper_lists_every_metric_with_its_labels_its_kind_and_its_help() {
    let row = |metric: MetricName| {
        let labels = metric.labels().join(",");
        let labels = if labels.is_empty() { labels } else { format!("{{{labels}}}") };
        let kind: &str = metric.kind().into();
        format!("| `{}{labels}` | {kind} | {} |\n", metric.name(), metric.help())
    };
    let table: String = MetricName::iter().map(row).collect();
    let paper = text("deploy/operations.md");
    let rows = paper.split_once("| metric | kind | what it says |\n| --- | --- | --- |\n").unwrap().1;
    let rows: String = rows.split_inclusive('\n').take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows, table, "deploy/operations.md must have these rows:\n{table}");
}

#[test]
fn the_slack_app_asks_for_the_scopes_that_doctor_looks_for() {
    let app = documents("deploy/slack-manifest.yaml").remove(0);
    let scopes: BTreeSet<String> = strings(&app["oauth_config"]["scopes"]["bot"]).into_iter().collect();
    assert_eq!(scopes, SCOPES.iter().map(|scope| scope.name.to_owned()).collect());
    assert_eq!(app["features"]["slash_commands"][0]["command"], "/mtls");
    assert_eq!(app["features"]["slash_commands"][0]["should_escape"], true);
    assert_eq!(
        (&app["settings"]["interactivity"]["is_enabled"], &app["settings"]["socket_mode_enabled"]),
        (&true.into(), &true.into())
    );
}

/// What stands behind `name=` in an address.
fn parameter<'a>(address: &'a str, name: &str) -> &'a str {
    let pairs = address.split(['?', '&']).filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next().unwrap()
}

#[cfg(feature = "discord")]
#[test]
fn discords_invite_link_asks_for_the_permissions_and_scopes_of_the_code_and_the_paper_explains_each() {
    use mtls_medic::chat::discord::{INVITE_SCOPES, PERMISSIONS, invite_link};
    let paper = text("deploy/discord.md");
    let links: Vec<&str> = paper.lines().map(str::trim).filter(|line| line.contains("oauth2/authorize")).collect();
    let [link] = links[..] else { panic!("one link: {links:?}") };
    let asked: u64 = parameter(link, "permissions").parse().unwrap();
    assert_eq!(asked, PERMISSIONS.iter().fold(0, |all, one| all | one.bits));
    assert_eq!(parameter(link, "scope"), INVITE_SCOPES.join("+"));
    assert_eq!(link, invite_link("APPLICATION"), "`doctor` prints the same");
    let rows: Vec<String> = PERMISSIONS.iter().map(|one| format!("| `{}` | {} |", one.name, one.without_it)).collect();
    assert!(paper.contains(&rows.join("\n")), "{rows:#?}");
}

/// In Helm's values a long number without quotes is rounded, and would be another person's id.
#[test]
fn the_chart_takes_discords_ids_in_quotes_alone() {
    let schema: Value = serde_json::from_str(&text("deploy/chart/values.schema.json")).unwrap();
    let config = &schema["properties"]["config"]["properties"];
    let (discord, people) = (&config["discord"]["oneOf"][1]["properties"], &config["people"]["properties"]);
    let mention = &people["levels"]["items"]["properties"]["mention"];
    let rosters =
        [mention, &people["commanders"], &people["approvers"]].map(|one| &one["properties"]["discord"]["properties"]);
    let listed = rosters.iter().flat_map(|one| [&one["users"]["items"], &one["roles"]["items"]]);
    let ids = [&discord["application"], &discord["guild"], &discord["channel"]];
    for id in ids.into_iter().chain([&people["same"]["items"]["properties"]["discord"]]).chain(listed) {
        assert_eq!((&id["type"], &id["pattern"]), (&"string".into(), &"^[0-9]{17,20}$".into()));
    }
}

#[test]
fn alertmanager_sends_to_the_address_that_the_chart_serves() {
    let snippet = documents("deploy/alertmanager-receiver.yaml").remove(0);
    let url = snippet["receivers"][0]["webhook_configs"][0]["url"].as_str().unwrap().to_owned();
    let service = &of_kind("Service")[0];
    let (name, namespace) =
        (service["metadata"]["name"].as_str().unwrap(), service["metadata"]["namespace"].as_str().unwrap());
    let port = &service["spec"]["ports"][0]["port"];
    assert_eq!(url, format!("http://{name}.{namespace}.svc:{port}/webhooks/alertmanager"));
    assert!(text("src/alertmanager/route.rs").contains(".route(\"/webhooks/alertmanager\""));
    let alerts = strings(
        &documents("deploy/chart/files/rules.yaml")[0]["groups"][0]["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| rule["alert"].clone())
            .filter(|alert| !alert.is_null())
            .collect(),
    );
    assert!(alerts.contains(&"MTLSHandshakeFailureRateHigh".to_owned()), "the alert that opens incidents is shipped");
}

/// The chart's admission policy compares labels one by one; tests/live/deploy holds the chart to the same lines.
#[test]
fn a_selector_of_the_agents_that_the_admission_policy_cannot_compare_is_a_problem_of_the_configuration() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for line in text("tests/deploy/agent-selectors").lines().filter(|line| !line.starts_with('#')) {
        let (answer, rest) = line.split_once(' ').unwrap();
        let (selector, part) = rest.split_once('|').unwrap_or((rest, ""));
        fs::write(file.path(), format!("mesh: {{agent_selector: {selector:?}}}")).unwrap();
        let said =
            mesh_settings(file.path()).map(|settings| settings.agent_selector).map_err(|error| error.to_string());
        let problem = format!(
            "mesh.agent_selector: \"{part}\" is no label of the agents as key=value: \
             write one or more of them, with commas between them"
        );
        match answer {
            "takes" => assert_eq!(said, Ok(selector.to_owned()), "{line}"),
            _ => assert!(said.as_ref().is_err_and(|said| said.contains(&problem)), "{line}: {said:?}"),
        }
    }
}

#[test]
fn the_chart_takes_every_part_of_the_configuration_that_the_example_shows() {
    let schema: Value = serde_json::from_str(&text("deploy/chart/values.schema.json")).unwrap();
    let known = schema["properties"]["config"]["properties"].as_object().unwrap();
    // Also those that the example shows as a comment.
    let shown = |line: &str| line.strip_prefix("# discord:").map_or(line.to_owned(), |rest| format!("discord:{rest}"));
    let example: String = text("config/example.yaml")
        .replace("# heartbeat:", "heartbeat:")
        .lines()
        .map(|line| shown(line) + "\n")
        .collect();
    let example: Value = serde_saphyr::from_str(&example).unwrap();
    assert!(example.as_object().unwrap().contains_key("discord"), "the example shows Discord");
    for key in example.as_object().unwrap().keys().filter(|key| !["listen", "journal"].contains(&key.as_str())) {
        assert!(known.contains_key(key), "{key} is not in the chart's schema");
    }
}
