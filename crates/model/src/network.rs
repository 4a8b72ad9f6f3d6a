//! Who is behind an address.

use std::net::{IpAddr, Ipv6Addr};

/// Who is behind an address, as far as an address tells: of IPv6 one customer can choose from a whole /56.
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 72)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P27: all addresses that one customer can choose are one network.
    #[test]
    fn a_customer_has_one_network() {
        let network = |text: &str| network_of(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1::");
        assert_eq!(network("2001:db8:1:2::1"), "2001:db8:1::");
        assert_ne!(network("2001:db8:1:100::1"), network("2001:db8:1:2::1"));
    }
}
