use std::fs;

use jiff::SignedDuration;

use super::*;
use crate::triage::FixName;

const EXAMPLE: &str = include_str!("../../config/example.yaml");

/// The example with its secrets in files that are there.
fn example(folder: &Path) -> Config {
    let secret = folder.join("secret");
    std::fs::write(&secret, "s3cret\n").unwrap();
    let text = EXAMPLE.replace("/etc/mtls-medic/secrets/", &format!("{}/", folder.display()));
    for name in ["alertmanager-token", "slack-bot-token", "slack-app-token", "pagerduty-routing-key"] {
        std::fs::write(folder.join(name), "s3cret").unwrap();
    }
    Config::parse(&text).unwrap()
}

#[test]
fn the_example_is_whole_and_right() {
    let folder = tempfile::tempdir().unwrap();
    let settled =
        example(folder.path()).settle().map_err(|error| error.to_string()).unwrap_or_else(|why| panic!("{why}"));
    let windows: Vec<i64> = settled.policy.escalation.levels.iter().map(|level| level.window.as_mins()).collect();
    assert_eq!(windows, [15, 30, 60], "the runbook's three levels");
    assert!(!settled.policy.writes_enabled, "writes are off until somebody switches them on");
}

#[test]
fn a_cluster_has_all_the_names_that_the_file_gives_it_and_a_file_of_before_that_gives_one() {
    let own = |text: &str| Config::parse(text).unwrap().own_cluster();
    let today = own(EXAMPLE);
    assert!(today.is("prod-eu-1") && today.is("prod-eu-1.example.org") && !today.is("prod-us-1"));
    let before = own(&EXAMPLE.replace("cluster_also: [prod-eu-1.example.org]\n", ""));
    assert!(before.is("prod-eu-1") && !before.is("prod-eu-1.example.org"));
}

#[test]
fn where_bots_share_an_app_the_name_of_the_cluster_can_be_typed_behind_an_incidents() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = example(folder.path());
    config.slack.as_mut().unwrap().shared_app = true;
    assert!(config.settle().is_ok());
    config.cluster = "the big one".to_owned();
    let why = config.settle().map(drop).unwrap_err().to_string();
    assert!(why.contains("slack.shared_app: ids carry the cluster then"), "{why}");
}

#[test]
fn an_unknown_field_is_refused_by_its_name() {
    let why = Config::parse(&EXAMPLE.replace("journal:", "jornal:")).unwrap_err();
    assert!(why.contains("jornal"), "{why}");
}

#[test]
fn a_runbook_is_linked_without_slack_and_a_file_of_before_names_it_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = example(folder.path());
    let address = "https://runbooks.example.com/mtls-handshake-failures";
    assert_eq!(config.runbook(), Some(address));
    config.slack = None;
    assert_eq!(config.runbook(), Some(address));
    let before = EXAMPLE
        .replace(&format!("runbook: {address}\n"), "")
        .replace("  channel: C0INCIDENTS", "  channel: C0INCIDENTS\n  runbook: wiki");
    assert_eq!(Config::parse(&before).unwrap().runbook(), Some("wiki"));
    config.runbook = Some("wiki".to_owned());
    insta::assert_snapshot!(config.settle().map(drop).unwrap_err(), @r"
    the configuration has 1 problem(s):
      - runbook: it is no address that people can open: https://…
    ");
}

