//! The same for a bot that works on Discord.

use std::fs;

use mtls_medic::chat::discord::commands;
use serde_json::{Value, json};

use crate::{
    SetUp,
    fake_discord::{BOT_TOKEN, FakeDiscord, Trouble},
};

const APPLICATION: &str = "100000000000000001";
const BOT: &str = "100000000000000002";
const GUILD: &str = "100000000000000200";
const CHANNEL: &str = "100000000000000300";
const MEDIC: &str = "100000000000000400";
const ON_CALL: &str = "100000000000000401";
const SECURITY: &str = "100000000000000402";
const LEADS: &str = "100000000000000403";
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// What the invite link asks for.
const PERMISSIONS: u64 = 309_237_763_072;

/// A bot whose set-up on Discord is right.
async fn set_up() -> (SetUp, FakeDiscord) {
    let (mut it, discord) = (SetUp::new().await, FakeDiscord::open(CHANNEL).await);
    discord.has("users/@me", json!({ "id": BOT, "username": "medic", "bot": true }));
    discord.has("applications/@me", application());
    discord.has(&format!("guilds/{GUILD}"), guild());
    discord.has(&format!("guilds/{GUILD}/members/{BOT}"), json!({ "roles": [MEDIC] }));
    discord.has(&format!("channels/{CHANNEL}"), channel());
    discord.has_commands(commands());
    discord.gateway_is_at("wss://gateway.example");
    fs::write(it.file("discord"), BOT_TOKEN).unwrap();
    let people = |roles: &[&str]| json!({ "discord": { "roles": roles } });
    it.config["slack"] = Value::Null;
    it.config["discord"] = json!({
        "bot_token": { "file": it.file("discord") }, "application": APPLICATION, "public_key": PUBLIC_KEY,
        "guild": GUILD, "channel": CHANNEL, "api": discord.api(),
    });
    it.config["people"]["levels"][0]["mention"] = people(&[ON_CALL]);
    it.config["people"]["commanders"] = people(&[ON_CALL, LEADS]);
    it.config["people"]["approvers"] = people(&[SECURITY]);
    (it, discord)
}

fn application() -> Value {
    json!({ "id": APPLICATION, "name": "medic", "verify_key": PUBLIC_KEY, "flags": 0, "bot_public": false })
}

fn role(id: &str, name: &str, permissions: u64, mentionable: bool) -> Value {
    json!({ "id": id, "name": name, "permissions": permissions.to_string(), "mentionable": mentionable })
}

fn guild() -> Value {
    let roles = [
        role(GUILD, "@everyone", 0, false),
        role(MEDIC, "medic", PERMISSIONS, false),
        role(ON_CALL, "on-call", 0, true),
        role(SECURITY, "security", 0, true),
        role(LEADS, "leads", 0, false),
    ];
    json!({ "id": GUILD, "name": "Our server", "roles": roles })
}

fn channel() -> Value {
    json!({ "id": CHANNEL, "type": 0, "guild_id": GUILD, "permission_overwrites": [] })
}

/// The exit code, and all that was printed, with what changes from run to run by a name.
async fn all_of(it: &SetUp) -> String {
    let (code, said) = it.doctor(&[]).await;
    let said = said.replace(it.folder.path().to_str().unwrap(), "FOLDER");
    format!("{said}exit code {code}").replace(it.config["listen"].as_str().unwrap(), "LISTEN")
}

/// The exit code, and what was found on Discord that is not right.
async fn faults(it: &SetUp) -> String {
    let (code, said) = it.doctor(&[]).await;
    let is_fault = |line: &&str| line.starts_with("MISSING") || line.starts_with("unknown");
    let faults: String = said.lines().filter(is_fault).map(|line| format!("{line}\n")).collect();
    format!("{faults}exit code {code}")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_fine_on_discord_every_line_is_ok_and_nothing_is_posted() {
    let (it, discord) = set_up().await;
    insta::assert_snapshot!(all_of(&it).await, @"");
    assert!(discord.messages().is_empty() && discord.calls("PUT commands") == 0, "nothing is posted or registered");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_application_is_named_with_what_to_do() {
    let (mut it, discord) = set_up().await;
    let mut wrong = application();
    wrong["id"] = json!("100000000000000009");
    wrong["flags"] = json!(1 << 15 | 1 << 18);
    wrong["bot_public"] = json!(true);
    wrong["interactions_endpoint_url"] = json!("https://old.example/discord/interactions");
    discord.has("applications/@me", wrong);
    insta::assert_snapshot!(faults(&it).await, @"");
    discord.has("applications/@me", application());
    it.config["discord"]["mode"] = json!("http");
    insta::assert_snapshot!(faults(&it).await, @"");
    let mut other = application();
    other["verify_key"] = json!("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    other["interactions_endpoint_url"] = json!("https://bot.example/discord/interactions");
    discord.has("applications/@me", other.clone());
    insta::assert_snapshot!(faults(&it).await, @"");
    other["verify_key"] = json!(PUBLIC_KEY);
    discord.has("applications/@me", other);
    assert_eq!(faults(&it).await, "exit code 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_server_channel_permissions_roles_and_commands_is_named_with_what_to_do() {
    let (it, discord) = set_up().await;
    let mut wrong = guild();
    let roles = wrong["roles"].as_array_mut().unwrap();
    roles.retain(|role| role["id"] != SECURITY && role["id"] != LEADS);
    roles[2]["mentionable"] = json!(false);
    discord.has(&format!("guilds/{GUILD}"), wrong);
    let mut closed = channel();
    closed["type"] = json!(15);
    closed["permission_overwrites"] =
        json!([{ "id": MEDIC, "type": 0, "allow": "0", "deny": PERMISSIONS.to_string() }]);
    discord.has(&format!("channels/{CHANNEL}"), closed);
    let mut old = commands();
    old[0]["options"].as_array_mut().unwrap().pop();
    discord.has_commands(old);
    insta::assert_snapshot!(faults(&it).await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_with_more_rights_than_it_needs_a_foreign_channel_and_refused_commands_are_named() {
    let (it, discord) = set_up().await;
    let mut all = guild();
    all["roles"][1]["permissions"] = json!("8");
    discord.has(&format!("guilds/{GUILD}"), all);
    let mut foreign = channel();
    foreign["guild_id"] = json!("100000000000000299");
    discord.has(&format!("channels/{CHANNEL}"), foreign);
    discord.trouble("GET commands", Trouble::Refuses(50_001));
    insta::assert_snapshot!(faults(&it).await, @"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_the_bot_cannot_see_and_an_answer_that_does_not_come_are_told_apart() {
    let (it, discord) = set_up().await;
    discord.trouble("GET channel", Trouble::Refuses(50_001));
    insta::assert_snapshot!(faults(&it).await, @"");
    discord.trouble("GET guild", Trouble::Refuses(50_001));
    insta::assert_snapshot!(faults(&it).await, @"");
    discord.trouble("GET bot", Trouble::Down);
    insta::assert_snapshot!(faults(&it).await, @"");
    discord.trouble("GET guild", Trouble::RateLimited(30.0, false));
    discord.trouble("GET gateway", Trouble::Down);
    insta::assert_snapshot!(faults(&it).await, @"");
    fs::write(it.file("discord"), "another-token").unwrap();
    let said = faults(&it).await;
    insta::assert_snapshot!(said, @"");
    assert!(!said.contains("another-token"));
}
