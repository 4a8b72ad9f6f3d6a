//! Telling systemd that the service is ready or stops (`Type=notify`).
//!
//! Without systemd there is nobody to tell, and nothing happens.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service answers at `url`.
pub(crate) fn tell(url: &str) {
    notify(&format!("READY=1\nSTATUS=ready at {url}"));
}

/// The service stops.
pub(crate) fn tell_stopping() {
    notify("STOPPING=1");
}

fn notify(message: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let sent = (|| {
        let name = name.into_encoded_bytes();
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(String::from_utf8_lossy(&name).as_ref())?,
        };
        UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)
    })();
    if let Err(error) = sent {
        tracing::warn!(%error, "cannot tell systemd");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_systemd_nothing_happens() {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            tell("http://127.0.0.1:1");
            tell_stopping();
        }
    }
}