#[test]
fn every_mistake_of_a_file_is_told_at_once_with_its_place() {
    let text = "\
        listen: 127.0.0.1:x\n\
        jornal: /j\n\
        slack: {mode: carrier-pigeon, bot_token: {file: /t}, team: T0, channel: C0, colour: red}\n\
        people:\n  levels:\n    - {team: A, window: 15x}\n    - {window: 1h}\n  approvers: {user: [U0]}\n\
        pagers: {night: {key: {file: /k}}}\n\
        writes: perhaps\n";
    let why = mistakes::read::<Config>(text).unwrap_err().join("\n");
    insta::assert_snapshot!(why, @r#"
    listen: invalid socket address syntax at line 1, column 9
    jornal: unknown field `jornal`, expected one of listen, journal, cluster, cluster_also, alertmanager, kubernetes, mesh, triage, slack, discord, runbook, people, pagers, escalation, approval, writes, keep, heartbeat
    pagers.night.kind: it is missing, and has no default
    people.approvers.user: unknown field `user`, expected one of users, groups, discord
    people.levels[0].window: "…" is not a time: write 15m, 1h30m or 90s
    people.levels[1].team: it is missing, and has no default
    people.commanders: it is missing, and has no default
    slack.colour: unknown field `colour`, expected one of mode, bot_token, app_token, signing_secret, team, enterprise, channel, shared_app, runbook, api
    slack.mode: unknown variant `…`, expected one of socket, http
    writes: invalid boolean
    journal: it is missing, and has no default
    cluster: it is missing, and has no default
    alertmanager: it is missing, and has no default
    "#);
}

#[test]
fn each_required_field_that_is_missing_is_named_with_its_place_beside_another_mistake() {
    const WHOLE: &str = "{\"listen\":\"127.0.0.1:1\",\"journal\":\"/j\",\"cluster\":\"c\",\
        \"alertmanager\":{\"basic\":{\"user\":\"u\",\"password\":{\"env\":\"P\"}}},\
        \"people\":{\"levels\":[{\"team\":\"t\",\"window\":\"15m\"}],\"commanders\":{}},\
        \"slack\":{\"mode\":\"http\",\"bot_token\":{\"env\":\"B\"},\"team\":\"T\",\"channel\":\"C\"},\
        \"pagers\":{\"night\":{\"kind\":\"generic\"}},\"heartbeat\":{\"url\":{\"env\":\"H\"}},\"zzz\":1}";
    for (pointer, place) in [
        ("/listen", "listen"),
        ("/journal", "journal"),
        ("/cluster", "cluster"),
        ("/alertmanager", "alertmanager"),
        ("/alertmanager/basic/user", "alertmanager.basic.user"),
        ("/alertmanager/basic/password", "alertmanager.basic.password"),
        ("/people", "people"),
        ("/people/levels", "people.levels"),
        ("/people/commanders", "people.commanders"),
        ("/people/levels/0/team", "people.levels[0].team"),
        ("/people/levels/0/window", "people.levels[0].window"),
        ("/slack/mode", "slack.mode"),
        ("/slack/bot_token", "slack.bot_token"),
        ("/slack/team", "slack.team"),
        ("/slack/channel", "slack.channel"),
        ("/pagers/night/kind", "pagers.night.kind"),
        ("/heartbeat/url", "heartbeat.url"),
    ] {
        let mut file: serde_json::Value = serde_json::from_str(WHOLE).unwrap();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        file.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        let why = mistakes::read::<Config>(&file.to_string()).unwrap_err();
        assert!(why.contains(&format!("{place}: it is missing, and has no default")), "{place}: {why:?}");
        assert!(why.len() == 2 && why.iter().any(|why| why.starts_with("zzz: unknown field")), "{place}: {why:?}");
    }
}

#[test]
fn a_secret_that_was_written_out_is_told_by_its_line_and_never_shown() {
    let text = "listen: 127.0.0.1:80\nalertmanager: {bearer_tokens: [S3CRET]}\nslack: {bot_token: xoxb-S3CRET}\n";
    let why = Config::parse(text).unwrap_err();
    assert!(why.contains("line 2") && why.contains("{file: /path}"), "{why}");
    assert!(!why.contains("S3CRET"), "{why}");
    assert!(Config::parse(" \n").unwrap_err().contains("empty"));
}

/// What a person sees of a file with this in place of a part of the example.
fn refused(part: &str, written: &str) -> String {
    let text = EXAMPLE.replacen(part, written, 1);
    assert_ne!(text, EXAMPLE, "{part}");
    let why = Config::parse(&text).and_then(|config| config.settle().map_err(|error| error.to_string()).map(drop));
    why.err().unwrap_or_else(|| panic!("{written} was taken"))
}

#[test]
fn a_secret_in_plain_text_is_refused_in_every_place_and_never_shown() {
    let bot = "bot_token: {file: /etc/mtls-medic/secrets/slack-bot-token}";
    let pager = "key: {file: /etc/mtls-medic/secrets/pagerduty-routing-key}";
    for (part, written) in [
        (bot, "bot_token: xoxb-123456-HUNTER2abc"),
        (bot, "bot_token: [HUNTER2]"),
        (bot, "bot_token: {HUNTER2}"),
        (bot, "bot_token: {HUNTER2: x}"),
        (bot, "bot_token: {value: HUNTER2}"),
        (bot, "bot_token: {file: HUNTER2}"),
        (bot, "bot_token: {file: [HUNTER2]}"),
        (bot, "bot_token: {env: hunter2HUNTER2}"),
        (bot, "bot_token: !HUNTER2 x"),
        (bot, "bot_token: \"HUNTER2"),
        (bot, "bot_token: >\n    HUNTER2"),
        (pager, "key: 8HUNTER2a3f9c0d1e2b4"),
        (pager, "key: {file: /x}, url: 'https://bot:HUNTER2@pager.example.org/'"),
        (pager, "key: {file: /x}, url: 'https://hooks.slack.com/services/T0/B0/HUNTER2'"),
        (pager, "key: {file: /x}, url: 'https://pager.example.org/v2?api_key=HUNTER2'"),
        (pager, "key: {file: /x}, url: [HUNTER2]"),
        ("kind: pagerduty", "kind: HUNTER2"),
        ("mode: socket", "mode: \"HUNTER2 \""),
        ("team: T0EXAMPLE", "team: 0a1b2c3dHUNTER2e4f5a6b7"),
        ("channel: C0INCIDENTS", "channel: xapp-1-A0HUNTER2-9"),
        ("cluster: prod-eu-1", "cluster: eyJhbGciOiJIUzI1NiJ9HUNTER2.e30.c2ln"),
        ("window: 15m", "window: HUNTER2"),
        ("listen: 0.0.0.0:8080", "listen: HUNTER2"),
        ("sample: 3", "sample: HUNTER2"),
        ("writes: false", "writes: HUNTER2"),
        ("    - file: /etc/mtls-medic/secrets/alertmanager-token", "    - HUNTER2"),
        ("keep: 400d", "keep: 400d\nheartbeat: {url: 'https://hc-ping.com/HUNTER2'}"),
    ] {
        let why = refused(part, written);
        assert!(!why.contains("HUNTER2"), "{written}: {why}");
    }
    let why = refused(bot, "bot_token: xoxb-123456-HUNTER2abc");
    assert!(why.contains("slack.bot_token: a secret is written there in plain text"), "{why}");
    let why = refused(bot, "bot_token: [HUNTER2]");
    assert!(why.contains("{file: /path} or {env: NAME}") && why.contains("line "), "{why}");
    // What is no secret is still told, since it helps.
    assert!(refused("channel: C0INCIDENTS", "channel: '#incidents'").contains("#incidents"));
    assert!(refused("window: 15m", "window: 15x").contains("line "));
}

#[test]
fn a_time_that_no_clock_holds_is_refused_before_an_alert_comes() {
    for (wrong, right) in [("9000000000000h", "900h"), ("40000d", "400d")] {
        let with = |time: &str| Config::parse(&EXAMPLE.replace("window: 15m", &format!("window: {time}")));
        assert!(with(wrong).unwrap_err().contains("is not a time"));
        assert!(with(right).is_ok());
    }
}

#[test]
fn a_template_with_a_slip_is_refused_before_every_pod_has_the_wrong_identity() {
    let folder = tempfile::tempdir().unwrap();
    for template in
        ["", "spiffe://{trust_domian}/ns/{namespace}", "https://{trust_domain}/x", "spiffe://{trust_domain}"]
    {
        let mut config = example(folder.path());
        config.mesh.spiffe_id_template = Some(template.to_owned());
        let problems = config.settle().err().map(|error| error.to_string()).unwrap_or_default();
        assert!(problems.contains("mesh.spiffe_id_template"), "{template}: {problems}");
    }
}

#[test]
fn without_authentication_it_refuses_to_start_and_says_what_to_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = example(folder.path());
    config.alertmanager.bearer_tokens.clear();
    let problems = config.settle().err().unwrap().to_string();
    assert!(problems.contains("bearer_tokens"), "{problems}");
    config.alertmanager.authenticated_by_proxy = true;
    assert!(config.settle().is_ok());
}

