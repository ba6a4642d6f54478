//! Every mistake of a file at once, each with its place. A reader stops at the first one; so the file is read again and again,
//! each time with what was wrong mended in memory, until nothing is wrong any more. Nothing of that is used but the mistakes.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

use super::plain_secrets::{shown, without_values};

/// More are not told: a file in which so much is wrong is another file.
const MISTAKES_MOST: usize = 40;

/// Something that is wrong, and where.
struct Mistake {
    place: Vec<Step>,
    why: String,
}

/// A step on the way to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

/// Reads a text; or says all that is wrong with it.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    let first = match read_once(text) {
        Ok(read) => return Ok(read),
        Err(mistake) => mistake,
    };
    let told = |mistake: &Mistake| -> String {
        let (place, why) = (in_words(&mistake.place), without_values(&mistake.why, text));
        if place.is_empty() { why } else { format!("{place}: {why}") }
    };
    let Ok(mut mended) = serde_saphyr::from_str::<Value>(text) else { return Err(vec![told(&first)]) };
    let (mut mistakes, mut wrong, mut next) = (Vec::new(), Vec::<Vec<Step>>::new(), first);
    for _ in 0..2 * MISTAKES_MOST {
        let (place, placeholder) = match (next.field("missing field"), next.field("unknown field")) {
            (Some(field), _) => {
                let mut place = next.place.clone();
                place.push(Step::Field(field.clone()));
                // One that was wrong was taken out, and is not missing too.
                if !wrong.contains(&place) {
                    mistakes.push(format!("{}: it is missing, and has no default", in_words(&place)));
                }
                (place, Some(placeholder(&field)))
            }
            (None, Some(field)) => {
                let mut place = next.place.clone();
                if place.last() != Some(&Step::Field(field.clone())) {
                    place.push(Step::Field(field));
                }
                next.place.clone_from(&place);
                mistakes.push(told(&next));
                (place, None)
            }
            (None, None) => {
                mistakes.push(told(&next));
                (next.place.clone(), None)
            }
        };
        let is_mended = mend(&mut mended, &place, placeholder);
        wrong.push(place);
        if !is_mended || mistakes.len() >= MISTAKES_MOST {
            break;
        }
        // JSON is YAML; without line ends no line is told that is not one of the file.
        match read_once::<T>(&mended.to_string()) {
            Ok(_) => break,
            Err(mistake) => next = Mistake { why: without_line(&mistake.why).to_owned(), ..mistake },
        }
    }
    Err(mistakes)
}

fn read_once<T: DeserializeOwned>(text: &str) -> Result<T, Mistake> {
    let mut place = Vec::new();
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, options, |reader| {
        serde_path_to_error::deserialize(reader).map_err(|error| {
            place = steps(error.path());
            error.into_inner()
        })
    });
    read.map_err(|error: serde_saphyr::Error| Mistake { place, why: error.to_string() })
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Map { key } => Some(Step::Field(key.clone())),
        Segment::Seq { index } => Some(Step::Item(*index)),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().map_while(step).collect()
}

/// A place as people write it: `people.levels[1].window`.
fn in_words(place: &[Step]) -> String {
    place.iter().fold(String::new(), |words, step| match step {
        Step::Field(name) if words.is_empty() => shown(name),
        Step::Field(name) => format!("{words}.{}", shown(name)),
        Step::Item(number) => format!("{words}[{number}]"),
    })
}

impl Mistake {
    /// The field that the reader's sentence names behind `what`.
    fn field(&self, what: &str) -> Option<String> {
        let (_, rest) = self.why.split_once(what)?;
        let quoted = rest.split_once('`')?.1;
        Some(quoted.split_once('`')?.0.to_owned())
    }
}

/// The reader's sentence without the line that it ends with.
fn without_line(why: &str) -> &str {
    why.rsplit_once(" at line ").map_or(why, |(why, _)| why)
}

/// Something that a required field of that name can be read from.
fn placeholder(field: &str) -> Value {
    match field {
        "alertmanager" | "commanders" => json!({}),
        "people" => json!({"levels": [], "commanders": {}}),
        "levels" => json!([]),
        "listen" => json!("127.0.0.1:1"),
        "window" => json!("15m"),
        "mode" => json!("socket"),
        "kind" => json!("generic"),
        "url" | "password" | "bot_token" => json!({"env": "NAME"}),
        _ => json!("name"),
    }
}

/// Puts a value in its place, or takes what is there away; whether anything changed.
fn mend(all: &mut Value, place: &[Step], value: Option<Value>) -> bool {
    let Some((last, way)) = place.split_last() else { return false };
    let inside = way.iter().try_fold(all, |value, step| match step {
        Step::Field(name) => value.get_mut(name),
        Step::Item(number) => value.get_mut(*number),
    });
    match (inside, last, value) {
        (Some(Value::Object(fields)), Step::Field(name), Some(value)) => fields.insert(name.clone(), value).is_none(),
        (Some(Value::Object(fields)), Step::Field(name), None) => fields.remove(name).is_some(),
        (Some(Value::Array(all)), Step::Item(number), None) if *number < all.len() => {
            all.remove(*number);
            true
        }
        _ => false,
    }
}
