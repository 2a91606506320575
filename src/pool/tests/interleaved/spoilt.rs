//! A store that may be wrong.

use super::*;
use crate::bell::Bell;
use crate::message::Settlement;
use crate::store::{Dequeue, Layer, Wakeups};

/// A store that lies, or is wrong, as the fault says.
#[derive(Debug)]
pub(super) struct Spoilt(pub(super) Hooked<Seams>);

impl Layer for Spoilt {
    type Inner = Hooked<Seams>;

    fn inner(&self) -> &Hooked<Seams> {
        &self.0
    }
    fn dequeue(&self, dequeue: &Dequeue) -> Result<Vec<Message>> {
        let mut messages = Store::dequeue(&self.0, dequeue)?;
        for message in &mut messages {
            message.lapsed |= is(Fault::RepeatsUnderTheNewerReceipt) && message.read_ct > 1;
            message.lapsed &= !is(Fault::StartsWhatItHolds);
        }
        Ok(messages)
    }
    fn settle(&self, queue_id: i64, settlements: &[Settlement]) -> Result<Vec<bool>> {
        let mut settlements = settlements.to_vec();
        for settlement in &mut settlements {
            if let Outcome::Release { charged, .. } = &mut settlement.outcome {
                *charged |= is(Fault::ChargesWhatIsGivenBack);
            }
        }
        Store::settle(&self.0, queue_id, &settlements)
    }
    fn wakeups(&self, _: Vec<(i64, Bell)>) -> Option<Box<dyn Wakeups>> {
        None // the scene does all there is
    }
    fn wakes_consumers(&self) -> bool {
        false
    }
}
