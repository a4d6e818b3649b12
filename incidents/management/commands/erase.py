"""Erase a person's data, or say that it will not be done."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from incidents.management.operator import BAD_INPUT, OperatorCommand, incident_named, operator_user, user_named
from incidents.models import AffectedPerson, ErasureState, Incident
from incidents.models.refusal import Refused
from incidents.people.erasing import end_request, erase_due, replay_erasures, request_erasure


class Command(OperatorCommand):
    help = (
        "Ask for a person's erasure, done at once where nothing stands against it: erase INCIDENT PERSON_REF --reason TEXT. "
        "End a request: --refuse or --withdraw. After a backup was put back: erase --replay"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident", nargs="?")
        parser.add_argument("person_ref", nargs="?")
        parser.add_argument("--reason", default="", help="in words; kept with the request")
        parser.add_argument("--as", dest="user", help="in whose name; default: operator")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--refuse", dest="ending", action="store_const", const=ErasureState.REFUSED)
        how.add_argument("--withdraw", dest="ending", action="store_const", const=ErasureState.WITHDRAWN)
        how.add_argument("--replay", action="store_true", help="erase again whoever was erased before a backup was put back")

    def work(self, *, user: str | None, replay: bool, **given: Any) -> int | None:
        author = user_named(user) if user else operator_user()
        if replay:
            return self._replay(author)
        if not given["incident"] or not given["person_ref"]:
            raise Refused("Say who: erase INCIDENT PERSON_REF --reason TEXT, or erase --replay.")
        incident = incident_named(given["incident"])
        person = AffectedPerson.objects.filter(incident=incident, reference=given["person_ref"]).first()
        if person is None:
            raise Refused(f"Nobody on the list of {incident.reference} has this reference. The person's page shows it.")
        if given["ending"]:
            self._end(person, author, given)
        else:
            self._ask(incident, person, author, given["reason"])
        return None

    def _replay(self, author: User) -> int | None:
        done = replay_erasures(actor=author.username)
        self.say(f"{done.people} people erased again.")
        for one in done.held:
            name = one.incident.reference
            self.say(
                f"{name}: {len(one.people)} people are not erased again: in this database a legal hold stands. If it was lifted "
                f"since the backup: 'manage.py legal_hold lift {name} --as USER --reason TEXT', then replay again."
            )
        for line in done.owed:
            self.say(line)
        return BAD_INPUT if done.held else None

    def _ask(self, incident: Incident, person: AffectedPerson, author: User, reason: str) -> None:
        asked = request_erasure(person=person, reason=reason, author=author)
        erase_due(incident=incident, actor=author.username)
        asked.refresh_from_db()
        if asked.state == ErasureState.DONE:
            self.say("Erased. The log, the register and every proof stand as they were.")
        else:
            self.say(f"Recorded; it waits for {asked.waits_for}. The daily retention run erases when that is over.")

    def _end(self, person: AffectedPerson, author: User, given: dict[str, Any]) -> None:
        waiting = person.erasures.filter(state=ErasureState.WAITING).first()
        if waiting is None:
            raise Refused("No erasure of this person waits.")
        ended = end_request(erasure=waiting, state=given["ending"], reason=given["reason"], author=author)
        self.say(f"The request is {ended.get_state_display()}.")
