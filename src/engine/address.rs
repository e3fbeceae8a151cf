//! Which addresses a tenant may have called: public ones by https, and private ones only where a setting allows it.
//!
//! A name is judged by what it leads to, at the moment of connecting: the addresses that pass are the ones that are
//! connected to, so there is nothing between the check and the call in which a name could begin to lead elsewhere.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Whether tenants' addresses may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Public addresses only.
    #[default]
    Public,
    /// This machine and its private networks as well; what belongs to neither (link-local, metadata) never.
    Private,
}

/// Why an address may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    /// Not https.
    #[error(
        "The address must begin with https://. Only loopback may do without, and only where the server allows private addresses."
    )]
    Scheme,
    /// No public host.
    #[error("The address leads to a private or reserved network, which is not allowed. Use a public one.")]
    Private,
    /// With what has no place in it.
    #[error("The address has no user name, password, query or fragment. Leave them out.")]
    Parts,
}

impl Reach {
    /// Whether an address that a tenant gives may be called, as far as it can be told before its name is looked up.
    ///
    /// # Errors
    /// Why not.
    pub fn check(self, url: &Url) -> Result<(), Unsafe> {
        let has_parts = !url.username().is_empty() || url.password().is_some();
        if has_parts || url.query().is_some() || url.fragment().is_some() {
            return Err(Unsafe::Parts);
        }
        self.check_host(url)
    }

    /// The same of an address that is fetched as somebody else names it: with a query.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_host(self, url: &Url) -> Result<(), Unsafe> {
        let (is_loopback, is_allowed) = match url.host() {
            Some(Host::Ipv4(ip)) => (ip.is_loopback(), self.allows(ip.into())),
            Some(Host::Ipv6(ip)) => (ip.is_loopback(), self.allows(ip.into())),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let of = |zone: &str| {
                    name == zone || name.strip_suffix(zone).is_some_and(|rest| rest.ends_with('.'))
                };
                let is_local = of("localhost");
                let is_private = is_local || of("local") || of("internal") || !name.contains('.');
                (is_local, self == Self::Private || !is_private)
            }
            None => (false, false),
        };
        if !is_allowed {
            return Err(Unsafe::Private);
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback => Ok(()),
            _ => Err(Unsafe::Scheme),
        }
    }

    /// Whether an address may be connected to.
    fn allows(self, ip: IpAddr) -> bool {
        let (public, private) = match ip {
            IpAddr::V4(ip) => (is_public_v4(ip), ip.is_loopback() || ip.is_private()),
            IpAddr::V6(ip) => (is_public_v6(ip), ip.is_loopback() || ip.is_unique_local()),
        };
        public || (private && self == Self::Private && !is_metadata(ip))
    }
}

/// Where clouds tell a machine its secrets, when it is not a link-local address: AWS's has one of the private kind.
fn is_metadata(ip: IpAddr) -> bool {
    ip == IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))
}

/// IANA's registry of special addresses (RFC 6890 and what has been added), the other way round.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    !matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            | (198, 18 | 19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    ) && ip != Ipv4Addr::new(168, 63, 129, 16)
}

/// Only global unicast, and of it nothing that carries an IPv4 address within (6to4, Teredo) or that documents. Mapped,
/// compatible and translated (NAT64) addresses lie outside of it.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    (a & 0xe000) == 0x2000
        && a != 0x2002
        && !(a == 0x2001 && (b < 0x200 || b == 0xdb8))
        && !(a == 0x3fff && b < 0x1000)
}

/// Looks names up, and gives those of their addresses that may be connected to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver(pub Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|found| reach.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(io::Error::from(io::ErrorKind::AddrNotAvailable).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: Reach, url: &str) -> Result<(), Unsafe> {
        reach.check(&Url::parse(url).unwrap())
    }

    /// Attacks: 132, 140.
    #[test]
    fn no_private_address_is_called_however_it_is_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0.0.0.0",
            "0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "168.63.129.16",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:8.8.8.8]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::808:808]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[3fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "localhost",
            "localhost.",
            "LOCALHOST",
            "a.localhost",
            "printer.local",
            "metadata.google.internal",
            "metadata",
        ] {
            assert_eq!(check(Reach::Public, &format!("https://{host}/v1")), Err(Unsafe::Private), "{host}");
        }
        for host in [
            "8.8.8.8",
            "1.1.1.1:8443",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.167.0.1",
            "198.20.0.1",
            "[2606:4700::1111]",
            "[2001:4860:4860::8888]",
            "[2a00:1450::1]",
            "api.openai.com",
            "localhost.example.com",
            "notlocalhost.example",
        ] {
            assert_eq!(check(Reach::Public, &format!("https://{host}/v1")), Ok(()), "{host}");
            assert_eq!(check(Reach::Public, &format!("http://{host}/v1")), Err(Unsafe::Scheme), "{host}");
        }
    }

    #[test]
    fn where_private_addresses_are_allowed_loopback_needs_no_https_and_the_rest_stays_closed() {
        for url in [
            "http://127.0.0.1:11434",
            "http://[::1]:11434/v1",
            "http://localhost:11434",
            "https://10.0.0.1",
            "https://192.168.1.1/v1",
            "https://[fd00::1]",
            "https://models.internal",
            "https://8.8.8.8",
        ] {
            assert_eq!(check(Reach::Private, url), Ok(()), "{url}");
        }
        for url in ["http://10.0.0.1", "http://models.internal", "http://example.com", "ftp://127.0.0.1"] {
            assert_eq!(check(Reach::Private, url), Err(Unsafe::Scheme), "{url}");
        }
        for host in
            ["169.254.169.254", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "224.0.0.1", "[::ffff:10.0.0.1]"]
        {
            assert_eq!(check(Reach::Private, &format!("https://{host}")), Err(Unsafe::Private), "{host}");
        }
    }

    #[test]
    fn an_address_is_no_place_for_secrets() {
        for url in ["https://a:b@example.com", "https://a@example.com", "https://example.com/?key=1"] {
            assert_eq!(check(Reach::Public, url), Err(Unsafe::Parts), "{url}");
        }
        assert_eq!(check(Reach::Public, "https://example.com/#a"), Err(Unsafe::Parts));
        assert_eq!(check(Reach::Public, "file:///etc/passwd"), Err(Unsafe::Private));
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_only_what_may_be_connected_to_is_given() {
        let look = |reach: Reach| Resolver(reach).resolve("localhost".parse().unwrap());
        assert!(look(Reach::Public).await.is_err());
        let found: Vec<_> = look(Reach::Private).await.unwrap().collect();
        assert!(!found.is_empty() && found.iter().all(|found| found.ip().is_loopback()), "{found:?}");
    }

    /// The client connects to what the resolver has let pass, and looks nothing up besides.
    ///
    /// Attacks: 136.
    #[tokio::test]
    async fn a_client_connects_to_what_was_judged_and_to_nothing_else() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let connected = async |reach: Reach| {
            let client = reqwest::Client::builder().no_proxy().dns_resolver(Resolver(reach)).build().unwrap();
            let asking = tokio::spawn(client.get(&url).send());
            tokio::select! {
                accepted = listener.accept() => {
                    asking.abort();
                    accepted.is_ok()
                }
                () = async { while !asking.is_finished() { tokio::task::yield_now().await } } => false,
            }
        };
        assert!(!connected(Reach::Public).await);
        assert!(connected(Reach::Private).await);
    }
}
