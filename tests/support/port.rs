//! Choosing a TCP port for a server that must keep it over restarts.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The ports to choose from. They lie below those that the kernel hands out
/// (Linux: from 32768), so that a port which is free because its server is
/// stopped is not given to somebody's outgoing connection in the meantime.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on now. Somebody else may be faster to take it,
/// so the caller must be ready to ask again.
pub(super) fn free() -> Result<u16, String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time start at different places.
    let start = std::process::id().wrapping_mul(97);
    for _ in PORTS {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = start.wrapping_add(step) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + u16::try_from(offset).map_err(|err| err.to_string())?;
        // Both addresses: some systems let one be bound beside the other.
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
            && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
        {
            return Ok(port);
        }
    }
    Err(format!("no free TCP port in {PORTS:?}"))
}
