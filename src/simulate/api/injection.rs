//! Slowness and errors as people write them on a command line: `get=200ms`, `create/pods/eviction=503`.

use std::time::Duration;

use super::options::{ApiFault, Options};

/// What some requests meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Injection {
    verb: String,
    resource: String,
    fault: ApiFault,
}

/// It is not written as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectionError {
    /// The part before the `=`.
    #[error("write VERB[/RESOURCE]={wanted}, with a verb of {verbs} or *", verbs = VERBS.join(", "))]
    Form {
        /// What stands behind the `=`.
        wanted: &'static str,
    },
    /// The part behind it.
    #[error("{text:?} is no {wanted}")]
    Value {
        /// What was written.
        text: String,
        /// What was wanted.
        wanted: &'static str,
    },
}

/// The verbs of Kubernetes that are served here.
const VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
/// The longest delay: longer than any client waits.
const DELAY_MOST: Duration = Duration::from_hours(1);

impl Injection {
    /// A delay, as `get=200ms` or `*/pods/exec=5s`.
    pub fn delay(text: &str) -> Result<Self, InjectionError> {
        let wanted = "DELAY (as 200ms or 5s)";
        Self::parse(text, wanted, |value| {
            let (figure, unit): (&str, fn(u64) -> Duration) = match value.strip_suffix("ms") {
                Some(figure) => (figure, Duration::from_millis),
                None => (value.strip_suffix('s')?, Duration::from_secs),
            };
            figure.parse().ok().map(unit).filter(|delay| *delay <= DELAY_MOST).map(ApiFault::delay)
        })
    }

    /// An error, as `create/pods/eviction=503`.
    pub fn fail(text: &str) -> Result<Self, InjectionError> {
        Self::parse(text, "CODE (400 to 599)", |value| {
            let code: u16 = value.parse().ok().filter(|code| (400..600).contains(code))?;
            Some(ApiFault::status(code, "the simulated API server was told to fail here"))
        })
    }

    fn parse(
        text: &str,
        wanted: &'static str,
        fault: impl Fn(&str) -> Option<ApiFault>,
    ) -> Result<Self, InjectionError> {
        let (place, value) = text.split_once('=').ok_or(InjectionError::Form { wanted })?;
        let (verb, resource) = place.split_once('/').unwrap_or((place, "*"));
        if !(verb == "*" || VERBS.contains(&verb)) || resource.is_empty() {
            return Err(InjectionError::Form { wanted });
        }
        let fault = fault(value).ok_or_else(|| InjectionError::Value { text: value.to_owned(), wanted })?;
        Ok(Self { verb: verb.to_owned(), resource: resource.to_owned(), fault })
    }
}

impl Options {
    /// Breaks requests as was said on the command line; the first that fits counts.
    pub fn inject_all(&self, injections: &[Injection]) {
        for Injection { verb, resource, fault } in injections {
            self.inject(verb, resource, fault.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slowness_and_errors_are_read_as_people_write_them() {
        let injection = |verb: &str, resource: &str, fault: ApiFault| {
            Ok(Injection { verb: verb.to_owned(), resource: resource.to_owned(), fault })
        };
        assert_eq!(Injection::delay("get=200ms"), injection("get", "*", ApiFault::delay(Duration::from_millis(200))));
        assert_eq!(Injection::delay("*/pods=2s"), injection("*", "pods", ApiFault::delay(Duration::from_secs(2))));
        let failing = ApiFault::status(503, "the simulated API server was told to fail here");
        assert_eq!(Injection::fail("create/pods/eviction=503"), injection("create", "pods/eviction", failing));
        for wrong in ["", "get", "fetch=2s", "get/=2s", "get=2", "get=2h", "get=-2s", "get=s", "get=99999999s", "=2s"] {
            assert!(Injection::delay(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["get=200", "get=600", "get=no", "get503"] {
            assert!(Injection::fail(wrong).is_err(), "{wrong:?}");
        }
        assert!(Injection::fail("fetch=503").unwrap_err().to_string().contains("get, list"));
    }

    #[test]
    fn the_first_injection_that_fits_counts() {
        let options = Options::default();
        let given = [Injection::fail("create/pods/eviction=503"), Injection::delay("create=1s")].map(Result::unwrap);
        options.inject_all(&given);
        assert_eq!(options.meet(&["create"], "pods/eviction"), Some(given[0].fault.clone()));
        assert_eq!(options.meet(&["create"], "pods/exec"), Some(given[1].fault.clone()));
        assert_eq!(options.meet(&["get"], "pods"), None);
    }
}
