//! What Discord refuses of a message. Texts are counted as its app counts them, in UTF-16 units.

use std::collections::BTreeSet;

use serde_json::Value;

/// What Discord would refuse of a message, by the limits of its reference.
pub fn fault(said: &Value) -> Option<String> {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.encode_utf16().count());
    let embeds = said["embeds"].as_array().cloned().unwrap_or_default();
    let rows = said["components"].as_array().cloned().unwrap_or_default();
    let is_empty = length(&said["content"]) == 0 && embeds.is_empty();
    let mut all = 0;
    let mut faults: Vec<&str> = Vec::new();
    let mut holds = |holds: bool, fault: &'static str| {
        if !holds {
            faults.push(fault);
        }
    };
    holds(!is_empty, "Cannot send an empty message");
    holds(length(&said["content"]) <= 2_000, "content");
    holds(embeds.len() <= 10, "embeds");
    for embed in &embeds {
        let fields = embed["fields"].as_array().cloned().unwrap_or_default();
        holds(length(&embed["title"]) <= 256 && length(&embed["description"]) <= 4_096, "embed");
        holds(fields.len() <= 25 && length(&embed["footer"]["text"]) <= 2_048, "embed");
        all += length(&embed["title"]) + length(&embed["description"]) + length(&embed["footer"]["text"]);
        all += length(&embed["author"]["name"]);
        for field in &fields {
            let (name, value) = (length(&field["name"]), length(&field["value"]));
            holds((1..=256).contains(&name) && (1..=1_024).contains(&value), "field");
            all += name + value;
        }
    }
    holds(all <= 6_000, "all embeds");
    holds(rows.len() <= 5, "rows");
    let mut ids = BTreeSet::new();
    for button in rows.iter().flat_map(|row| row["components"].as_array().unwrap().iter()) {
        holds(length(&button["label"]) <= 80, "label");
        if let Some(id) = button["custom_id"].as_str() {
            holds((1..=100).contains(&id.len()) && ids.insert(id.to_owned()), "custom_id");
        }
    }
    holds(said["nonce"].as_str().is_none_or(|nonce| nonce.len() <= 25), "nonce");
    faults.first().map(|fault| (*fault).to_owned())
}