#[test]
fn all_problems_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = example(folder.path());
    config.alertmanager.bearer_tokens.clear();
    config.people.levels[0].mention.groups.clear();
    config.people.levels[0].pager = Some("nobody".to_owned());
    config.people.approvers.groups.clear();
    config.people.approvers.users.clear();
    config.writes = true;
    config.mesh.svid_path = Some("/run/spire/svid/svid.key".to_owned());
    let Err(ConfigError::Problems(problems)) = config.settle() else { panic!("it has problems") };
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn people_and_places_are_known_by_id_and_a_name_or_an_email_is_refused_with_where_to_find_the_id() {
    let folder = tempfile::tempdir().unwrap();
    for wrong in ["jane", "@jane", "jane@example.org", "Jane Doe", "u0jane", "S0GROUP", "<@U0JANE>", "U", ""] {
        let mut config = example(folder.path());
        config.people.approvers.users = vec![wrong.to_owned()];
        let problems = config.settle().err().unwrap_or_else(|| panic!("{wrong:?}")).to_string();
        assert!(problems.contains("people.approvers.users") && problems.contains("Copy member ID"), "{problems}");
    }
    let mut config = example(folder.path());
    config.people.levels[1].mention.groups = vec!["security".to_owned()];
    let slack = config.slack.as_mut().unwrap();
    slack.channel = "#incidents".to_owned();
    slack.team = "example.slack.com".to_owned();
    let Err(ConfigError::Problems(problems)) = config.settle() else { panic!("it has problems") };
    assert_eq!(problems.len(), 3, "{problems:?}");
}

