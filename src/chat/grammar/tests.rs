use proptest::prelude::*;

use super::*;
use crate::{
    chat::{Whose, slack::SlackNotation},
    incident::{Keeper, OwnCluster},
};

fn place<'a>(live: &'a [IncidentId], groups: &'a [(String, LevelNumber)]) -> ParseContext<'a> {
    ParseContext {
        platform: Platform::Slack,
        notation: &SlackNotation,
        workspace: "T0TEAM",
        thread: None,
        live,
        whose: Whose::default(),
        groups,
    }
}

fn said(text: &str) -> Result<Said, Misunderstood> {
    let groups = [("S0SECURITY".to_owned(), LevelNumber(2))];
    parse(text, &place(&[IncidentId::new(7)], &groups))
}

fn told(text: &str) -> String {
    said(text).unwrap_err().to_string()
}

#[test]
fn every_command_of_the_help_is_understood_as_it_is_written_there() {
    let filled = |usage: &str| {
        usage
            .replace("[INC]|all", "all")
            .replace("[INC]", "INC-7")
            .replace("[PLAN]", "0123abcd")
            .replace("NAMESPACE WORKLOAD", "web deploy/frontend")
            .replace("NAME", "restart-pod")
            .replace("@user|L2", "L2")
            .replace("[anyway] [REASON]", "anyway the alert is wrong")
            .replace("off|on [REASON]", "off something is wrong")
            .replace("TEXT", "looked at the proxy")
    };
    for verb in Verb::ALL {
        assert!(said(&filled(&verb.usage())).is_ok(), "{}", verb.usage());
        assert!(!verb.description().is_empty());
    }
}

#[test]
fn the_incident_may_be_left_out_when_only_one_is_open_or_in_its_thread() {
    assert_eq!(said("ack"), Ok(Said::Act(IncidentId::new(7), Act::Acknowledge)));
    let two = [IncidentId::new(7), IncidentId::new(8)];
    let told = parse("ack", &place(&two, &[])).unwrap_err().to_string();
    assert_eq!(told, "2 incidents are open (INC-7, INC-8): name one, as in `ack INC-7`");
    let thread = ParseContext { thread: Some(IncidentId::new(8)), ..place(&two, &[]) };
    assert_eq!(parse("ack", &thread), Ok(Said::Act(IncidentId::new(8), Act::Acknowledge)));
    assert_eq!(parse("ack 9", &thread), Ok(Said::Act(IncidentId::new(9), Act::Acknowledge)));
    assert_eq!(parse("ack", &place(&[], &[])), Err(Misunderstood::NothingOpen));
}

#[test]
fn when_more_are_open_than_are_read_the_answer_counts_none_that_it_has_not_seen() {
    let many: Vec<IncidentId> = (1..=100).map(IncidentId::new).collect();
    let told = parse("ack", &place(&many, &[])).unwrap_err().to_string();
    insta::assert_snapshot!(told, @"100 or more incidents are open (INC-1, INC-2, INC-3, INC-4, INC-5, INC-6, INC-7, INC-8, …): name one, as in `ack INC-1`");
}

fn of_blue(shared_app: bool) -> Whose {
    Whose::new(OwnCluster::new("blue", ["blue.example.org".to_owned()]), Keeper::new("blue", shared_app))
}

#[test]
fn an_incident_of_another_bot_is_answered_with_whose_it_is() {
    let live = [IncidentId::new(7)];
    let heard = |text: &str| parse(text, &ParseContext { whose: of_blue(false), ..place(&live, &[]) });
    assert_eq!(
        heard("ack INC-7/red").unwrap_err().to_string(),
        "that is INC-7 of red, and this is the bot of blue: ask again until the bot of red hears you, and give each bot an \
         app of its own, because what is asked of one app goes to any of the bots that share it"
    );
    assert!(
        heard("note inc-7/red look at node-1").is_err() && heard("7/red").is_err() && heard("approve 7/red").is_err()
    );
    for ours in ["ack", "ack 7", "ack INC-7", "ack INC-7/blue", "ack inc-7/BLUE", "ack 7/blue.example.org"] {
        assert_eq!(heard(ours), Ok(Said::Act(IncidentId::new(7), Act::Acknowledge)), "{ours}");
    }
}

