//! Why a pod does not start: its own status, and Kubernetes' events about it (domain notes, section 3).

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{Api, api::ListParams};

use super::Gathering;
use crate::{
    cluster::{ClusterError, FoundPod},
    triage::{Gathered, POD_TROUBLES_MOST, PodEvent, PodStart},
};

/// How many events of one pod are asked for. They come in the order of their names, not of their times.
const ASKED_MOST: u32 = 100;

pub(super) async fn gather(gathering: &Gathering, found: &FoundPod) -> PodStart {
    let events = events(gathering, found).await;
    PodStart { pending: found.pending, containers: found.troubles.clone(), events }
}

/// The warnings about this life of the pod: the newest, oldest first.
async fn events(gathering: &Gathering, found: &FoundPod) -> Gathered<Vec<PodEvent>> {
    let namespace = found.pod.namespace.as_str();
    let what = format!("events of {}", found.pod);
    let api: Api<Event> = Api::namespaced(gathering.reach.client.clone(), namespace);
    let of_it = format!("involvedObject.uid={},type=Warning", found.uid);
    let params = ListParams::default().fields(&of_it).limit(ASKED_MOST);
    let call = async {
        let listed = api.list(&params).await;
        listed.map_err(|error| ClusterError::of(&error, "list", "events", namespace, &what))
    };
    let call = async {
        let listed = gathering.reach.bounded(&what, call).await?;
        let mut events: Vec<PodEvent> = listed.items.iter().map(event).collect();
        events.sort_by_key(|event| event.last);
        Ok(events.split_off(events.len().saturating_sub(POD_TROUBLES_MOST)))
    };
    gathering.check("status and events of the pod".to_owned(), call).await
}

fn event(event: &Event) -> PodEvent {
    let series = event.series.as_ref();
    // Kubelets count in the event, the scheduler in a series.
    let count = series.and_then(|series| series.count).or(event.count).and_then(|count| u32::try_from(count).ok());
    PodEvent {
        reason: event.reason.as_deref().unwrap_or_default().into(),
        message: event.message.as_deref().unwrap_or_default().into(),
        count: count.unwrap_or(1),
        last: last_seen(event),
    }
}

fn last_seen(event: &Event) -> Option<Timestamp> {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).map(|time| time.0);
    let counted = event.last_timestamp.as_ref().map(|time| time.0);
    series.or(counted).or_else(|| event.event_time.as_ref().map(|time| time.0))
}
