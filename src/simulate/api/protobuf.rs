//! The protobuf bodies that kubectl sends though it is answered in JSON: the review of `auth can-i`, the evictions and
//! deletions of `drain`.
//!
//! A Kubernetes protobuf body is `k8s\0` and a message `Unknown`, whose field 2 holds the object. The numbers of the
//! fields are those of the `generated.proto` files of k8s.io/api and k8s.io/apimachinery.

use serde_json::{Value, json};

/// The media type.
pub(super) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What a review asks about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct ReviewedAccess {
    pub(super) namespace: String,
    pub(super) verb: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) resource: String,
    pub(super) subresource: String,
    pub(super) name: String,
}

/// The object in a body; `None` when it is something else.
fn object(body: &[u8]) -> Option<&[u8]> {
    bytes_field(body.strip_prefix(b"k8s\0")?, 2)
}

/// Reads an Eviction as the JSON that it stands for.
pub(super) fn eviction(body: &[u8]) -> Option<Value> {
    let eviction = object(body)?;
    let name = text_field(bytes_field(eviction, 1)?, 1);
    let options = bytes_field(eviction, 2).map(options_of);
    Some(json!({"metadata": {"name": name}, "deleteOptions": options}))
}

/// Reads DeleteOptions as the JSON that they stand for.
pub(super) fn delete_options(body: &[u8]) -> Option<Value> {
    object(body).map(options_of)
}

fn options_of(options: &[u8]) -> Value {
    let preconditions = bytes_field(options, 2).unwrap_or_default();
    let dry_run: Vec<String> = bytes_field(options, 5).map(lossy).into_iter().collect();
    json!({
        "preconditions": {"uid": text_field(preconditions, 1), "resourceVersion": text_field(preconditions, 2)},
        "dryRun": dry_run,
    })
}

/// Reads a SelfSubjectAccessReview; `None` when it is something else.
pub(super) fn question(body: &[u8]) -> Option<ReviewedAccess> {
    let spec = bytes_field(object(body)?, 2)?;
    let attributes = bytes_field(spec, 1)?;
    let text = |number: u64| text_field(attributes, number);
    Some(ReviewedAccess {
        namespace: text(1),
        verb: text(2),
        group: text(3),
        version: text(4),
        resource: text(5),
        subresource: text(6),
        name: text(7),
    })
}

/// A text field; empty when it is absent, as protobuf has it.
fn text_field(message: &[u8], wanted: u64) -> String {
    bytes_field(message, wanted).map(lossy).unwrap_or_default()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The last field of that number that holds bytes.
fn bytes_field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    let mut found = None;
    while !message.is_empty() {
        let (tag, rest) = varint(message)?;
        message = match tag & 7 {
            0 => varint(rest)?.1,
            1 => rest.get(8..)?,
            2 => {
                let (length, rest) = varint(rest)?;
                let length = usize::try_from(length).ok()?;
                if tag >> 3 == wanted {
                    found = Some(rest.get(..length)?);
                }
                rest.get(length..)?
            }
            5 => rest.get(4..)?,
            _ => return None,
        };
    }
    found
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (place, byte) in bytes.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        value |= bits.checked_shl(u32::try_from(place * 7).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(place + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend_from_slice(content);
        bytes
    }

    #[test]
    fn the_question_of_kubectl_auth_can_i_is_read() {
        let attributes = [field(1, b"web"), field(2, b"create"), field(5, b"pods"), field(6, b"exec")].concat();
        let spec = field(2, &field(1, &attributes));
        let body = [b"k8s\0".to_vec(), field(1, b"ignored"), field(2, &spec), field(3, b"")].concat();
        let read = question(&body).unwrap();
        assert_eq!((read.verb.as_str(), read.resource.as_str(), read.subresource.as_str()), ("create", "pods", "exec"));
        assert_eq!(read.namespace, "web");
        assert_eq!(question(&body[..body.len() - 4]), None);
        assert_eq!(question(b"{}"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_fall_over(body: Vec<u8>) {
            let body = [b"k8s\0".to_vec(), body].concat();
            let _ = (question(&body), eviction(&body), delete_options(&body));
        }
    }

    #[test]
    fn the_eviction_of_kubectl_drain_is_read() {
        let options = [vec![1 << 3, 30], field(2, &field(1, b"uid-1")), field(5, b"All")].concat();
        let eviction_message = [field(1, &field(1, b"frontend-a")), field(2, &options)].concat();
        let body = [b"k8s\0".to_vec(), field(2, &eviction_message)].concat();
        let wanted = json!({"preconditions": {"uid": "uid-1", "resourceVersion": ""}, "dryRun": ["All"]});
        assert_eq!(eviction(&body), Some(json!({"metadata": {"name": "frontend-a"}, "deleteOptions": wanted})));
        let deletion = [b"k8s\0".to_vec(), field(2, &options)].concat();
        assert_eq!(delete_options(&deletion), Some(wanted));
    }
}
