//! Proxies as Go's programs choose them: ecs-init, the agent and docker.
//!
//! The rules are those of golang/net, http/httpproxy/proxy.go, which `http.ProxyFromEnvironment`
//! calls. Since 2025 a name in `NO_PROXY` never matches an IP address. One thing is left out: names
//! with letters outside ASCII are compared as they are written, not in their punycode form.

use std::net::{IpAddr, Ipv6Addr};

/// The IPv4 address of the instance metadata service.
pub const METADATA: &str = "169.254.169.254";
/// Where the agent serves the credentials of tasks.
pub const TASK_CREDENTIALS: &str = "169.254.170.2";

/// Whether a Go program with these variables asks for `http://HOST:PORT/` directly. `variable` gives
/// the value of a name; `HTTPS_PROXY` and `ALL_PROXY` do not matter to such a request.
pub fn is_direct(variable: impl Fn(&str) -> Option<String>, host: &str, port: u16) -> bool {
    let filled = |name: &str| variable(name).filter(|value| !value.is_empty());
    // Upper case wins.
    let either =
        |upper: &str| filled(upper).or_else(|| filled(&upper.to_lowercase())).unwrap_or_default();
    // With it Go takes itself for a CGI program, whose HTTP_PROXY may be a header of the request,
    // and refuses to ask at all (https://golang.org/s/cgihttpproxy).
    let is_refused = || filled("REQUEST_METHOD").is_some();
    !is_proxy(&either("HTTP_PROXY"))
        || !is_refused() && (is_local(host) || covers(&either("NO_PROXY"), host, port))
}

/// Those of [`METADATA`] and [`TASK_CREDENTIALS`] that a Go program with these variables would not
/// reach directly. A proxy that answers for them answers with its own host's role.
pub fn exposed(variable: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    let is_exposed = |host: &&str| !is_direct(&variable, host, 80);
    [METADATA, TASK_CREDENTIALS].into_iter().filter(is_exposed).collect()
}

/// Whether a request to this host and port goes directly by the value of `NO_PROXY`. `host` is a name
/// or an address, IPv6 without brackets. What cannot be understood in the list covers nothing.
pub fn covers(no_proxy: &str, host: &str, port: u16) -> bool {
    let (host, port) = (host.to_lowercase(), port.to_string());
    no_proxy.to_lowercase().split(',').any(|entry| entry_covers(entry.trim(), &host, &port))
}

fn entry_covers(entry: &str, host: &str, port: &str) -> bool {
    let address = host.parse().ok().map(number);
    if entry == "*" {
        return true;
    }
    if let Some((prefix, bits)) = network(entry) {
        return address.is_some_and(|address| {
            is_v4(address) == is_v4(prefix) && (address ^ prefix) & mask(bits) == 0
        });
    }
    let (name, on) = split_host_port(entry).unwrap_or((entry, ""));
    let is_covered = match (name.parse().ok().map(number), address) {
        (None, None) => covers_name(if name.starts_with("*.") { &name[1..] } else { name }, host),
        (covered, address) => covered == address,
    };
    is_covered && (on.is_empty() || on == port)
}

/// A name covers those below it, and one without a dot in front itself, too.
fn covers_name(name: &str, host: &str) -> bool {
    let is_whole = |front: &str| name.starts_with('.') || front.is_empty() || front.ends_with('.');
    !name.is_empty() && host.strip_suffix(name).is_some_and(is_whole)
}

/// An address, a slash and a length (Go's `net.ParseCIDR`).
pub(crate) fn is_network(text: &str) -> bool {
    network(text).is_some()
}

/// `ADDRESS/BITS`, with what is behind the prefix cut off.
fn network(text: &str) -> Option<(u128, u32)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let (width, offset) = if address.is_ipv4() { (32, 96) } else { (128, 0) };
    let digits = Some(bits).filter(|bits| bits.bytes().all(|c| c.is_ascii_digit()))?;
    let bits: u32 = digits.parse().ok().filter(|bits| *bits <= width)?;
    Some((number(address) & mask(bits + offset), bits + offset))
}