#[test]
fn without_slack_a_level_that_is_only_mentioned_calls_nobody_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = example(folder.path());
    assert!(config.calls_nobody().is_empty());
    config.slack = None;
    let said = config.calls_nobody().join("\n");
    assert!(said.contains("L2") && said.contains("L3") && !said.contains("L1"), "L1 has a pager: {said}");
    for level in &mut config.people.levels {
        level.pager = Some("on-call".to_owned());
    }
    assert!(config.calls_nobody().is_empty());
}

/// The example with Discord instead of Slack, and with this behind its people.
fn on_discord(folder: &Path, ids: &str, people: &str) -> Config {
    example(folder);
    let (before, rest) = EXAMPLE.split_once("slack:\n").unwrap();
    let (_, after) = rest.split_once("# Linked from cards").unwrap();
    let text = format!("{before}discord: {{bot_token: {{file: /t}}, {ids}}}\n# Linked from cards{after}")
        .replace("/etc/mtls-medic/secrets/", &format!("{}/", folder.display()))
        .replacen("  fallback_pager:", &format!("{people}  fallback_pager:"), 1);
    Config::parse(&text).unwrap_or_else(|why| panic!("{why}"))
}

const DISCORD_IDS: &str =
    "application: '100000000000000100', guild: '100000000000000200', channel: '100000000000000300'";

#[test]
fn discords_part_of_the_example_is_right_once_it_is_no_comment() {
    let (_, part) = EXAMPLE.split_once("# discord:\n").unwrap();
    let lines: Vec<&str> = part.lines().map_while(|line| line.strip_prefix("# ")).collect();
    let part = lines.join("\n") + "\n";
    let same = EXAMPLE.lines().find_map(|line| line.trim().strip_prefix("# same:")).unwrap();
    let level = EXAMPLE.lines().find(|line| line.contains("team: Vendor")).unwrap().replacen("# -", "-", 1);
    let text = EXAMPLE
        .replacen("# discord:\n", &format!("discord:\n{part}# "), 1)
        .replacen("  fallback_pager:", &format!("  same:{same}\n  fallback_pager:"), 1)
        .replacen("    - {team: Infrastructure", &format!("{level}\n    - {{team: Infrastructure"), 1);
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    config.alertmanager = example(folder.path()).alertmanager;
    config.settle().map_or_else(|why| panic!("{why}"), drop);
    assert_eq!(config.channels().len(), 2);
    assert_eq!((config.people.same.len(), config.people.levels[2].mention.discord.roles.len()), (1, 1));
}

#[test]
fn discords_ids_may_stand_without_quotes_and_keep_every_digit() {
    let folder = tempfile::tempdir().unwrap();
    let ids = "application: 9007199254740993001, guild: 100000000000000200, channel: '100000000000000300'";
    let people = "  same: [{slack: U0A, discord: 100000000000000001}]\n";
    let config = on_discord(folder.path(), ids, people);
    let discord = config.discord.as_ref().unwrap();
    assert_eq!(discord.application, "9007199254740993001");
    assert_eq!((discord.guild.as_str(), discord.channel.as_str()), ("100000000000000200", "100000000000000300"));
    assert_eq!(config.people.same[0].discord, "100000000000000001");
    config.settle().map_or_else(|why| panic!("{why}"), drop);
}

