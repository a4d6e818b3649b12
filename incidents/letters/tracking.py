"""What tells on a reader must not be in a letter: nothing is loaded from anywhere, no link leads anywhere, nothing runs.

Looked for in the bytes as they are handed over, after putting them into MIME and reading them back.
"""

from __future__ import annotations

import email
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from html.parser import HTMLParser

from incidents.letters.heads import EXACT
from incidents.letters.mail import OutgoingMail

#: Elements that load something, run something or send something.
BARRED_ELEMENTS = frozenset(
    {"applet", "audio", "base", "embed", "form", "frame", "iframe", "image", "img", "input", "link", "object", "script"}
    | {"source", "svg", "track", "video"}
)
#: Attributes that name what is loaded or opened.
BARRED_ATTRIBUTES = frozenset(
    {"action", "background", "cite", "data", "formaction", "href", "longdesc", "ping", "poster", "src", "srcset", "usemap"}
)
PARTS = ("text/plain", "text/html")
_IN_STYLES = re.compile(r"url\s*\(|@import|expression\s*\(", re.IGNORECASE)
#: The date is no part of what is looked at.
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)


class _Reader(HTMLParser):
    """Collects what may not be in a letter."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, None] = {}
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Elements and attributes."""
        self.in_style = tag == "style"
        if tag in BARRED_ELEMENTS:
            self.found[f"the letter holds <{tag}>, which loads, runs or sends something"] = None
        for name, value in attrs:
            if name in BARRED_ATTRIBUTES or name.startswith("on"):
                self.found[f"the letter holds a link or a call ('{name}' in <{tag}>)"] = None
            if name == "style" and _IN_STYLES.search(value or ""):
                self.found[f"the style of <{tag}> loads something"] = None

    def handle_data(self, data: str) -> None:
        """Style sheets."""
        if self.in_style and _IN_STYLES.search(data):
            self.found["a style sheet loads something"] = None


def foreign_content(*, mail: OutgoingMail) -> list[str]:
    """Everything in a mail by which reading it could be told to somebody, in words; empty when there is nothing.

    ValueError when the mail cannot be put into bytes at all.
    """
    return foreign_in_bytes(raw=mail.build(date=_ANY_DAY).as_bytes(policy=EXACT))


def foreign_in_bytes(*, raw: bytes) -> list[str]:
    """The same of a whole message as bytes."""
    message, found = email.message_from_bytes(raw, policy=default), dict[str, None]()
    for part in message.walk():
        if part.is_multipart():
            continue
        if part.get_content_type() not in PARTS or part.get_filename():
            found[f"the letter has a part of type {part.get_content_type()} beside text and HTML"] = None
        elif part.get_content_type() == "text/html" and isinstance(part, EmailMessage):
            reader = _Reader()
            reader.feed(part.get_content())
            reader.close()
            found |= reader.found
    return list(found)
