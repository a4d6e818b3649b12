"""From a claimed message to the letter that may be handed over: open the person, fill the letter, compare with the approved."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import format_datetime
from typing import NamedTuple

from incidents import failpoints
from incidents.dispatch.channels.contract import Prepared
from incidents.dispatch.events.bounces import return_path
from incidents.dispatch.outbox import Claim
from incidents.dispatch.outcomes import Outcome, Taken
from incidents.dispatch.owner import AWAY
from incidents.letters.in_their_place import address_of, has_representative, lines_above, read_in_their_place
from incidents.letters.language import CompiledLetter
from incidents.letters.mail import OutgoingMail, mail_for
from incidents.letters.mime import Skeleton, skeleton_for
from incidents.letters.ready import Built, Filled
from incidents.letters.render import compiled, personal_values
from incidents.models import Campaign, Letter
from incidents.vault import CannotOpen, KeyAway, PersonFields, Vault


class Frozen(NamedTuple):
    """A letter of the campaign as it is stored, read once for a slice of work."""

    compiled: CompiledLetter
    skeleton: Skeleton
    sha256: str
    body: str

    def skeleton_of(self, *, fields: PersonFields, headers: Mapping[str, str]) -> Skeleton:
        """The skeleton for this person's reader: another one where somebody stands in for the person."""
        if not has_representative(fields=fields):
            return self.skeleton
        return skeleton_for(letter_sha256=self.sha256, body=self.body, headers=headers, elsewhere=True)


class Letters:
    """Makes the letters of one campaign, each when its turn comes: a letter that kills its worker is known by its place."""

    def __init__(self, *, campaign: Campaign) -> None:
        self._headers, self._vault = campaign.headers, Vault(incident=campaign.incident)
        self._frozen: dict[int, Frozen] = {}
        self._dated, self._dated_until = "", 0.0
        #: Chunk -> why nobody of it could be opened; none of its letters is made.
        self._away: dict[int, KeyAway] = {}

    def open(self, *, claimed: Claim) -> list[PersonFields | CannotOpen]:
        """The records of a chunk's people, opened together."""
        try:
            return self._vault.open_many([(one.subject, one.sealed, one.wrapped_key, one.key_version) for one in claimed.letters])
        except KeyAway as away:
            # Told by `make`: by then every chunk of the claim is in hand, and is given back.
            self._away[claimed.chunk_id] = away
            return [CannotOpen("the incident's key is away")] * len(claimed.letters)

    def make(self, *, claimed: Claim, letter: Taken, fields: PersonFields | CannotOpen) -> Prepared | Outcome:
        """One person's letter, or why it is set aside for a person to look at. Raises KeyAway, which is about no letter."""
        failpoints.reach("mid_render")
        if claimed.chunk_id in self._away:
            raise self._away[claimed.chunk_id]
        if isinstance(fields, CannotOpen):
            return Outcome("quarantined", detail=str(fields)[:200])
        try:
            return self._make(claimed, letter, fields)
        except CannotOpen as error:
            return Outcome("quarantined", detail=str(error)[:200])
        except (*AWAY, KeyAway):
            raise  # it says nothing of this letter
        except Exception as error:
            # Whatever it is, it is about this letter and holds up nobody else. Its words could hold what is personal.
            return Outcome("quarantined", detail=f"the letter cannot be made as it is stored: {type(error).__name__}")

    def _make(self, claimed: Claim, letter: Taken, fields: PersonFields) -> Prepared | Outcome:
        frozen, ref = self._letter(letter.letter_id), letter.message_ref
        to, values = _goes_to(fields), values_of(fields=fields, letter=frozen.compiled, message_ref=ref)
        date, back = self._date(claimed), return_path(message_ref=ref, sender=frozen.skeleton.heads.sender)
        skeleton = frozen.skeleton_of(fields=fields, headers=self._headers)
        above = lines_above(letter=frozen.compiled, fields=fields)
        said = skeleton.say(to=to, message_ref=ref, values=values, above=above)
        made: Built | Filled
        if said is None:
            made = Built(_mail(fields, frozen.compiled, ref, self._headers, values), date, back)
        else:
            made = Filled(skeleton=skeleton, said=said, date=date, return_path=back)
        if made.content_sha256 != letter.approved:
            return Outcome("quarantined", detail="the letter is not the one that was approved")
        made.write()  # as bytes, here, where what cannot be written is set aside
        return made

    def _date(self, claimed: Claim) -> str:
        """The Date head, at most half a second old: a chunk's letters mostly have the same."""
        if (now := time.monotonic()) >= self._dated_until:
            self._dated_until, self._dated = now + 0.5, format_datetime(claimed.now().astimezone(UTC).replace(microsecond=0))
        return self._dated

    def _letter(self, letter_id: int | None) -> Frozen:
        if letter_id is None:
            raise CannotOpen("no letter was frozen for this person")
        if letter_id not in self._frozen:
            sha256, body = Letter.objects.values_list("sha256", "compiled").get(pk=letter_id)
            skeleton = skeleton_for(letter_sha256=sha256, body=body, headers=self._headers)
            self._frozen[letter_id] = Frozen(compiled(sha256, body), skeleton, sha256, body)
        return self._frozen[letter_id]


def person_mail(
    *, fields: PersonFields, letter_sha256: str, body: str, message_ref: str, headers: Mapping[str, str]
) -> OutgoingMail:
    """Fill a stored letter for one person, or for whoever stands in for them. Raises CannotOpen."""
    letter = compiled(letter_sha256, body)
    return _mail(fields, letter, message_ref, headers, values_of(fields=fields, letter=letter, message_ref=message_ref))


def values_of(*, fields: PersonFields, letter: CompiledLetter, message_ref: str) -> dict[str, str]:
    """What differs from person to person in a letter."""
    return personal_values(fields=fields, language=letter.language, message_ref=message_ref)


def _goes_to(fields: PersonFields) -> str:
    to = address_of(fields=fields)
    if not to:
        raise CannotOpen("no address to send to")
    return to


def _mail(
    fields: PersonFields, letter: CompiledLetter, message_ref: str, headers: Mapping[str, str], values: Mapping[str, str]
) -> OutgoingMail:
    to = _goes_to(fields)
    filled = read_in_their_place(letter=letter, values=values, fields=fields)
    return mail_for(letter=filled, language=letter.language, to=to, message_ref=message_ref, headers=headers)


def campaign_headers(*, campaign_facts: dict[str, dict[str, str]]) -> dict[str, str]:
    """The fixed heads of a campaign's mails, from the facts."""
    controller = campaign_facts["controller"]
    return {
        "sender": controller["sender_email"],
        "sender_name": controller["sender_name"],
        "reply_to": controller["reply_to"] or controller["sender_email"],
    }
