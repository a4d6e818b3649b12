"""What the world's mail systems will find in the DNS about our sender: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489).

Large mailbox providers refuse bulk mail whose domain has none of them; a letter that is refused tells nobody anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import dns.exception
import dns.resolver

#: A name -> the texts of its TXT records, empty when it has none. Raises NoDns.
Resolver = Callable[[str], list[str]]
SECONDS = 4.0
#: RFC 7208, 4.6.4: more look-ups than this are a permanent error for whoever checks.
MOST_SPF_LOOKUPS = 10
_COSTS_A_LOOKUP = ("include:", "a:", "a/", "mx:", "mx/", "ptr", "exists:", "redirect=")


class NoDns(Exception):
    """No name server answered; nothing is known."""


@dataclass(frozen=True)
class Told:
    """One finding about the sender's domain: `good`, or what is wrong and what to do."""

    name: str
    good: bool
    text: str
    remedy: str = ""


def txt_records(name: str) -> list[str]:
    """Ask this machine's name servers, for a few seconds. Raises NoDns."""
    try:
        found = dns.resolver.resolve(name, "TXT", lifetime=SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise NoDns(type(error).__name__) from None
    return [b"".join(record.strings).decode("utf-8", "replace") for record in found]


def look_at_sender(*, sender: str, envelope: str, selectors: list[str], resolver: Resolver) -> Iterator[Told]:
    """SPF, DKIM, DMARC and alignment of an address. `envelope`: the domain that bounces go to; `selectors`: our DKIM keys.

    Raises NoDns.
    """
    domain = sender.rpartition("@")[2].lower()
    spf = _spf(envelope, resolver)
    yield spf
    keys = [_dkim(selector, domain, resolver) for selector in selectors]
    yield from keys or [_no_selector(domain)]
    policy, at = _dmarc_record(domain, resolver)
    if not policy:
        yield Told(
            "dmarc", False, f"{domain} has no DMARC record.",
            f"Publish a TXT record at _dmarc.{domain}, at least 'v=DMARC1; p=none; rua=mailto:...'.",
        )  # fmt: skip
        return
    yield Told("dmarc", True, f"_dmarc.{at} says p={policy.get('p', 'none')}.")
    yield _aligned(domain, at, policy, envelope if spf.good else "", bool(keys) and all(key.good for key in keys))


def _spf(domain: str, resolver: Resolver) -> Told:
    found = [text for text in resolver(domain) if text.lower().startswith("v=spf1")]
    if len(found) != 1:
        what = "has no SPF record" if not found else f"has {len(found)} SPF records, where only one may be"
        remedy = f"Publish one TXT record at {domain} that names the provider's or relay's servers and ends in ~all or -all."
        return Told("spf", False, f"{domain} {what}.", remedy)
    words = found[0].lower().split()
    if "+all" in words or "all" in words:
        return Told("spf", False, f"The SPF record of {domain} lets everybody send.", "End it in ~all or -all.")
    lookups = _spf_lookups(domain, resolver, frozenset())
    if lookups > MOST_SPF_LOOKUPS:
        text = f"The SPF record of {domain} needs {lookups} look-ups; receivers stop at {MOST_SPF_LOOKUPS} (RFC 7208, 4.6.4)."
        return Told("spf", False, text, "Take out what no longer sends, or put addresses in place of names.")
    return Told("spf", True, f"{domain} has one SPF record with {lookups} look-ups.")


def _spf_lookups(domain: str, resolver: Resolver, seen: frozenset[str]) -> int:
    """How many look-ups the record costs, with those of the records that it includes; stops soon after too many."""
    found = [text for text in resolver(domain) if text.lower().startswith("v=spf1")]
    words = [word.lstrip("+-~?") for text in found[:1] for word in text.lower().split()[1:]]
    total = 0
    for word in words:
        total += word in ("a", "mx") or word.startswith(_COSTS_A_LOOKUP)
        inner = word.partition(":")[2] if word.startswith("include:") else ""
        inner = word.partition("=")[2] if word.startswith("redirect=") else inner
        if inner and inner not in seen and "%" not in inner and total <= MOST_SPF_LOOKUPS:
            total += _spf_lookups(inner, resolver, seen | {domain, inner})
    return total


def _dkim(selector: str, domain: str, resolver: Resolver) -> Told:
    name = f"{selector}._domainkey.{domain}"
    tags = next((tags for text in resolver(name) if "p" in (tags := _tags(text))), None)
    if tags is None:
        remedy = "Publish the key that the provider or relay signs with, or correct DKIM_SELECTORS."
        return Told("dkim", False, f"There is no DKIM key at {name}.", remedy)
    if not tags["p"]:
        return Told("dkim", False, f"The DKIM key at {name} is revoked.", "Publish the present key.")
    return Told("dkim", True, f"There is a DKIM key at {name}.")


def _no_selector(domain: str) -> Told:
    remedy = "Set DKIM_SELECTORS to the selectors that the provider or relay signs with (comma between)."
    return Told("dkim", False, f"No DKIM selector is named for {domain}, so no key was looked for.", remedy)


def _dmarc_record(domain: str, resolver: Resolver) -> tuple[dict[str, str], str]:
    """The policy and where it stands: at the domain, else at the nearest name above that has one."""
    labels = domain.split(".")
    for start in range(max(1, len(labels) - 1)):
        at = ".".join(labels[start:])
        found = [tags for text in resolver(f"_dmarc.{at}") if (tags := _tags(text)).get("v") == "DMARC1"]
        if len(found) == 1:
            return found[0], at
    return {}, ""


def _aligned(domain: str, at: str, policy: dict[str, str], envelope: str, signed: bool) -> Told:
    by_spf = envelope == domain or (policy.get("aspf", "r") == "r" and _under(envelope, at))
    if signed or by_spf:
        how = " and ".join(word for word, holds in (("SPF", by_spf), ("DKIM", signed)) if holds)
        return Told("alignment", True, f"DMARC can pass by {how}: the names agree with {domain}.")
    covered = envelope or "none that SPF covers"
    text = f"DMARC cannot pass: neither the envelope's domain ({covered}) nor a DKIM key is of {domain}."
    return Told("alignment", False, text, f"Sign with a key of {domain}, or use an envelope address under {at}.")


def _under(domain: str, above: str) -> bool:
    return domain == above or domain.endswith(f".{above}")


def _tags(text: str) -> dict[str, str]:
    """A tag list (RFC 6376, 3.2)."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip(): value.strip().replace(" ", "") for name, sign, value in pairs if sign}
