"""A caller reads a code from the letter in their hand: the desk says whose it is, or that it is not ours."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.letters.render import reference_code
from incidents.models import Campaign, Message

pytestmark = pytest.mark.django_db


def test_the_code_of_a_letter_finds_its_reader(client: Client, officer: User, frozen: Campaign) -> None:
    client.force_login(officer)
    message = Message.objects.select_related("entry__person").get(entry__person__reference="claire")
    where = f"/admin/incidents/incident/{frozen.incident_id}/people/"
    for typed in (reference_code(message.message_ref), reference_code(message.message_ref).lower().replace("-", " ")):
        answer = client.post(f"{where}find/", {"address": typed})
        assert answer.headers["Location"] == f"{where}{message.entry.person_id}/"


def test_a_code_that_is_not_ours_finds_nobody_and_says_so(client: Client, officer: User, frozen: Campaign) -> None:
    client.force_login(officer)
    answer = client.post(
        f"/admin/incidents/incident/{frozen.incident_id}/people/find/", {"address": "0000-0000-0000-0000"}, follow=True
    )
    assert answer.status_code == 200
    assert "it is not ours" in answer.content.decode()
