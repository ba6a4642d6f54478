//! The one protobuf body that is understood: the SelfSubjectAccessReview of `kubectl auth can-i`.
//!
//! A Kubernetes protobuf body is `k8s\0` and a message `Unknown`, whose field 2 holds the object.

/// What a review asks about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) namespace: String,
    pub(super) verb: String,
    pub(super) group: String,
    pub(super) version: String,
    pub(super) resource: String,
    pub(super) subresource: String,
    pub(super) name: String,
}

/// Reads the body; `None` when it is something else.
pub(super) fn question(body: &[u8]) -> Option<Question> {
    let unknown = body.strip_prefix(b"k8s\0")?;
    let review = bytes_field(unknown, 2)?;
    let spec = bytes_field(review, 2)?;
    let attributes = bytes_field(spec, 1)?;
    let text = |number: u64| {
        let bytes = bytes_field(attributes, number).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    Some(Question {
        namespace: text(1),
        verb: text(2),
        group: text(3),
        version: text(4),
        resource: text(5),
        subresource: text(6),
        name: text(7),
    })
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
}
