//! Fences that one side pays for both: `membarrier`.
//!
//! "Store, full fence, load" at every send costs a ring most of its speed. It is only needed because the
//! peer may be about to sleep, which is rare and slow in any case. So who goes to sleep makes every
//! processor that runs a registered process do a full fence, and the other side makes none.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process for the fences of others; whether it can make and take them.
pub(crate) fn register() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
            && membarrier(MembarrierCommand::GlobalExpedited).is_ok()
    })
}

/// Makes every processor that runs a registered process do a full fence.
pub(crate) fn heavy() {
    // Where it does not work, `register` has said so, and both sides make full fences.
    let _ = membarrier(MembarrierCommand::GlobalExpedited);
}
