"""What each provider calls the things that happen to a letter, in our words. What no table knows is kept as `other`.

Our words: accepted, delivered, deferred, bounced_soft, bounced_hard, suppressed (the provider does not write to this address or
has given up), complained, unsubscribed (never stops a legal notice), notice (an answer by a machine: proves nothing), other;
`ignored` is not kept (opening and clicking are nobody's business here).
"""

from __future__ import annotations

ACCEPTED, DELIVERED, DEFERRED = "accepted", "delivered", "deferred"
SOFT, HARD, SUPPRESSED = "bounced_soft", "bounced_hard", "suppressed"
COMPLAINED, UNSUBSCRIBED, NOTICE = "complained", "unsubscribed", "notice"
IGNORED, OTHER = "ignored", "other"

#: "Contents of event data that Amazon SES publishes to Amazon SNS". Bounce and Complaint are looked at more closely.
SES = {
    "Send": ACCEPTED, "Delivery": DELIVERED, "DeliveryDelay": DEFERRED, "Bounce": SOFT, "Complaint": COMPLAINED,
    "Reject": SUPPRESSED, "Rendering Failure": SUPPRESSED, "Subscription": UNSUBSCRIBED, "Open": IGNORED, "Click": IGNORED,
}  # fmt: skip
SES_SUPPRESSED = frozenset({"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"})

POSTMARK = {
    "Delivery": DELIVERED, "Bounce": SOFT, "SpamComplaint": COMPLAINED, "SubscriptionChange": UNSUBSCRIBED,
    "Open": IGNORED, "Click": IGNORED,
}  # fmt: skip
#: "Bounce types" of Postmark's Bounce API, by the name in `Type` (of a bounce) or `SuppressionReason`.
POSTMARK_TYPES = {
    "HardBounce": HARD, "BadEmailAddress": HARD, "SoftBounce": SOFT, "Blocked": SOFT, "Unknown": SOFT,
    "Transient": DEFERRED, "DnsError": DEFERRED, "SpamComplaint": COMPLAINED,
    "ManuallyDeactivated": SUPPRESSED, "Unconfirmed": SUPPRESSED, "SMTPApiError": SUPPRESSED, "DMARCPolicy": SUPPRESSED,
    "TemplateRenderingFailed": SUPPRESSED,
    "Unsubscribe": UNSUBSCRIBED, "Subscribe": UNSUBSCRIBED, "ManualSuppression": UNSUBSCRIBED,
    "AutoResponder": NOTICE, "AddressChange": NOTICE, "ChallengeVerification": NOTICE, "SpamNotification": NOTICE,
    "VirusNotification": NOTICE, "OpenRelayTest": NOTICE, "InboundError": NOTICE,
}  # fmt: skip

#: "Webhook Payloads" of Mailgun; `failed` is looked at more closely.
MAILGUN = {
    "accepted": ACCEPTED, "delivered": DELIVERED, "failed": HARD, "rejected": SUPPRESSED, "complained": COMPLAINED,
    "unsubscribed": UNSUBSCRIBED, "opened": IGNORED, "clicked": IGNORED, "stored": IGNORED,
}  # fmt: skip

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

#: "Transactional webhooks" of Brevo.
BREVO = {
    "request": ACCEPTED, "sent": ACCEPTED, "delivered": DELIVERED, "deferred": DEFERRED, "soft_bounce": SOFT,
    "hard_bounce": HARD, "invalid_email": HARD, "blocked": SUPPRESSED, "error": SUPPRESSED, "spam": COMPLAINED,
    "complaint": COMPLAINED, "unsubscribe": UNSUBSCRIBED, "unsubscribed": UNSUBSCRIBED, "opened": IGNORED,
    "unique_opened": IGNORED, "proxy_open": IGNORED, "unique_proxy_open": IGNORED, "click": IGNORED, "list_addition": IGNORED,
}  # fmt: skip

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
