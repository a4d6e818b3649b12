"""What each provider calls the things that happen to a letter, in our words. What no table knows is kept as `other`.

Our words: accepted, delivered, deferred, bounced_soft, bounced_hard, suppressed (the provider does not write to this address or
has given up), complained, unsubscribed (never stops a legal notice), notice (an answer by a machine: proves nothing), other;
`ignored` is not kept (opening and clicking are nobody's business here).

A refusal that means us, our account or the letter's form is no refusal of the person: such letters are tried again, as after a
soft bounce. A provider's own list of addresses (bounced before, complained before, unsubscribed) is about the person.
"""

from __future__ import annotations

import re

ACCEPTED, DELIVERED, DEFERRED = "accepted", "delivered", "deferred"
SOFT, HARD, SUPPRESSED = "bounced_soft", "bounced_hard", "suppressed"
COMPLAINED, UNSUBSCRIBED, NOTICE = "complained", "unsubscribed", "notice"
IGNORED, OTHER = "ignored", "other"

#: What a server has against us and our address, not against the person's.
AGAINST_US = re.compile(
    r"blocked using|block ?list|blacklist|spamhaus|client host|banned sending|unauthenticated|dmarc|reputation|relay \w*denied",
    re.IGNORECASE,
)
#: What a refusal may have against us: a word for it, and how people are told. The provider's own words are repeated nowhere.
HAS_AGAINST_US = {
    "account": "our account is suspended, spent or may not send",
    "sender": "our sender or its domain is not verified or not allowed",
    "blocked": "our reputation is bad, or our address is blocked",
    "letter": "the letter itself is refused",
}
#: How the detail of such an event begins.
MARK_OF_REFUSAL = re.compile(rf"^\(refuses us: ({'|'.join(HAS_AGAINST_US)})\)")
#: In words of a server: else it is our reputation.
_SENDER_OF_A_SERVER = re.compile(r"unauthenticated|dmarc|relay \w*denied", re.IGNORECASE)
#: In words of the provider's own, where it is the provider who refuses; a recipient's account or quota is never meant there.
_OWN_WORDS = tuple(
    (word, re.compile(pattern, re.IGNORECASE))
    for word, pattern in (
        (
            "account",
            r"suspend|disabled|credit|quota|sandbox|pending approval|not allowed to send|billing|\b405\b|\b412\b",
        ),
        ("letter", r"content|template|virus|render|duplicate|header"),
        ("blocked", r"block|black ?list|spam|reputation|policy|banned"),
        ("sender", r"sender|signature|verif|domain|dmarc|\bspf\b|\bdkim\b|\bfrom\b|relay.*denied|unauth|\b40[01]\b"),
    )
)


def refused_by_a_server(*texts: str) -> str:
    """What a recipient's server has against us: a key of `HAS_AGAINST_US`; empty when it does not speak of us."""
    if not any(AGAINST_US.search(text) for text in texts):
        return ""
    return "sender" if any(_SENDER_OF_A_SERVER.search(text) for text in texts) else "blocked"


def refused_by_the_provider(words: str) -> str:
    """What the provider itself has against us; empty where nobody knows."""
    return next((word for word, pattern in _OWN_WORDS if pattern.search(words)), "")


def mark_of_refusal(against: str) -> str:
    """What is kept of it, before the words."""
    return f"(refuses us: {against})" if against else ""


#: "Contents of event data that Amazon SES publishes to Amazon SNS". Bounce and Complaint are looked at more closely. Reject: SES
#: took it for a virus ("EventDestination" of its API); Rendering Failure: a template. Both are about the letter.
SES = {
    "Send": ACCEPTED, "Delivery": DELIVERED, "DeliveryDelay": DEFERRED, "Bounce": SOFT, "Complaint": COMPLAINED,
    "Reject": SOFT, "Rendering Failure": SOFT, "Subscription": UNSUBSCRIBED, "Open": IGNORED, "Click": IGNORED,
}  # fmt: skip
SES_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"})

POSTMARK = {
    "Delivery": DELIVERED, "Bounce": SOFT, "SpamComplaint": COMPLAINED, "SubscriptionChange": UNSUBSCRIBED,
    "Open": IGNORED, "Click": IGNORED,
}  # fmt: skip
#: "Bounce types" of Postmark's Bounce API, by the name in `Type` (of a bounce) or `SuppressionReason`. About us: what its SMTP
#: entry refused (but see POSTMARK_INACTIVE), our domain's DMARC policy, a template.
POSTMARK_TYPES = {
    "HardBounce": HARD, "BadEmailAddress": HARD, "SoftBounce": SOFT, "Blocked": SOFT, "Unknown": SOFT,
    "Transient": DEFERRED, "DnsError": DEFERRED, "SpamComplaint": COMPLAINED,
    "ManuallyDeactivated": SUPPRESSED, "Unconfirmed": SUPPRESSED, "SMTPApiError": SOFT, "DMARCPolicy": SOFT,
    "TemplateRenderingFailed": SOFT,
    "Unsubscribe": UNSUBSCRIBED, "Subscribe": UNSUBSCRIBED, "ManualSuppression": UNSUBSCRIBED,
    "AutoResponder": NOTICE, "AddressChange": NOTICE, "ChallengeVerification": NOTICE, "SpamNotification": NOTICE,
    "VirusNotification": NOTICE, "OpenRelayTest": NOTICE, "InboundError": NOTICE,
}  # fmt: skip

