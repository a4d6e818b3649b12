"""What is personal about one person, as one record: the only shape in which it is sealed, opened and hashed. No Django here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.encoder import c_make_encoder, encode_basestring  # type: ignore[attr-defined]
from typing import Any


@dataclass(frozen=True)
class PersonFields:
    """Everything personal about one person, as sealed."""

    full_name: str = ""
    given_name: str = ""
    family_name: str = ""
    emails: tuple[str, ...] = ()
    phone: str = ""
    street: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    customer_number: str = ""
    date_of_birth: str = ""
    #: Nothing reads or writes it: the residence counts. Records that hold it, and the proofs over them, have to stay readable.
    country: str = ""
    evidence: tuple[tuple[str, str], ...] = ()
    #: Who reads the letter in this person's place (Art 12 GDPR and civil law): guardian, next_of_kin, attorney; empty = nobody.
    representative_role: str = ""
    representative_name: str = ""
    representative_email: str = ""

    @classmethod
    def of(cls, **known: Any) -> PersonFields:
        """A record of these fields and of all others empty; at half the price of the constructor, for a million of them."""
        made = object.__new__(cls)
        made.__dict__.update(_EMPTY, **known)
        return made

    def encode(self) -> bytes:
        """Canonical JSON (sorted names, no spaces) of the fields that are not empty."""
        known = self.__dict__
        return "".join(_JSON({name: value for name in _SORTED if (value := known[name])}, 0)).encode()

    @classmethod
    def decode(cls, raw: bytes) -> PersonFields:
        """The fields from their sealed form."""
        known = _READ(raw.decode())
        if not known.keys() <= _EMPTY.keys():
            raise TypeError("a record has fields that are not known here")
        known["emails"] = tuple(known.get("emails", ()))
        known["evidence"] = tuple((name, value) for name, value in known.get("evidence", ()))
        return cls.of(**known)


def _no_json(value: object) -> object:
    raise TypeError(f"a record holds texts, not {type(value).__name__}")


_EMPTY = vars(PersonFields())
_READ = json.JSONDecoder().decode
_SORTED = tuple(sorted(PersonFields.__dataclass_fields__))
#: What json.dumps(..., ensure_ascii=False, separators=(",", ":")) uses; made once, not for each of a million people.
_JSON = c_make_encoder(None, _no_json, encode_basestring, None, ":", ",", False, False, False)
