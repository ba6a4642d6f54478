//! Takes the objects out of a document one by one, as JSON: a List, lists in it, a single object, or documents of YAML.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::objects::ObjectsError;

/// A List, one object, or the `objects` of a test set.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    items: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    objects: Option<Vec<&'a RawValue>>,
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err asks for")]
pub(super) fn syntax(error: serde_json::Error) -> ObjectsError {
    ObjectsError::Syntax { why: error.to_string() }
}

type Take<'t> = dyn FnMut(&str) -> Result<(), ObjectsError> + 't;

/// Lists may hold lists; the depth ends what a crafted file could ask of the stack.
const NESTED_MOST: u8 = 4;

/// How much YAML is read, where the reader's own bounds are for configurations: a pod as kubectl prints it has some hundred
/// nodes, and ten thousand pods are a cluster.
const NODES_MOST: usize = 10_000_000;
/// How many nodes aliases may repeat: kubectl writes none, and people a few.
const REPEATED_MOST: usize = 50_000;
/// One file of a repository may hold many objects.
const DOCUMENTS_MOST: usize = 100_000;
/// The text of all values, in bytes; the file itself is bounded too.
const SCALAR_BYTES_MOST: usize = 256 * 1024 * 1024;

pub(super) fn each_object(text: &str, take: &mut Take<'_>) -> Result<(), ObjectsError> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
        return each_of_json(text.trim_start_matches('\u{feff}'), NESTED_MOST, take);
    }
    let options = serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MOST,
            max_events: 2 * NODES_MOST,
            max_documents: DOCUMENTS_MOST,
            max_total_scalar_bytes: SCALAR_BYTES_MOST,
            max_recorded_anchor_events: REPEATED_MOST,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: REPEATED_MOST },
    };
    let documents: Vec<serde_json::Value> = serde_saphyr::from_multiple_with_options(text, options)
        .map_err(|error| ObjectsError::Syntax { why: error.to_string() })?;
    for document in documents.iter().filter(|one| !one.is_null()) {
        each_of_json(&document.to_string(), NESTED_MOST, take)?;
    }
    Ok(())
}

fn each_of_json(text: &str, depth: u8, take: &mut Take<'_>) -> Result<(), ObjectsError> {
    let members: Vec<&RawValue> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(syntax)?
    } else {
        let document: Document<'_> = serde_json::from_str(text).map_err(syntax)?;
        match document.items.or(document.objects) {
            Some(members) => members,
            None => return take(text),
        }
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Err(ObjectsError::Syntax { why: format!("lists in lists, deeper than {NESTED_MOST}") });
    };
    members.iter().try_for_each(|member| each_of_json(member.get(), depth, take))
}