#: What those have against us that say it by their name. Blocked: "ISP block", for content or a block list.
POSTMARK_AGAINST_US = {"Blocked": "blocked", "DMARCPolicy": "sender", "TemplateRenderingFailed": "letter"}

#: In the words of an SMTPApiError: the address is inactive at Postmark ("API error codes", 406): it bounced or complained before.
POSTMARK_INACTIVE = re.compile(r"\b406\b|\binactive\b", re.IGNORECASE)

#: "Webhook Payloads" of Mailgun; `failed` is looked at more closely. `rejected`: it refused our request (a domain that may not
#: send, an account for tests).
MAILGUN = {
    "accepted": ACCEPTED, "delivered": DELIVERED, "failed": HARD, "rejected": SOFT, "complained": COMPLAINED,
    "unsubscribed": UNSUBSCRIBED, "opened": IGNORED, "clicked": IGNORED, "stored": IGNORED,
}  # fmt: skip

#: Codes of Mailgun's own for an address on its lists: bounced, unsubscribed, complained before. Only these, and codes of the
#: recipient's server (5xx), speak of the person.
MAILGUN_SUPPRESSED = frozenset({"605", "606", "607"})
#: Reasons of a permanent failure that are about us: the server blocks the sender, or Mailgun gave up in time.
MAILGUN_OURS = frozenset({"espblock", "blacklisted", "old"})
#: Those of them that block us.
MAILGUN_BLOCKED = frozenset({"espblock", "blacklisted"})

#: "Event Webhook Reference" of SendGrid; a bounce of type `blocked` is temporary.
SENDGRID = {
    "processed": ACCEPTED, "delivered": DELIVERED, "deferred": DEFERRED, "bounce": HARD, "dropped": SUPPRESSED,
    "spamreport": COMPLAINED, "unsubscribe": UNSUBSCRIBED, "group_unsubscribe": UNSUBSCRIBED,
    "group_resubscribe": UNSUBSCRIBED, "open": IGNORED, "click": IGNORED,
}  # fmt: skip
#: Reasons of `dropped` that are about the person, in small letters. Another is about us (a limit of sending, a head that is not
#: understood) or unknown: nobody is given up for it.
SENDGRID_DROPS = frozenset(
    {"bounced address", "invalid", "invalid address", "spam reporting address", "unsubscribed address", "blocked address"}
)

#: "Transactional webhooks" of Brevo. `error`: a sender that is not valid, or a fault on the way. `blocked` without a reason is
#: its list of contacts that are blocked; with one, that says so.
BREVO = {
    "request": ACCEPTED, "sent": ACCEPTED, "delivered": DELIVERED, "deferred": DEFERRED, "soft_bounce": SOFT,
    "hard_bounce": HARD, "invalid_email": HARD, "blocked": SUPPRESSED, "error": SOFT, "spam": COMPLAINED,
    "complaint": COMPLAINED, "unsubscribe": UNSUBSCRIBED, "unsubscribed": UNSUBSCRIBED, "opened": IGNORED,
    "unique_opened": IGNORED, "proxy_open": IGNORED, "unique_proxy_open": IGNORED, "click": IGNORED, "list_addition": IGNORED,
}  # fmt: skip

#: What `blocked` says of a person, as "Get the list of blocked contacts" has it; and not of a sender.
BREVO_PERSONS = re.compile(r"^(?!.*\bsender\b).*(black ?list|block ?list|unsubscri|hard ?bounce|complain|flagged)", re.IGNORECASE)

#: "Email events" of Resend; a bounce is looked at more closely.
RESEND = {
    "email.sent": ACCEPTED, "email.delivered": DELIVERED, "email.delivery_delayed": DEFERRED, "email.bounced": HARD,
    "email.complained": COMPLAINED, "email.failed": SOFT, "email.suppressed": SUPPRESSED,
    "email.opened": IGNORED, "email.clicked": IGNORED, "email.scheduled": IGNORED, "email.received": IGNORED,
}  # fmt: skip
#: Words in the reason of `email.failed` that are about the person; else it is our quota, key or domain, or unknown.
RESEND_PERSONS = ("invalid recipient", "invalid_recipient", "suppress")

#: "Event API" of Mailjet: `sent` is said when the recipient's server has taken it. A bounce is looked at more closely.
MAILJET = {
    "sent": DELIVERED, "bounce": SOFT, "blocked": SUPPRESSED, "spam": COMPLAINED, "unsub": UNSUBSCRIBED,
    "open": IGNORED, "click": IGNORED,
}  # fmt: skip
#: "Possible values for errors" of the Event API, those that are about the person: their address, their domain, or that they
#: are on Mailjet's lists. A `blocked` for another error is about us (or nobody knows).
MAILJET_PERSONS = frozenset(
    {
        "user unknown", "mailbox inactive", "quota exceeded", "blacklisted", "spam reporter", "invalid domain", "no mail host",
        "typofix", "preblocked",
    }
)  # fmt: skip
#: Those about us or the letter, whatever event they come with, also a bounce for good.
MAILJET_OURS = frozenset(
    {
        "relay/access denied", "sender blocked", "content blocked", "policy issue", "system issue", "protocol issue",
        "connection issue", "duplicate in campaign", "error in template language", "bad or empty template", "spam preblocked",
    }
)  # fmt: skip
