//! Addresses that are written out. Resolves nothing and opens nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::look::{Seen, warn};
use crate::{
    model::Param,
    text::{Diagnostic, Span, cut},
    value::{Type, Value},
};

/// Plain http to another machine: whoever is on the way reads and changes what is said.
pub(super) fn plain_http(seen: &Seen<'_>, found: &mut Vec<Diagnostic>) {
    let mut tell = |url: &str, span: Span| {
        if let Some(host) = open_host(url) {
            found.push(
                warn("plain-http", span, format!("what is sent to {host} can be read and changed on the way"))
                    .label("plain http")
                    .hint("write https"),
            );
        }
    };
    for body in seen.bodies() {
        for url in body.action.parts().urls {
            tell(url.source().trim(), url.span());
        }
    }
    for param in seen.runbook.params.values() {
        if let (Some(value), Some(span)) = (&param.default, param.default_span) {
            urls_of(param, value).for_each(|url| tell(url, span));
        }
    }
    for profile in seen.runbook.profiles.values() {
        for (name, value) in &profile.params {
            if let (Some(param), Some(span)) = (seen.runbook.params.get(name), profile.places.get(name)) {
                urls_of(param, value).for_each(|url| tell(url, *span));
            }
        }
    }
}

fn urls_of<'v>(param: &Param, value: &'v Value) -> impl Iterator<Item = &'v str> {
    let ty = |ty: Type| ty == Type::Url;
    let items = param.shape.items.as_ref().is_some_and(|items| ty(items.ty));
    let list: Vec<&str> = match value {
        Value::List(values) if items => values.iter().filter_map(Value::as_str).collect(),
        value if ty(param.shape.ty) => value.as_str().into_iter().collect(),
        _ => Vec::new(),
    };
    list.into_iter()
}

/// The host of an `http:` address that is not this machine, as messages say it.
fn open_host(url: &str) -> Option<String> {
    let scheme = url.get(.."http://".len())?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let rest = &url[scheme.len()..];
    let end = match rest.find("{{") {
        // A value may hold a slash; what stands in front of it counts.
        Some(value) => rest[..value].find(['/', '?', '#']).unwrap_or(rest.len()),
        None => rest.find(['/', '?', '#']).unwrap_or(rest.len()),
    };
    let authority = &rest[..end];
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => authority.split(':').next().unwrap_or(""),
    };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let here = host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| IpAddr::V4(address).is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| IpAddr::V6(address).is_loopback());
    match here {
        true => None,
        false if host.is_empty() || host.contains("{{") => Some("that host".to_owned()),
        false => Some(format!("`{}`", cut(&host, 100))),
    }
}

#[cfg(test)]
mod tests {
    use super::open_host;

    #[test]
    fn only_other_machines_are_told() {
        for url in [
            "https://a.example",
            "http://localhost:8080/x",
            "http://LOCALHOST",
            "http://a.localhost/",
            "http://127.0.0.1:{{ port }}/x",
            "http://127.9.9.9",
            "http://user:secret@[::1]:8080/",
            "{{ base }}/x",
            "http:/",
            "http",
            "é",
        ] {
            assert_eq!(open_host(url), None, "{url}");
        }
        for (url, host) in [
            ("http://a.example/x", "`a.example`"),
            ("HTTP://A.Example:80", "`a.example`"),
            ("http://localhost@evil.example/", "`evil.example`"),
            ("http://localhost.evil.example/", "`localhost.evil.example`"),
            ("http://10.0.0.1", "`10.0.0.1`"),
            ("http://[::2]/", "`::2`"),
            ("http://{{ host }}/x", "that host"),
            ("http://a.example/{{ x }}", "`a.example`"),
            ("http://", "that host"),
        ] {
            assert_eq!(open_host(url).as_deref(), Some(host), "{url}");
        }
    }
}
