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
    let mut faults: Vec<&str> = said.lines().filter(is_fault).collect();
    let code = format!("exit code {code}");
    faults.push(&code);
    faults.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_fine_on_discord_every_line_is_ok_and_nothing_is_posted() {
    let (it, discord) = set_up().await;
    insta::assert_snapshot!(all_of(&it).await, @r#"
    ok      configuration 1 levels; fixes may run
    ok      kubernetes    targets in namespace web (7 rights)
    ok      kubernetes    spire in namespace spire-system (4 rights)
    ok      kubernetes    logs in namespace spire-system (1 rights)
    ok      kubernetes    logs in namespace web (2 rights)
    ok      kubernetes    exec in namespace spire-system (2 rights)
    ok      kubernetes    exec in namespace web (2 rights)
    ok      kubernetes    port-forward in namespace spire-system (2 rights)
    ok      kubernetes    port-forward in namespace web (2 rights)
    ok      kubernetes    bundles in namespace web (1 rights)
    ok      kubernetes    mounted-bundles in namespace web (1 rights)
    ok      kubernetes    istio in all namespaces (7 rights)
    ok      kubernetes    istio in namespace web (1 rights)
    ok      kubernetes    plan-restart-pod in namespace web (2 rights)
    ok      kubernetes    restart-pod in namespace web (1 rights)
    ok      kubernetes    plan-restart-spire-agent in all namespaces (1 rights)
    ok      kubernetes    plan-restart-spire-agent in namespace spire-system (2 rights)
    ok      kubernetes    restart-spire-agent in namespace spire-system (1 rights)
    ok      discord       the link that invites the bot with exactly what it needs: https://discord.com/oauth2/authorize?client_id=100000000000000001&scope=bot+applications.commands&permissions=309237763072
    ok      discord       the token is the bot medic (100000000000000002)
    ok      discord       it is the bot of the application 100000000000000001
    ok      discord       commands and presses come by the gateway
    ok      discord       no privileged intent is switched on
    ok      discord       the bot is on the server Our server (100000000000000200)
    ok      discord       the channel 100000000000000300 is of this server, and takes threads
    ok      discord       all 7 permissions are given in the channel
    ok      discord       the role on-call (100000000000000401) is there, and may be mentioned
    ok      discord       the role security (100000000000000402) is there, and may be mentioned
    ok      discord       the role leads (100000000000000403) is there
    ok      discord       /mtls is registered as this version has it
    ok      discord       Discord says where its gateway is; 999 sessions are left for today
    ok      pagers        night has its address and key; it is not called
    ok      journal       FOLDER/journal.sqlite can be made, and what is committed there is durable
    ok      webhook       LISTEN is free
    34 ok, 0 missing, 0 could not be checked
    exit code 0
    "#);
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
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the token is of the application 100000000000000009, and discord.application is 100000000000000001: take the token of that application (Bot, Reset Token), or mend the id
    MISSING discord       commands and presses go to https://old.example/discord/interactions, and none comes by the gateway: take the Interactions Endpoint URL out of the developer portal (General Information), or set discord.mode: http
    MISSING discord       the bot needs no privileged intent, and these are switched on: SERVER MEMBERS, MESSAGE CONTENT: switch them off in the developer portal (Bot, Privileged Gateway Intents)
    MISSING discord       everybody may invite the bot to a server of theirs: switch Public Bot off in the developer portal (Bot)
    exit code 1
    "#);
    discord.has("applications/@me", application());
    it.config["discord"]["mode"] = json!("http");
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the public key is the application's; but Discord has no address to send commands and presses to: start the bot, then set the Interactions Endpoint URL in the developer portal (General Information) to https://HOST/discord/interactions
    exit code 1
    "#);
    let mut other = application();
    other["verify_key"] = json!("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    other["interactions_endpoint_url"] = json!("https://bot.example/discord/interactions");
    discord.has("applications/@me", other.clone());
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       discord.public_key is not the application's, so every request of Discord's is refused: set it to 3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c (General Information, Public Key)
    exit code 1
    "#);
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
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the channel 100000000000000300 is of a kind in which no message has a thread: name a text channel in discord.channel
    MISSING discord       the permission VIEW_CHANNEL is not given in the channel: nothing is posted at all: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission SEND_MESSAGES is not given in the channel: no card is posted, and nobody is mentioned: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission EMBED_LINKS is not given in the channel: cards stay empty: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission ATTACH_FILES is not given in the channel: raw output does not reach the thread: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission READ_MESSAGE_HISTORY is not given in the channel: calls stand beside their card and do not answer it, and after a crash a message may be posted twice: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission CREATE_PUBLIC_THREADS is not given in the channel: what belongs into a thread stands in the channel: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the permission SEND_MESSAGES_IN_THREADS is not given in the channel: nothing is posted into threads: give it to the bot's role there (Edit Channel, Permissions)
    MISSING discord       the role on-call (100000000000000401) may not be mentioned, so calling it rings nobody: switch on "Allow anyone to @mention this role" (Server Settings, Roles)
    MISSING discord       there is no role 100000000000000402 on the server: mend its id in the configuration (people)
    MISSING discord       there is no role 100000000000000403 on the server: mend its id in the configuration (people)
    unknown discord       /mtls is not registered on the server as this version has it: start the bot: it registers its commands when it starts
    exit code 1
    "#);
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
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the channel 100000000000000300 is of the server 100000000000000299, and discord.guild is 100000000000000200: mend discord.channel or discord.guild
    MISSING discord       the bot is an administrator, and needs only what the link above asks for: take ADMINISTRATOR from its roles (Server Settings, Roles)
    MISSING discord       the bot may not register commands on the server: open the link above once more: it asks for the scope applications.commands
    exit code 1
    "#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_the_bot_cannot_see_and_an_answer_that_does_not_come_are_told_apart() {
    let (it, discord) = set_up().await;
    discord.trouble("GET channel", Trouble::Refuses(50_001));
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the bot does not see the channel 100000000000000300: add the bot or its role to it (Edit Channel, Permissions)
    exit code 1
    "#);
    discord.trouble("GET guild", Trouble::Refuses(50_001));
    insta::assert_snapshot!(faults(&it).await, @r#"
    MISSING discord       the bot is not on the server 100000000000000200: open the link above and choose the server, or mend discord.guild
    exit code 1
    "#);
    discord.trouble("GET bot", Trouble::Down);
    insta::assert_snapshot!(faults(&it).await, @r#"
    unknown discord       the bot's token: Discord could not be reached to say who the token is: HTTP status 503 Service Unavailable: check the way out to Discord (proxy, NetworkPolicy)
    exit code 2
    "#);
    discord.trouble("GET guild", Trouble::RateLimited(30.0, false));
    discord.trouble("GET gateway", Trouble::Down);
    insta::assert_snapshot!(faults(&it).await, @r#"
    unknown discord       the server 100000000000000200: Discord's describe the server is rate limited: wait a minute and try again
    unknown discord       the gateway: Discord could not be reached to say where its gateway is: HTTP status 503 Service Unavailable: check the way out to Discord (proxy, NetworkPolicy), and try again in a minute
    exit code 2
    "#);
    fs::write(it.file("discord"), "another-token").unwrap();
    let said = faults(&it).await;
    insta::assert_snapshot!(said, @r#"
    MISSING discord       the bot's token: Discord refuses it (401): make a new one in the developer portal (Bot, Reset Token), and put it where discord.bot_token names it
    exit code 1
    "#);
    assert!(!said.contains("another-token"));
}