#[test]
fn all_that_are_open_are_taken_with_one_command_however_many_there_are() {
    let several = [IncidentId::new(7), IncidentId::new(8)];
    for live in [&several[..], &several[..1], &[]] {
        assert_eq!(parse("ack all", &place(live, &[])), Ok(Said::AckAll));
        assert_eq!(parse("ACK  All ", &place(live, &[])), Ok(Said::AckAll));
    }
    let heard = |text: &str, shared| parse(text, &ParseContext { whose: of_blue(shared), ..place(&several, &[]) });
    assert_eq!(heard("ack all/blue", true), Ok(Said::AckAll));
    assert!(heard("ack all", true).unwrap_err().to_string().contains("as in `ack all/blue`"));
    assert!(heard("ack all/red", false).unwrap_err().to_string().contains("this is not the bot of red"));
    assert!(matches!(heard("ack everything", false), Err(Misunderstood::WhichIncident { .. })));
}

#[test]
fn the_kill_switch_stops_whichever_bot_hears_it_and_lets_only_the_one_that_was_named_run_again() {
    let heard = |text: &str, shared| parse(text, &ParseContext { whose: of_blue(shared), ..place(&[], &[]) });
    let off = Said::Writes { on: false, reason: "it looks like an attack".to_owned() };
    for said in ["writes off it looks like an attack", "writes off/blue it looks like an attack"] {
        assert_eq!(heard(said, true), Ok(off.clone()), "{said}");
    }
    assert!(heard("writes on", true).unwrap_err().to_string().contains("as in `writes on/blue`"));
    assert!(heard("writes on/red", true).unwrap_err().to_string().contains("this is not the bot of red"));
    for said in ["writes on/blue", "writes ON/Blue"] {
        assert_eq!(heard(said, true), Ok(Said::Writes { on: true, reason: String::new() }), "{said}");
    }
    assert_eq!(heard("writes on", false), Ok(Said::Writes { on: true, reason: String::new() }));
}

#[test]
fn where_the_bot_has_an_app_of_its_own_nobody_names_the_cluster_that_they_must_name_elsewhere() {
    let live = [IncidentId::new(7)];
    let whose = || of_blue(true).in_an_app_of_its_own();
    let heard = |text: &str| parse(text, &ParseContext { whose: whose(), ..place(&live, &[]) });
    assert_eq!(heard("writes on"), Ok(Said::Writes { on: true, reason: String::new() }));
    assert_eq!(heard("ack all"), Ok(Said::AckAll));
    assert_eq!(heard("ack 7"), Ok(Said::Act(IncidentId::new(7), Act::Acknowledge)));
    assert!(heard("ack 7/red").is_err(), "that is still another bot's");
}

#[test]
fn where_bots_share_one_app_a_command_names_its_incident_with_the_cluster() {
    let live = [IncidentId::new(7).kept_by(Some(Keeper::new("blue", true)))];
    let heard = |text: &str| parse(text, &ParseContext { whose: of_blue(true), ..place(&live, &[]) });
    for unclear in ["ack", "ack 7", "ack INC-7"] {
        assert_eq!(
            heard(unclear).unwrap_err().to_string(),
            "bots of several clusters hear what you type here, and this is the one of blue: say what you mean with the \
             cluster, as in `ack INC-7/blue`",
            "{unclear}"
        );
    }
    let Ok(Said::Act(incident, Act::Acknowledge)) = heard("ack INC-7/blue") else { panic!("it is blue's") };
    assert_eq!(incident.to_string(), "INC-7/blue", "as every text about it writes it");
}