/// Go's `net.SplitHostPort`: a port, perhaps an empty one, and a host without its brackets.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => Some((inside.strip_suffix(']')?, port)),
        None => (!host.contains([':', '[', ']'])).then_some((host, port)),
    }
}

/// An address as a number; IPv4 as it is mapped into IPv6.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn is_v4(number: u128) -> bool {
    Ipv6Addr::from_bits(number).to_ipv4_mapped().is_some()
}

fn mask(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// Go never asks a proxy for these.
fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback())
}

/// Whether Go takes the value for a proxy: its net/url parses it, as it is or with `http://` in
/// front. A value that it does not take is ignored, and requests go directly.
fn is_proxy(value: &str) -> bool {
    !value.is_empty() && (parses(value) || parses(&format!("http://{value}")))
}

/// Whether Go's `url.Parse` takes an address, as of Go 1.25.
pub(crate) fn parses(url: &str) -> bool {
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let address = before.split('?').next().unwrap_or_default();
    let scheme = address.split_once(':').filter(|(scheme, _)| is_scheme(scheme));
    let rest = scheme.map_or(address, |(_, rest)| rest);
    let authority =
        rest.strip_prefix("//").filter(|tail| scheme.is_some() || !tail.starts_with('/'));
    let is_good = match authority {
        Some(tail) => {
            let (authority, path) = tail.split_at(tail.find('/').unwrap_or(tail.len()));
            is_authority(authority) && is_unescapable(path)
        }
        None if scheme.is_some() && !rest.starts_with('/') => true,
        None => !rest.split('/').next().unwrap_or_default().contains(':') && is_unescapable(rest),
    };
    is_good && is_unescapable(fragment) && !before.contains(|c: char| c.is_ascii_control())
}

/// Every `%` has two hexadecimal digits behind it.
fn is_unescapable(text: &str) -> bool {
    let is_escape = |part: &str| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    text.split('%').skip(1).all(is_escape)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

/// `USER@HOST:PORT`, of characters that Go takes in them.
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let is_user = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
    let (name, port) = match host.rfind(']').filter(|_| host.contains('[')) {
        Some(end) => host.split_at(end + 1),
        None => host.split_at(host.rfind(':').unwrap_or(host.len())),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|c| c.is_ascii_digit()));
    user.chars().all(is_user) && is_unescapable(user) && is_port && is_host(name)
}