#[test]
fn a_wrong_id_of_discord_is_refused_by_its_place_with_how_to_copy_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on_discord(folder.path(), DISCORD_IDS, "");
    for wrong in
        ["", "jane#1234", "@oncall", "<@&100000000000000401>", "1234", "123456789012345678901", "1.0e17", "U0JANE"]
    {
        config.people.approvers.discord.roles = vec![wrong.to_owned()];
        let why = config.settle().err().unwrap_or_else(|| panic!("{wrong:?}")).to_string();
        assert!(why.contains("people.approvers.discord.roles") && why.contains("Developer Mode"), "{why}");
    }
    config.people.approvers.discord.roles.clear();
    config.people.commanders.discord.users = vec!["jane".to_owned()];
    config.people.levels[1].mention.discord.roles = vec!["security".to_owned()];
    let discord = config.discord.as_mut().unwrap();
    discord.application = "medic".to_owned();
    discord.guild = "Our server".to_owned();
    discord.channel = "#incidents".to_owned();
    let Err(ConfigError::Problems(problems)) = config.settle() else { panic!("it has problems") };
    let places: Vec<&str> = problems.iter().filter_map(|problem| Some(problem.split_once(": \"")?.0)).collect();
    assert_eq!(
        places,
        [
            "discord.application",
            "discord.guild",
            "discord.channel",
            "people.commanders.discord.users",
            "people.levels: L2 mention.discord.roles"
        ]
    );
}

#[test]
fn an_id_is_linked_once_so_that_two_people_do_not_become_one() {
    let folder = tempfile::tempdir().unwrap();
    for (people, linked) in [
        (
            "{slack: U0A, discord: '100000000000000001'}, {slack: U0B, discord: '100000000000000001'}",
            "100000000000000001",
        ),
        ("{slack: U0A, discord: '100000000000000001'}, {slack: U0A, discord: '100000000000000002'}", "U0A"),
    ] {
        let config = on_discord(folder.path(), DISCORD_IDS, &format!("  same: [{people}]\n"));
        let why = config.settle().map(drop).unwrap_err().to_string();
        assert!(why.contains(&format!("people.same: {linked} is linked twice: one line a person")), "{why}");
    }
}

#[test]
fn a_level_that_is_known_only_on_a_chat_that_is_not_configured_calls_nobody_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = on_discord(folder.path(), DISCORD_IDS, "");
    let said = config.calls_nobody().join("\n");
    assert!(said.contains("L2") && said.contains("configure slack") && !said.contains("L1"), "{said}");
    for level in &mut config.people.levels {
        level.mention.discord.roles = vec!["100000000000000401".to_owned()];
    }
    assert!(config.calls_nobody().is_empty(), "each is known on Discord as well");
    config.discord = None;
    for level in &mut config.people.levels {
        level.mention.groups.clear();
    }
    let said = config.calls_nobody().join("\n");
    assert!(said.contains("L3") && said.contains("without discord nobody is"), "{said}");
}

#[test]
fn the_address_of_a_pager_may_be_a_secret_and_is_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("address"), "https://hooks.example.org/s3cret\n").unwrap();
    let file = folder.path().join("address");
    let kept: Address = serde_saphyr::from_str(&format!("file: {}", file.display())).unwrap();
    let read = kept.read("pagers.night.url").unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&read), "https://hooks.example.org/s3cret");
    assert!(!format!("{kept:?} {read:?}").contains("s3cret"));
    let plain: Address = serde_saphyr::from_str("https://pager.example.org").unwrap();
    assert_eq!(plain, Address::Plain("https://pager.example.org".to_owned()));
}

#[test]
fn a_secret_that_is_missing_is_named_and_never_shown() {
    let secret: SecretSource = serde_saphyr::from_str("file: /nowhere/token").unwrap();
    let why = secret.read("slack.bot_token").err().unwrap();
    assert!(why.contains("slack.bot_token") && why.contains("/nowhere/token"), "{why}");
}