#[test]
fn a_wrong_command_gets_the_nearest_right_one() {
    assert_eq!(
        told("aprove"),
        "I do not know `aprove`. Did you mean `approve [INC] [PLAN]`? `help` lists what you can say."
    );
    assert_eq!(told("xyzzy"), "I do not know `xyzzy`. `help` lists what you can say.");
    assert_eq!(told("fix restart-pods"), "There is no fix `restart-pods`. Did you mean `fix restart-pod`?");
    assert_eq!(told("fix restart-pod INC-7"), "the incident comes first: `fix INC-7 restart-pod`");
    assert_eq!(told("handoff @jane inc-9"), "the incident comes first: `handoff INC-9 @jane`");
    assert!(told("fix").contains("I can do `restart-pod`"));
    assert!(told("handoff somebody").contains("neither a person nor a level"));
    assert!(told("handoff @jane").contains("pick the person from the list"), "Slack did not resolve that name");
    assert!(told("target INC-7 web").contains("a namespace and a workload"));
    assert!(told("target INC-7 Web frontend").contains("lower-case letters"));
    assert!(told("ack INC-7 now").contains("`now`"));
    assert_eq!(told("resolve anyway INC-7"), "the incident comes first: `resolve INC-7 anyway`");
}

#[test]
fn slacks_way_of_writing_people_groups_and_signs_is_read() {
    let person = PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: "U0SEC".to_owned() };
    let to = |to| Ok(Said::Act(IncidentId::new(7), Act::HandOff { to }));
    assert_eq!(said("handoff <@U0SEC|name>"), to(HandOffTo::Person(person)));
    assert_eq!(said("handoff INC-7 <!subteam^S0SECURITY|@security>"), to(HandOffTo::Level(LevelNumber(2))));
    assert_eq!(said("handoff l3"), to(HandOffTo::Level(LevelNumber(3))));
    let note = |text: &str| Ok(Said::Act(IncidentId::new(7), Act::Note { text: text.to_owned() }));
    assert_eq!(said("note inc-7 a &lt; b &amp;&amp; <https://example.org|here>"), note("a < b && https://example.org"));
    assert_eq!(said("note 42 is the answer"), note("42 is the answer"), "a bare number belongs to the note");
}

#[test]
fn a_plan_of_digits_only_is_not_taken_for_an_incident() {
    let act = Act::Approve { plan: Some(PlanId("12345678".to_owned())) };
    assert_eq!(said("approve 12345678"), Ok(Said::Act(IncidentId::new(7), act)));
}

#[test]
fn a_reason_for_closing_is_taken_as_it_stands() {
    let resolve = |id: u32, anyway: bool, reason: Option<&str>| {
        Ok(Said::Act(IncidentId::new(id), Act::Resolve { reason: reason.map(str::to_owned), anyway }))
    };
    assert_eq!(said("resolve"), resolve(7, false, None));
    assert_eq!(said("resolve 9"), resolve(9, false, None));
    assert_eq!(said("resolve inc-9 lamp test"), resolve(9, false, Some("lamp test")));
    assert_eq!(said("resolve 9 anyway &lt;lamp test&gt;"), resolve(9, true, Some("<lamp test>")));
    assert_eq!(said("resolve anyway"), resolve(7, true, None));
    assert_eq!(said("resolve 5 pods were restarted"), resolve(7, false, Some("5 pods were restarted")));
}

#[test]
fn help_lists_only_what_the_caller_may_do() {
    let words =
        |roles: &[Role]| help(&roles.iter().copied().collect()).into_iter().map(|(usage, _)| usage).collect::<Vec<_>>();
    assert_eq!(words(&[]), ["help", "incidents", "status [INC]"]);
    assert!(!words(&[Role::Commander]).iter().any(|usage| usage.contains("approve")));
    assert_eq!(words(&[Role::Commander, Role::Approver]).len(), Verb::ALL.len());
}

proptest! {
    #[test]
    fn no_input_breaks_the_grammar_or_its_answer(text in ".{0,300}", verb in 0usize..15) {
        for line in [text.clone(), format!("{} {text}", Verb::ALL[verb].word())] {
            if let Err(error) = said(&line) {
                let told = error.to_string();
                prop_assert!(told.len() < 600, "{told}");
                prop_assert!(!told.contains('\n'));
            }
        }
    }
}

