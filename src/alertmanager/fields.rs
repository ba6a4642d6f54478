//! The fields of a JSON object, each read by itself: what one of them holds costs none of the others.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// How JSON writes that there is no value.
pub(super) const NULL: &str = "null";

/// The fields of an object that have one of the wanted names, as they were written.
pub(super) struct Fields<'a> {
    found: Vec<(&'static str, &'a RawValue)>,
    /// The fields that could not be read, and those that stand there twice and say two things.
    pub(super) unread: BTreeSet<&'static str>,
}

impl<'a> Fields<'a> {
    /// Finds the fields of an object. An error where it is no object, or no JSON.
    pub(super) fn of(object: &'a str, names: &'static [&'static str]) -> serde_json::Result<Self> {
        let mut reader = serde_json::Deserializer::from_str(object);
        let found = reader.deserialize_map(Named(names))?;
        reader.end()?;
        Ok(Self { found, unread: BTreeSet::new() })
    }

    /// What a field holds, as often as it stands there.
    pub(super) fn all(&self, name: &'static str) -> Vec<&'a str> {
        self.found.iter().filter(|(found, _)| *found == name).map(|(_, raw)| raw.get()).collect()
    }

    /// Every value of a field that can be read, in order. One that is null is left out.
    pub(super) fn each<T: DeserializeOwned + PartialEq>(&mut self, name: &'static str) -> Vec<T> {
        let mut each: Vec<T> = Vec::new();
        for raw in self.all(name).into_iter().filter(|raw| *raw != NULL) {
            match serde_json::from_str(raw) {
                Ok(value) => each.push(value),
                Err(_) => drop(self.unread.insert(name)),
            }
        }
        if each.iter().any(|value| Some(value) != each.first()) {
            self.unread.insert(name);
        }
        each
    }

    /// The first value of a field that can be read.
    pub(super) fn first<T: DeserializeOwned + PartialEq>(&mut self, name: &'static str) -> Option<T> {
        self.each(name).into_iter().next()
    }
}

/// Keeps the values of the fields that have these names.
struct Named(&'static [&'static str]);

impl<'de> Visitor<'de> for Named {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        // A name that is no text (half of a surrogate pair) is nobody's.
        while let Some(written) = map.next_key::<&RawValue>()? {
            match self.0.iter().find(|name| is_written(name, written.get())) {
                Some(name) => found.push((*name, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Whether a name is what is written there in quotes, perhaps with escapes.
fn is_written(name: &str, written: &str) -> bool {
    let plain = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    plain == Some(name)
        || written.contains('\\') && serde_json::from_str::<String>(written).is_ok_and(|unescaped| unescaped == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_name_however_that_is_written_and_twice_where_it_stands_twice() {
        let object =
            r#"{"\ud800": 1e999, "b": null, "\u0061": "one", "x": {"a": 7}, "a": "one", "c": 1e999, "d": 1, "d": 2}"#;
        let mut fields = Fields::of(object, &["a", "b", "c", "d"]).unwrap();
        assert_eq!(fields.each::<String>("a"), ["one", "one"]);
        assert_eq!((fields.first::<String>("b"), fields.first::<u64>("c")), (None, None));
        assert_eq!(fields.first::<u64>("d"), Some(1));
        assert_eq!(fields.unread.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for wrong in ["[]", "null", "7", "{\"a\":1", "{} {}"] {
            assert!(Fields::of(wrong, &["a"]).is_err(), "{wrong}");
        }
    }
}
