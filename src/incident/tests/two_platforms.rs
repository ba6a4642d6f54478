//! One incident on Slack and Discord at once: who counts as whom, and which channel calls whom.

use super::rehearsal::{MINUTE, Rehearsal, person, plan, policy};
use crate::{
    approval::VoteRefusal,
    incident::{
        Act, AlertStatus, Answer, Command, Destination, Face, FixNumber, IncidentId, Outcome, Refusal, Work, decide,
    },
    people::{Actor, Mention, PersonId, Platform, Role},
    triage::FixName,
};

fn on_discord(user: &str) -> PersonId {
    PersonId { platform: Platform::Discord, workspace: "G0".to_owned(), user: user.to_owned() }
}

impl Rehearsal {
    /// Somebody who commands and approves, and is known by these other ids.
    fn says_as(&mut self, id: PersonId, also: &[PersonId], act: Act) -> Result<Answer, Refusal> {
        let roles = [Role::Commander, Role::Approver].into();
        let actor = Actor { id, also: also.iter().cloned().collect(), roles, as_of: self.now };
        let command = Command { incident: IncidentId::new(1), actor, key: "k".to_owned(), act };
        let (events, answer) = decide(self.incident(), &command, self.now, &self.policy)?;
        self.record(&events);
        Ok(answer)
    }
}

/// U0ONCALL asked on Slack for a fix whose plan waits for `needed` approvals.
fn asked_on_slack(needed: u8) -> Rehearsal {
    let mut night = Rehearsal::with_a_verdict();
    night.policy.approval.needed = needed;
    night.says("U0ONCALL", Act::ProposeFix { fix: FixName::RestartPod }).unwrap();
    let drawn = Box::new(plan(&["frontend-1"], night.now));
    night.outcome(&Outcome::PlanDrawn { fix: FixNumber(1), plan: drawn });
    night
}

const APPROVE: Act = Act::Approve { plan: None };

#[test]
fn nobody_approves_on_discord_what_they_asked_for_on_slack() {
    let mut night = asked_on_slack(1);
    let linked = night.says_as(on_discord("100"), &[person("U0ONCALL")], APPROVE);
    assert_eq!(linked, Err(Refusal::Vote(VoteRefusal::OwnRequest)));
    let unlinked = night.says_as(on_discord("100"), &[], APPROVE).unwrap_err();
    insta::assert_snapshot!(unlinked, @"it was asked for on another platform, and the configuration does not say who you are there (people.same): somebody else on that platform has to approve it");
}

#[test]
fn somebody_else_whom_the_configuration_knows_on_both_platforms_approves_on_either() {
    let mut night = asked_on_slack(1);
    night.says_as(on_discord("200"), &[person("U0SEC")], APPROVE).unwrap();
    assert!(
        night.incident().fix.as_ref().unwrap().approved_by().contains(&on_discord("200")),
        "by the id they acted with"
    );
}

#[test]
fn one_person_on_two_platforms_is_one_of_two_approvals_whichever_comes_first() {
    let (slack, discord) = (person("U0SEC"), on_discord("200"));
    for (first, second) in [(&slack, &discord), (&discord, &slack)] {
        let mut night = asked_on_slack(2);
        night.says_as(first.clone(), std::slice::from_ref(second), APPROVE).unwrap();
        let again = night.says_as(second.clone(), std::slice::from_ref(first), APPROVE);
        assert_eq!(again, Err(Refusal::Vote(VoteRefusal::Again { missing: 1 })));
        // The link was taken out of the configuration meanwhile.
        let unlinked = night.says_as(slack.clone(), &[], APPROVE);
        assert_eq!(unlinked, Err(Refusal::Vote(VoteRefusal::Again { missing: 1 })), "{first:?} came first");
    }
}

#[test]
fn a_person_takes_back_on_discord_what_they_asked_for_on_slack() {
    let mut night = asked_on_slack(1);
    assert_eq!(night.says_as(on_discord("300"), &[], Act::Withdraw), Err(Refusal::NotYours));
    night.says_as(on_discord("100"), &[person("U0ONCALL")], Act::Withdraw).unwrap();
}

#[test]
fn a_level_is_mentioned_where_it_is_known_and_one_that_nobody_knows_is_told_of_everywhere() {
    let slack = Destination { face: Face::Slack, channel: "C0INCIDENTS".to_owned() };
    let discord = Destination { face: Face::Discord, channel: "900".to_owned() };
    let mut rules = policy();
    rules.channels = vec![slack.clone(), discord.clone()];
    let both = [Mention::group(Platform::Slack, "S1"), Mention::group(Platform::Discord, "11")];
    rules.escalation.levels[0].mentions = both.to_vec();
    rules.escalation.levels[1].mentions = vec![Mention::group(Platform::Discord, "22")];
    // Of a platform that was taken out of the configuration.
    rules.escalation.levels[2].mentions = vec![Mention::group(Platform::Page, "infrastructure")];
    let mut night = Rehearsal::quiet();
    night.policy = rules;
    night.alert("frontend-1", AlertStatus::Firing);
    let called = |night: &Rehearsal| -> Vec<(Face, Vec<Mention>)> {
        let mentions = night.waiting.iter().filter_map(|effect| match &effect.work {
            Work::Mention { to, mentions, .. } => Some((to.face, mentions.clone())),
            _ => None,
        });
        mentions.collect()
    };
    let [on_slack, on_discord] = both;
    assert_eq!(called(&night), [(Face::Slack, vec![on_slack]), (Face::Discord, vec![on_discord])]);
    night.passes(15 * MINUTE);
    assert!(called(&night).contains(&(Face::Discord, vec![Mention::group(Platform::Discord, "22")])));
    night.passes(30 * MINUTE);
    let nobody: Vec<Face> =
        called(&night).into_iter().filter(|(_, whom)| whom.is_empty()).map(|(face, _)| face).collect();
    assert_eq!(nobody, [Face::Slack, Face::Discord]);
}
