//! The names that Envoy's outbound clusters have in a sidecar.

use super::istio::ObjectName;

/// `outbound|PORT|SUBSET|SERVICE.NAMESPACE.svc.DOMAIN`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutboundCluster<'t> {
    /// Of the Service.
    pub(super) port: u16,
    pub(super) subset: Option<&'t str>,
    pub(super) service: ObjectName,
}

impl<'t> OutboundCluster<'t> {
    /// `None` for hosts that are no Service of the cluster.
    pub(super) fn parse(name: &'t str) -> Option<Self> {
        let mut parts = name.strip_prefix("outbound|")?.splitn(3, '|');
        let (port, subset, host) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        let (service, rest) = host.split_once('.')?;
        let (namespace, _) = rest.split_once(".svc.")?;
        let is_name = |text: &str| !text.is_empty() && !text.contains('.');
        let service = (is_name(service) && is_name(namespace))
            .then(|| ObjectName { namespace: namespace.to_owned(), name: service.to_owned() })?;
        Some(Self { port, subset: Some(subset).filter(|subset| !subset.is_empty()), service })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_a_service_is_taken_apart_and_others_are_left() {
        let read = OutboundCluster::parse("outbound|8443|v1|checkout.payments.svc.cluster.local").unwrap();
        assert_eq!(
            (read.port, read.subset, read.service.to_string().as_str()),
            (8443, Some("v1"), "payments/checkout")
        );
        assert_eq!(OutboundCluster::parse("outbound|80||a.b.svc.mesh.internal").unwrap().subset, None);
        for other in ["outbound|443||www.example.org", "outbound|1||x", "inbound|8443||", "outbound|x||a.b.svc.c", ""] {
            assert_eq!(OutboundCluster::parse(other), None, "{other}");
        }
    }
}
