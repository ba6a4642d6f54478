use proptest::prelude::*;

use super::*;

fn place<'a>(live: &'a [IncidentId], groups: &'a [(String, LevelNumber)]) -> Place<'a> {
    Place { platform: Platform::Slack, workspace: "T0TEAM", thread: None, live, groups }
}

fn said(text: &str) -> Result<Said, Misunderstood> {
    let groups = [("S0SECURITY".to_owned(), LevelNumber(2))];
    parse(text, &place(&[IncidentId(7)], &groups))
}

fn told(text: &str) -> String {
    said(text).unwrap_err().to_string()
}

#[test]
fn every_command_of_the_help_is_understood_as_it_is_written_there() {
    let filled = |usage: &str| {
        usage
            .trim_start_matches("/mtls ")
            .replace("[INC]", "INC-7")
            .replace("[PLAN]", "0123abcd")
            .replace("NAMESPACE WORKLOAD", "web deploy/frontend")
            .replace("NAME", "restart-pod")
            .replace("@user|L2", "L2")
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
    assert_eq!(said("ack"), Ok(Said::Act(IncidentId(7), Act::Acknowledge)));
    let two = [IncidentId(7), IncidentId(8)];
    let told = parse("ack", &place(&two, &[])).unwrap_err().to_string();
    assert_eq!(told, "2 incidents are open (INC-7, INC-8): name one, as in `/mtls ack INC-7`");
    let thread = Place { thread: Some(IncidentId(8)), ..place(&two, &[]) };
    assert_eq!(parse("ack", &thread), Ok(Said::Act(IncidentId(8), Act::Acknowledge)));
    assert_eq!(parse("ack 9", &thread), Ok(Said::Act(IncidentId(9), Act::Acknowledge)));
    assert_eq!(parse("ack", &place(&[], &[])), Err(Misunderstood::NothingOpen));
}

#[test]
fn a_wrong_command_gets_the_nearest_right_one() {
    assert_eq!(
        told("aprove"),
        "I do not know `aprove`. Did you mean `/mtls approve [INC] [PLAN]`? `/mtls help` lists what you can say."
    );
    assert_eq!(told("xyzzy"), "I do not know `xyzzy`. `/mtls help` lists what you can say.");
    assert_eq!(told("fix restart-pods"), "There is no fix `restart-pods`. Did you mean `/mtls fix restart-pod`?");
    assert_eq!(told("fix restart-pod INC-7"), "the incident comes first: `/mtls fix INC-7 restart-pod`");
    assert_eq!(told("handoff @jane inc-9"), "the incident comes first: `/mtls handoff INC-9 @jane`");
    assert!(told("fix").contains("I can do `restart-pod`"));
    assert!(told("handoff somebody").contains("neither a person nor a level"));
    assert!(told("handoff @jane").contains("pick the person from the list"), "Slack did not resolve that name");
    assert!(told("target INC-7 web").contains("a namespace and a workload"));
    assert!(told("target INC-7 Web frontend").contains("lower-case letters"));
    assert!(told("resolve INC-7 now").contains("`now`"));
}

#[test]
fn slacks_way_of_writing_people_groups_and_signs_is_read() {
    let person = PersonId { platform: Platform::Slack, workspace: "T0TEAM".to_owned(), user: "U0SEC".to_owned() };
    let to = |to| Ok(Said::Act(IncidentId(7), Act::HandOff { to }));
    assert_eq!(said("handoff <@U0SEC|name>"), to(HandOffTo::Person(person)));
    assert_eq!(said("handoff INC-7 <!subteam^S0SECURITY|@security>"), to(HandOffTo::Level(LevelNumber(2))));
    assert_eq!(said("handoff l3"), to(HandOffTo::Level(LevelNumber(3))));
    let note = |text: &str| Ok(Said::Act(IncidentId(7), Act::Note { text: text.to_owned() }));
    assert_eq!(said("note inc-7 a &lt; b &amp;&amp; <https://example.org|here>"), note("a < b && https://example.org"));
    assert_eq!(said("note 42 is the answer"), note("42 is the answer"), "a bare number belongs to the note");
}

#[test]
fn a_plan_of_digits_only_is_not_taken_for_an_incident() {
    let act = Act::Approve { plan: Some(PlanId("12345678".to_owned())) };
    assert_eq!(said("approve 12345678"), Ok(Said::Act(IncidentId(7), act)));
}

#[test]
fn help_lists_only_what_the_caller_may_do() {
    let words =
        |roles: &[Role]| help(&roles.iter().copied().collect()).into_iter().map(|(usage, _)| usage).collect::<Vec<_>>();
    assert_eq!(words(&[]), ["/mtls help", "/mtls incidents", "/mtls status [INC]"]);
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
