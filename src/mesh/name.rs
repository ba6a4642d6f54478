//! Names of Kubernetes objects. A value of one of these types has passed the rules of RFC 1123, so it can be put into a
//! URL path, an argv array or a chat message without looking again (invariant 5).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not a Kubernetes name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or longer than the rule allows.
    #[error("{what} must have 1 to {most} characters, this has {length}")]
    Length {
        /// Which kind of name was asked for.
        what: &'static str,
        /// The longest that is allowed.
        most: usize,
        /// What was given.
        length: usize,
    },
    /// A character or its place is not allowed.
    #[error(
        "{what} may hold lower-case letters, digits and '-' (and '.' between labels), and starts and ends with a \
         letter or digit"
    )]
    Characters {
        /// Which kind of name was asked for.
        what: &'static str,
    },
    /// A target is not of the form KIND/NAME.
    #[error("a target is pod/NAME, deploy/NAME, statefulset/NAME, daemonset/NAME or svc/NAME")]
    Target,
}

/// The longest DNS label (RFC 1123), in characters.
const LABEL_MOST: usize = 63;
/// The longest DNS subdomain (RFC 1123), in characters.
const SUBDOMAIN_MOST: usize = 253;

fn check_label(what: &'static str, text: &str, most: usize) -> Result<(), NameError> {
    if text.is_empty() || text.len() > most {
        return Err(NameError::Length { what, most, length: text.len() });
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let edges_fine = !text.starts_with('-') && !text.ends_with('-');
    if edges_fine && text.bytes().all(allowed) { Ok(()) } else { Err(NameError::Characters { what }) }
}

fn check_subdomain(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > SUBDOMAIN_MOST {
        return Err(NameError::Length { what, most: SUBDOMAIN_MOST, length: text.len() });
    }
    text.split('.')
        .try_for_each(|label| check_label(what, label, SUBDOMAIN_MOST))
        .map_err(|_| NameError::Characters { what })
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Parses the name, refusing what Kubernetes would refuse.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&'static str, &str) -> Result<(), NameError> = $check;
                check($what, text)?;
                Ok(Self(text.to_owned()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

name_type!(
    /// A namespace (RFC 1123 label).
    Namespace,
    "a namespace",
    |what, text| check_label(what, text, LABEL_MOST)
);
name_type!(
    /// A name of most other objects (RFC 1123 subdomain).
    ObjectName,
    "an object name",
    check_subdomain
);
name_type!(
    /// A node.
    NodeName,
    "a node name",
    check_subdomain
);
name_type!(
    /// A service account.
    ServiceAccount,
    "a service account",
    check_subdomain
);
name_type!(
    /// The UID that the API server gave one life of a pod: a pod of the same name that came later has another.
    PodUid,
    "a UID",
    |what, text| check_label(what, text, LABEL_MOST)
);

/// One pod by name. Names come back after a restart; where one *life* of a pod is meant, its [`PodUid`] goes beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// Where it lives.
    pub namespace: Namespace,
    /// What it is called.
    pub name: ObjectName,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What kind of object a target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// One pod.
    Pod,
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A DaemonSet.
    DaemonSet,
    /// A Service.
    Service,
}

impl TargetKind {
    /// The short form that people type, as in `svc/frontend`.
    pub fn short(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Deployment => "deploy",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Service => "svc",
        }
    }
}

/// What a triage looks at: one object in a namespace, as in `web svc/frontend`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetRef {
    /// Where it lives.
    pub namespace: Namespace,
    /// What it is.
    pub kind: TargetKind,
    /// What it is called.
    pub name: ObjectName,
}

impl TargetRef {
    /// Parses `KIND/NAME`; a bare `NAME` is taken as a Service, which is what the alert's `service` label names.
    pub fn parse(namespace: Namespace, text: &str) -> Result<Self, NameError> {
        let (kind, name) = match text.split_once('/') {
            None => (TargetKind::Service, text),
            Some((kind, name)) => (parse_kind(kind)?, name),
        };
        Ok(Self { namespace, kind, name: ObjectName::parse(name)? })
    }
}

fn parse_kind(text: &str) -> Result<TargetKind, NameError> {
    match text {
        "pod" | "pods" | "po" => Ok(TargetKind::Pod),
        "deploy" | "deployment" | "deployments" => Ok(TargetKind::Deployment),
        "sts" | "statefulset" | "statefulsets" => Ok(TargetKind::StatefulSet),
        "ds" | "daemonset" | "daemonsets" => Ok(TargetKind::DaemonSet),
        "svc" | "service" | "services" => Ok(TargetKind::Service),
        _ => Err(NameError::Target),
    }
}

impl fmt::Display for TargetRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.namespace, self.kind.short(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_refuses_are_refused_here() {
        for bad in ["", "-web", "web-", "Web", "web/../x", "a b", "web\n", "wéb", "--kubeconfig=x", &"x".repeat(64)] {
            assert!(Namespace::parse(bad).is_err(), "{bad:?}");
        }
        assert!(ObjectName::parse("a..b").is_err());
        assert!(ObjectName::parse("frontend-7d9c5b6f4-0").is_ok());
        assert!(NodeName::parse("node-1.eu.example.org").is_ok());
    }

    #[test]
    fn a_target_is_read_as_kubectl_users_write_it() {
        let web = Namespace::parse("web").unwrap();
        let target = TargetRef::parse(web.clone(), "deployment/frontend").unwrap();
        assert_eq!(target.to_string(), "web deploy/frontend");
        assert_eq!(TargetRef::parse(web.clone(), "frontend").unwrap().kind, TargetKind::Service);
        assert_eq!(TargetRef::parse(web, "job/frontend"), Err(NameError::Target));
    }
}