fn chosen(verb: Verb, given: &[(Parameter, &str)]) -> Result<Said, String> {
    let live = [IncidentId::new(7)];
    let given = given.iter().map(|(what, word)| (*what, (*word).to_owned())).collect();
    super::said(&Chosen { verb, given }, &place(&live, &[])).map_err(|error| error.to_string())
}

#[test]
fn a_command_chosen_by_its_parts_means_what_the_same_words_mean_when_they_are_typed() {
    use Parameter::{Anyway, Fix, Incident, Namespace, Plan, Reason, Switch, Text, To, Workload};
    let nights: [(Verb, &[(Parameter, &str)]); 18] = [
        (Verb::Help, &[]),
        (Verb::Incidents, &[]),
        (Verb::Status, &[(Incident, "INC-7")]),
        (Verb::Triage, &[]),
        (Verb::Ack, &[(Incident, "7")]),
        (Verb::Ack, &[(Incident, "all")]),
        (Verb::Target, &[(Namespace, "web"), (Workload, "deploy/frontend")]),
        (Verb::Fix, &[(Incident, "INC-7"), (Fix, "restart-pod")]),
        (Verb::Withdraw, &[]),
        (Verb::Approve, &[(Plan, "c9676c36")]),
        (Verb::Reject, &[(Incident, "INC-7"), (Plan, "c9676c36")]),
        (Verb::Verify, &[]),
        (Verb::Note, &[(Text, "the node was cordoned")]),
        (Verb::Handoff, &[(To, "L2")]),
        (Verb::Escalate, &[]),
        (Verb::Resolve, &[(Incident, "INC-7"), (Anyway, "True"), (Reason, "the rule is wrong")]),
        (Verb::Writes, &[(Switch, "off"), (Reason, "a change is running")]),
        (Verb::Fix, &[(Fix, "restart-pods")]),
    ];
    for (verb, given) in nights {
        let live = [IncidentId::new(7)];
        let whole = Chosen { verb, given: given.iter().map(|(what, word)| (*what, (*word).to_owned())).collect() };
        let typed = parse(&whole.as_typed(), &place(&live, &[])).map_err(|error| error.to_string());
        assert_eq!(chosen(verb, given), typed, "{whole:?}");
    }
}

#[test]
fn a_note_chosen_by_its_parts_is_taken_as_it_stands_and_what_is_missing_is_named() {
    use Parameter::{Incident, Text};
    let note = chosen(Verb::Note, &[(Text, "INC-9 is the same")]);
    assert_eq!(note, Ok(Said::Act(IncidentId::new(7), Act::Note { text: "INC-9 is the same".to_owned() })));
    assert_eq!(chosen(Verb::Note, &[]).unwrap_err(), "`note` needs the text of the note: `note [INC] TEXT`");
    assert_eq!(chosen(Verb::Status, &[(Incident, "web")]).unwrap_err(), "`web` is no incident: they are called INC-7");
}

#[test]
fn a_typed_command_is_shown_with_the_names_of_its_parts_where_people_choose_them() {
    for (typed, named) in [
        ("fix INC-7 restart-pod", "fix incident:INC-7 fix:restart-pod"),
        ("fix restart-pod", "fix fix:restart-pod"),
        ("ack INC-7", "ack incident:INC-7"),
        ("ack all", "ack incident:all"),
        ("handoff INC-7 @you", "handoff incident:INC-7 to:@you"),
        ("target INC-7 NAMESPACE WORKLOAD", "target incident:INC-7 namespace:NAMESPACE workload:WORKLOAD"),
        ("resolve INC-7 anyway the rule is wrong", "resolve incident:INC-7 anyway:True reason:the rule is wrong"),
        ("writes on", "writes switch:on"),
        ("incidents", "incidents"),
    ] {
        assert_eq!(with_names(typed), named);
    }
}