#[test]
fn a_secret_of_two_lines_or_without_an_end_is_refused_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("token");
    let why = |path: &Path| {
        let secret: SecretSource = serde_saphyr::from_str(&format!("file: {}", path.display())).unwrap();
        secret.read("alertmanager.bearer_tokens").err().unwrap()
    };
    // As somebody writes it who rotates a token.
    fs::write(&kept, "tok1\ntok2\n").unwrap();
    assert_eq!(
        why(&kept),
        "alertmanager.bearer_tokens: it has more than one line or a control character: name one file a secret"
    );
    assert!(why(Path::new("/dev/zero")).ends_with("it is longer than a secret"));
}

#[test]
fn evidence_is_kept_a_week_at_least_and_the_address_of_the_heartbeat_is_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &str| {
        let mut config = example(folder.path());
        let other = Config::parse(&EXAMPLE.replace("keep: 400d", more)).unwrap();
        (config.keep, config.heartbeat) = (other.keep, other.heartbeat);
        config.settle()
    };
    assert_eq!(with("keep: 7d").ok().unwrap().keep, Some(SignedDuration::from_hours(7 * 24)));
    assert!(with("keep: 6d").err().unwrap().to_string().contains("keep: at least 7d"));
    std::fs::write(folder.path().join("beat"), "https://watcher.example.org/s3cret\n").unwrap();
    let beat =
        |every: &str| with(&format!("heartbeat: {{url: {{file: {}/beat}}, every: {every}}}", folder.path().display()));
    let (url, every) = beat("30s").ok().unwrap().heartbeat.unwrap();
    assert_eq!(every.as_secs(), 30);
    assert!(!format!("{url:?}").contains("s3cret"));
    assert!(beat("5s").err().unwrap().to_string().contains("heartbeat.every: at least 10s"));
    let missing = with("heartbeat: {url: {file: /nowhere/beat}}").err().unwrap().to_string();
    assert!(missing.contains("heartbeat.url"), "{missing}");
}

#[test]
fn a_triage_reads_where_things_are_and_needs_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yaml");
    // Its secrets are files that are not there.
    std::fs::write(&file, EXAMPLE.replace("sample: 3", "sample: 5")).unwrap();
    let settings = mesh_settings(&file).unwrap();
    assert_eq!((settings.limits.sample, settings.agent_log_since.as_secs()), (5, 3600));
    std::fs::write(
        &file,
        "mesh: {agent_log_since: 12h, health_port: 80, agent_selector: app.kubernetes.io/name=agent}",
    )
    .unwrap();
    let settings = mesh_settings(&file).unwrap();
    assert_eq!((settings.agent_log_since.as_secs(), settings.health_port), (12 * 3600, 80));
    assert_eq!(settings.agent_selector, "app.kubernetes.io/name=agent");
    for (wrong, said) in [("mesh: {svid_pth: /x}", "svid_pth"), ("mesh: {svid_path: /x/svid.key}", "private key")] {
        std::fs::write(&file, wrong).unwrap();
        let why = mesh_settings(&file).unwrap_err().to_string();
        assert!(why.contains(said), "{why}");
    }
}

#[test]
fn times_are_read_as_people_write_them() {
    for (text, minutes) in [("15m", 15), ("1h30m", 90), ("1h 30m", 90), ("90s", 1), ("400d", 576_000)] {
        let span: duration::TimeSpan = serde_saphyr::from_str(text).unwrap();
        assert_eq!(span.0.as_mins(), minutes, "{text}");
    }
    for wrong in ["15", "-5m", "0s", "soon", "0d", "-1d", "d"] {
        assert!(serde_saphyr::from_str::<duration::TimeSpan>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_fix_of_which_any_right_is_left_out_is_not_offered() {
    let folder = tempfile::tempdir().unwrap();
    for (without, left_out) in [
        ("[]", vec![]),
        ("[exec, mounted-bundles]", vec![]),
        ("[restart-pod]", vec![FixName::RestartPod]),
        ("[plan-restart-spire-agent, restart-spire-agent]", vec![FixName::RestartSpireAgent]),
    ] {
        let mut config = example(folder.path());
        config.kubernetes = serde_saphyr::from_str(&format!("without: {without}")).unwrap();
        assert_eq!(config.settle().ok().unwrap().policy.left_out, left_out, "{without}");
    }
}
