"""Subject and sender's name as they travel: every sign of them arrives, also where they need several encoded words.

The standard library folds a head that is not ASCII into encoded words side by side and leaves the space between two of them
outside, where readers drop it (RFC 2047, 6.2): words run together, and what arrives is not what was approved. A long one in ASCII
begins with an empty line. So these two heads are written here, with the spaces inside the words.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from email.headerregistry import Address
from email.policy import EmailPolicy

#: RFC 2047, 2: an encoded word has at most 75 signs, and a line with one at most 76.
LONGEST_WORD, LONGEST_LINE = 75, 76
START, END = "=?utf-8?", "?="
#: What may stand for itself in Q, also within a name before an address (RFC 2047, 5 (3)).
PLAIN_IN_Q = re.compile(rb"[A-Za-z0-9!*+/-]")
#: What is said as it is: nobody takes it for an encoded word, and no reader drops a space of it.
PLAIN_TEXT = re.compile(r"(?!.*=\?)[!-~]+( [!-~]+)*", re.DOTALL)
#: Atoms (RFC 5322, 3.2.3): a name of these needs no quotation marks.
ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class ExactHeads(EmailPolicy):
    """The library's policy, but for Subject and From."""

    def fold(self, name: str, value: object) -> str:
        """A head as text, ended."""
        said = self._own(name, value)
        return super().fold(name, value) if said is None else said  # type: ignore[arg-type]

    def fold_binary(self, name: str, value: object) -> bytes:
        """The same as bytes."""
        said = self._own(name, value)
        return super().fold_binary(name, value) if said is None else said.encode("ascii")  # type: ignore[arg-type]

    def _own(self, name: str, value: object) -> str | None:
        if name == "Subject":
            before, text = len(name) + 2, str(value)
            lines = folded(text=text, before=before) if PLAIN_TEXT.fullmatch(text) else encoded_words(text=text, before=before)
            return f"{name}: {f'{self.linesep} '.join(lines)}{self.linesep}"
        addresses: tuple[Address, ...] = getattr(value, "addresses", ())
        if name == "From" and len(addresses) == 1 and addresses[0].display_name and addresses[0].addr_spec.isascii():
            return f"{name}: {self._mailbox(addresses[0])}{self.linesep}"
        return None

    def _mailbox(self, address: Address) -> str:
        name, within = self._name(address.display_name), f" <{address.addr_spec}>"
        last = len("From: ") + len(name.rpartition(self.linesep)[2])
        return f"{name}{within}" if last + len(within) <= LONGEST_LINE else f"{name}{self.linesep}{within}"

    def _name(self, name: str) -> str:
        if PLAIN_TEXT.fullmatch(name):
            return name if ATOMS.fullmatch(name) else '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        return f"{self.linesep} ".join(encoded_words(text=name, before=len("From: ")))


def folded(*, text: str, before: int = 0) -> Iterator[str]:
    """A plain text in lines (RFC 5322, 2.2.3), none of them empty; the space before each is that of the text."""
    line, room = "", LONGEST_LINE - before
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > room:
            yield line
            line, room = word, LONGEST_LINE - 1
        else:
            line = f"{line} {word}" if line else word
    yield line


def encoded_words(*, text: str, before: int = 0) -> Iterator[str]:
    """A text as encoded words (RFC 2047) that say all of it; `before`: signs on the first one's line before it."""
    begun, room = "", LONGEST_WORD - before
    for sign in text:
        if begun and len(_word(begun + sign)) > room:
            yield _word(begun)
            begun, room = "", LONGEST_WORD
        begun += sign
    yield _word(begun)


def _word(text: str) -> str:
    raw = text.encode("utf-8", "replace")
    in_q = "".join(_in_q(raw[at : at + 1]) for at in range(len(raw)))
    in_b = base64.b64encode(raw).decode()
    return f"{START}q?{in_q}{END}" if len(in_q) <= len(in_b) else f"{START}b?{in_b}{END}"


def _in_q(byte: bytes) -> str:
    return "_" if byte == b" " else byte.decode() if PLAIN_IN_Q.match(byte) else f"={byte[0]:02X}"


#: As mails of ours are written, with line ends of SMTP; and with addresses that need SMTPUTF8 (RFC 6531).
EXACT = ExactHeads(linesep="\r\n")
EXACT_UTF8 = ExactHeads(linesep="\r\n", utf8=True)
