//! Lines that say the same of many pods, folded into one: what a line says is told by its words, with names and figures left
//! out. So a report of 500 pods fits on a screen.

use std::collections::{HashMap, HashSet};

use crate::triage::{Check, CheckResult, Subject, Verdict};

/// The most that one line names.
pub(super) const NAMED_MOST: usize = 3;

/// The names that a verdict's sentences hold and that make no difference to what they say.
pub(super) struct Names<'v>(HashSet<&'v str>);

impl<'v> Names<'v> {
    pub(super) fn of(verdict: &'v Verdict) -> Self {
        let checked = verdict.checks.iter().filter_map(|check| match &check.subject {
            Subject::Pod(pod) | Subject::SpireServerPod(pod) => Some(pod.name.as_str()),
            Subject::SpireAgent(node) => Some(node.as_str()),
            _ => None,
        });
        let shown = verdict.on.pods.iter().map(|pod| pod.name.as_str());
        let mut names: HashSet<&str> = checked.chain(shown).collect();
        for node in &verdict.on.nodes {
            names.insert(node.as_str());
        }
        Self(names)
    }

    /// A sentence without names and figures.
    fn shape(&self, sentence: &str) -> String {
        let word = |word: &str| {
            let name = word.trim_matches(|letter: char| !letter.is_alphanumeric());
            let name = name.rsplit('/').next().unwrap_or(name);
            if self.0.contains(name) {
                "·".to_owned()
            } else {
                word.replace(|letter: char| letter.is_ascii_digit(), "")
            }
        };
        sentence.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// Sentences, the first of each kind in their order, with how many more say the same of others.
    pub(super) fn fold<'s>(&self, sentences: impl IntoIterator<Item = &'s str>) -> Vec<String> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut kinds: Vec<(&str, usize)> = Vec::new();
        for sentence in sentences {
            let place = *places.entry(self.shape(sentence)).or_insert(kinds.len());
            match kinds.get_mut(place) {
                Some((_, more)) => *more += 1,
                None => kinds.push((sentence, 0)),
            }
        }
        let told = |(first, more): (&str, usize)| match more {
            0 => first.to_owned(),
            1 => format!("{first}; one more like it"),
            more => format!("{first}; {more} more like it"),
        };
        kinds.into_iter().map(told).collect()
    }

    /// Checks that ended in one way, folded by what they found; the first of each stands for the others.
    pub(super) fn fold_checks<'c>(&self, checks: &'c [Check], result: CheckResult) -> Vec<Alike<'c>> {
        let mut places: HashMap<_, usize> = HashMap::new();
        let mut groups: Vec<Alike<'c>> = Vec::new();
        for check in checks.iter().filter(|check| check.result == result) {
            let kind = (check.id, check.source.as_str(), self.shape(&check.summary), check.remedy.as_deref());
            let place = *places.entry(kind).or_insert(groups.len());
            match groups.get_mut(place) {
                Some(group) => group.subjects.push(&check.subject),
                None => groups.push(Alike { first: check, subjects: vec![&check.subject] }),
            }
        }
        groups
    }
}

/// Checks that found the same.
pub(super) struct Alike<'c> {
    pub(super) first: &'c Check,
    pub(super) subjects: Vec<&'c Subject>,
}