/// A name, or an IPv6 address in brackets, perhaps with a zone. Only bytes outside ASCII and `%`
/// itself are escaped in a name.
fn is_host(text: &str) -> bool {
    let is_name = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:]<>\"%".contains(c)
    };
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inside) => {
            let (address, zone) = inside.split_once("%25").unwrap_or((inside, "0"));
            address.parse::<Ipv6Addr>().is_ok()
                && !zone.is_empty()
                && is_unescapable(zone)
                && zone.chars().all(is_name)
        }
        None => {
            let is_escape = |part: &str| part.starts_with("25") || !part.starts_with(|c| c < '8');
            text.chars().all(is_name)
                && is_unescapable(text)
                && text.split('%').skip(1).all(is_escape)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The tables of golang/net, http/httpproxy/proxy_test.go, UseProxyTests and their like.
    #[test]
    fn names_cover_what_is_below_them() {
        let list = "foobar.com, .barbaz.net, *.wild.org:8080, 192.168.1.1, 192.168.1.2:81, 192.168.1.3:80, 10.0.0.0/30, 2001:db8::52:0:1, [2001:db8::52:0:2]:443, [2001:db8::52:0:3]:80, 2002:db8:a::45/64";
        let table = [
            ("foobar.com", 80, true),
            ("www.FooBar.com", 80, true),
            ("foofoobar.com", 80, false),
            ("www.barbaz.net", 80, true),
            ("barbaz.net", 80, false),
            ("barbarbaz.net", 80, false),
            ("a.wild.org", 8080, true),
            ("a.wild.org", 80, false),
            ("192.168.1.1", 443, true),
            ("192.168.1.2", 80, false),
            ("192.168.1.3", 80, true),
            ("192.168.1.4", 80, false),
            ("10.0.0.2", 80, true),
            ("10.0.0.4", 80, false),
            ("2001:db8::52:0:1", 80, true),
            ("2001:db8::52:0:2", 80, false),
            ("2001:db8::52:0:3", 80, true),
            ("2002:db8:a::123", 80, true),
            ("fe80::424b:c8be:1643:a1b6", 80, false),
        ];
        for (host, port, expected) in table {
            assert_eq!(covers(list, host, port), expected, "{host}:{port}");
        }
    }

    #[test]
    fn a_name_never_covers_an_address() {
        for list in
            [".254", "254", "169.254.", "169.254.*", "*.169.254.169.254", "169.254.169.254."]
        {
            assert!(!covers(list, METADATA, 80), "{list}");
        }
        assert!(!covers("[2001:db8::1]", "2001:db8::1", 443), "brackets are for ports");
    }

    #[test]
    fn networks_cover_addresses_of_their_family() {
        assert!(covers("0.0.0.0/0", METADATA, 80) && !covers("::/0", METADATA, 80));
        assert!(!covers("0.0.0.0/0", "2001:db8::1", 80) && covers("::/0", "2001:db8::1", 80));
        assert!(covers("::ffff:169.254.0.0/112", METADATA, 80));
        for list in
            ["169.254.169.254/33", "169.254.169.254/+1", "169.254.169.254/", "0169.254.169.254"]
        {
            assert!(!covers(list, METADATA, 80), "{list}");
        }
    }

    #[test]
    fn everything_and_nothing() {
        assert!(covers("a,*", METADATA, 80) && covers("*", "a.test", 443));
        for list in ["", " , ", ":80", "**"] {
            assert!(!covers(list, METADATA, 80) && !covers(list, "a.test", 80), "{list}");
        }
    }

    fn is_direct(variables: &[(&str, &str)], host: &str) -> bool {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name);
        super::is_direct(|name| value(name).map(|(_, value)| (*value).to_owned()), host, 80)
    }

    #[test]
    fn a_value_that_go_cannot_parse_is_not_a_proxy() {
        for proxy in [
            "p",
            "[::1]",
            "[::1]:3128",
            "10.0.0.1:3128",
            "p:3128",
            "http://p:3128",
            "http://p:port",
            "htp://p",
            "https//p:3128",
            "a b",
            "http://u:5^@p:3128",
            "p:80#x",
            "p]q:80",
            "mailto:x",
            "[fe80::1%25eth0]:3128",
        ] {
            assert!(!is_direct(&[("HTTP_PROXY", proxy)], METADATA), "{proxy}");
        }
        for proxy in [
            "a b:3128",
            "http://u:50%@p:3128",
            "1u:50%@p:3128",
            "1u:^@p:3128",
            "1p:80/%zz",
            "p:80#%",
            "p%41:80",
            "[p]:80",
            "[10.0.0.1]:80",
            "[fe80::1%eth0]:80",
            "p[::1]:80",
            ":3128x",
            "http://p\t",
            "p{x}:1",
            "[::1]x:1",
            "[::1",
            "10.0.0.1:80,",
        ] {
            assert!(is_direct(&[("HTTP_PROXY", proxy)], METADATA), "{proxy}");
        }
    }

    #[test]
    fn loopback_is_always_direct_and_upper_case_wins() {
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(is_direct(&[("http_proxy", "p")], host), "{host}");
        }
        let both = [("HTTP_PROXY", "p"), ("NO_PROXY", "a.test"), ("no_proxy", "b.test")];
        assert!(is_direct(&both, "a.test") && !is_direct(&both, "b.test"));
    }
}
