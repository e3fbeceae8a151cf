//! Who the caller is when a proxy stands between.
//!
//! Anyone can send `X-Forwarded-For`. It is believed only as far as trusted proxies wrote it: read from the right,
//! where the nearest proxy appends, to the first address that is not a trusted proxy's.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

/// An address, or a range such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    mask: u128,
}

/// The text is neither an address nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an address or a range such as 10.0.0.0/8")]
pub struct NetworkError(String);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let refused = || NetworkError(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().map_err(|_| refused())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refused())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        if length > width {
            return Err(refused());
        }
        // Both families are compared in the 128 bits of version 6.
        let free = width - length;
        let mask = u128::MAX.checked_shl(free).unwrap_or(0);
        Ok(Self { base: bits(address) & mask, mask })
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.base
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
    .to_bits()
}

impl FromIterator<Network> for Proxies {
    fn from_iter<T: IntoIterator<Item = Network>>(networks: T) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Proxies {
    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether a request comes from a program on this machine, and asks for this machine: over loopback, and not on
    /// behalf of somebody else. A proxy on this machine comes over loopback too; it gives itself away by a header, or by
    /// being one that is trusted. A name that leads here from elsewhere would let a page of that name ask.
    pub fn is_local(&self, peer: IpAddr, headers: &HeaderMap, host: Option<&str>) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback()
            && !self.trusts(peer)
            && host.is_some_and(is_loopback_name)
            && !headers.keys().any(|name| {
                let name = name.as_str();
                name.starts_with("x-forwarded") || FORWARDING.contains(&name)
            })
    }

    /// The caller's address, given that of the connection.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusts(nearest) {
            return nearest;
        }
        let forwarded: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
        let entries = forwarded.iter().rev().flat_map(|value| value.to_str().unwrap_or("").rsplit(','));
        for entry in entries {
            // What cannot be read was not written by a proxy that is worth believing.
            let Some(address) = parse(entry.trim()) else { break };
            nearest = address;
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }
}

/// Headers by which proxies tell of whom they speak for, beside those that begin with `x-forwarded`.
const FORWARDING: [&str; 12] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-envoy-external-address",
    "cf-connecting-ip",
    "true-client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "cdn-loop",
];

/// Whether a host, with or without a port, is called as only this machine calls itself.
fn is_loopback_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { host }
    });
    name.eq_ignore_ascii_case("localhost") || parse(name).is_some_and(|address| address.is_loopback())
}

/// An address, with or without a port.
fn parse(entry: &str) -> Option<IpAddr> {
    let bracketed = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || entry.parse::<SocketAddr>().ok().map(|address| address.ip());
    entry.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies: Proxies = trusted.iter().map(|text| text.parse::<Network>().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", HeaderValue::from_str(value).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    /// Attacks: 35.
    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(client(&[], "203.0.113.9", &["10.0.0.1"]), "203.0.113.9");
        assert_eq!(client(&["10.0.0.0/8"], "203.0.113.9", &["198.51.100.7"]), "203.0.113.9");
    }

    /// Attacks: 35.
    #[test]
    fn the_rightmost_untrusted_address_is_the_caller() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"];
        assert_eq!(client(&trusted, "10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.2.3.4, 198.51.100.7, 10.1.1.1"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.2.3.4", "198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client(&trusted, "2001:db8::1", &["[2001:db9::5]:443"]), "2001:db9::5");
        assert_eq!(client(&trusted, "::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["10.2.2.2,10.3.3.3"]), "10.2.2.2");
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["198.51.100.7, unknown, 10.4.4.4"]), "10.4.4.4");
    }

    #[test]
    fn a_proxy_on_this_machine_is_not_this_machine() {
        let is_local = |trusted: &[&str], peer: &str, host: Option<&str>, header: Option<&'static str>| {
            let proxies: Proxies = trusted.iter().map(|text| text.parse::<Network>().unwrap()).collect();
            let headers = header.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("x")));
            proxies.is_local(peer.parse().unwrap(), &headers.into_iter().collect(), host)
        };
        for host in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]", "127.0.0.2"] {
            assert!(is_local(&[], "127.0.0.1", Some(host), None), "{host}");
        }
        assert!(is_local(&[], "::1", Some("localhost"), Some("accept")));
        assert!(is_local(&[], "::ffff:127.0.0.1", Some("localhost"), None));
        for header in ["x-forwarded-for", "x-forwarded-host", "forwarded", "x-real-ip", "via"] {
            assert!(!is_local(&[], "127.0.0.1", Some("localhost"), Some(header)), "{header}");
        }
        assert!(!is_local(&["127.0.0.0/8"], "127.0.0.1", Some("localhost"), None));
        assert!(!is_local(&[], "203.0.113.9", Some("localhost"), None));
        for host in [None, Some("aicos.example.com"), Some("evil.example:8000"), Some("10.0.0.1"), Some("")] {
            assert!(!is_local(&[], "127.0.0.1", host, None), "{host:?}");
        }
    }

    #[test]
    fn networks_are_addresses_or_ranges() {
        assert_eq!(client(&["10.0.0.1"], "10.0.0.2", &["198.51.100.7"]), "10.0.0.2");
        assert_eq!(client(&["0.0.0.0/0"], "10.0.0.2", &["198.51.100.7"]), "198.51.100.7");
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "localhost", "10.0.0.0/"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
