//! Takes one webhook body to the bodies that wait. Who comes first stores for all of them.

use super::{
    accepted::Accepted, shared::Shared, store_bodies::WhenBusy, submit_error::SubmitError, waiting_bodies::SenderTold,
};
use crate::incident::AlertDelivery;

/// Takes one webhook body: one transaction over its alerts, and over those of the bodies that came with it.
pub(super) async fn deliver(shared: &Shared, delivery: &AlertDelivery) -> Result<Accepted, SubmitError> {
    let deliveries = &shared.incoming.bodies;
    let mut told = deliveries.enter(delivery.clone())?;
    let mut queue = (&deliveries.fresh, WhenBusy::LeavesWhatIsBusy);
    loop {
        let _turn = tokio::select! {
            biased;
            told = told.recv() => match told {
                Some(SenderTold::Answered(answer)) => return answer,
                Some(SenderTold::HeldUp) => {
                    queue = (&deliveries.held_up, WhenBusy::Waits);
                    continue;
                }
                None => {
                    let gone = "the sender that stored it for others went away";
                    return Err(SubmitError::NotStored(gone.to_owned()));
                }
            },
            turn = queue.0.turn.lock() => turn,
        };
        shared.store_bodies(queue.0.next(), queue.1).await;
    }
}
