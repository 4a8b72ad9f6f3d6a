//! Which addresses webhooks may go to: public ones, and those the operator allows.
//!
//! A tenant names the address, and the request comes from inside of the operator's network: without
//! this it could reach what is behind the firewall.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use cbr_model::network::{Network, is_in};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether a request may go to an address.
pub(super) fn is_allowed(address: IpAddr, networks: &[Network]) -> bool {
    let address = plain(address);
    is_public(address) || is_in(networks, address)
}

/// The address that is meant: some of the sixth version only wrap one of the fourth.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else { return address };
    let parts = six.segments();
    let four = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(four(high, low))
        }
        [0x2002, high, low, ..] => IpAddr::V4(four(high, low)),
        _ => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_four(address),
        IpAddr::V6(address) => is_public_six(address),
    }
}

fn is_public_four(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_special
}

fn is_public_six(address: Ipv6Addr) -> bool {
    // Only these are routed on the internet; of them, documentation is not.
    let [first, second, ..] = address.segments();
    (first & 0xe000) == 0x2000 && (first, second) != (0x2001, 0xdb8)
}

/// Finds addresses of names, without those that nothing may be sent to.
#[derive(Clone, Debug)]
pub(super) struct CarefulResolver {
    pub(super) networks: Arc<[Network]>,
}

impl Resolve for CarefulResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let networks = Arc::clone(&self.networks);
        let name = name.as_str().to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|found| is_allowed(found.ip(), &networks)).collect();
            if allowed.is_empty() {
                return Err(format!(
                    "{name} has no address that webhooks may go to; the operator may allow its \
                     network in notify.allow_networks"
                )
                .into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, networks: &[&str]) -> bool {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &networks)
    }

    /// P26: a webhook reaches nothing behind the firewall, however its address is written.
    #[test]
    fn private_addresses_are_refused_in_every_disguise() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "100::1",
        ] {
            assert!(!allowed(address, &[]), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn the_operator_can_allow_networks_of_its_own() {
        assert!(allowed("10.1.2.3", &["10.0.0.0/8"]));
        assert!(allowed("::ffff:10.1.2.3", &["10.0.0.0/8"]), "in disguise as well");
        assert!(!allowed("192.168.0.1", &["10.0.0.0/8"]));
        assert!(
            allowed("127.0.0.1", &["127.0.0.1/32"]) && !allowed("127.0.0.2", &["127.0.0.1/32"])
        );
        assert!(allowed("fd00::5", &["fd00::/8"]) && !allowed("fe80::1", &["fd00::/8"]));
        assert!(allowed("192.168.3.4", &["0.0.0.0/0"]) && !allowed("fd00::1", &["0.0.0.0/0"]));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "fd00::/129"] {
            bad.parse::<Network>().unwrap_err();
        }
    }
}
