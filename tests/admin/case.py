"""The names that the tests of the desk share: a hostile title, two rows that need a decision, what must never be seen."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

#: What no page, URL or title may show before somebody gives a purpose.
PERSONAL = ("Dubois", "Brien", "佐藤", "Wandermann", "claire@", "carl@", "yuki@", "sam@", "C0987654321", "1979-05-17")
SAM = {
    "person_id": "sam", "customer_number": "C0987654321", "full_name": "Sam Wandermann", "email": "sam@example.org",
    "stated_country": "US", "language": "en", "elements": "name;email;country;date_of_birth", "date_of_birth": "1979-05-17",
}  # fmt: skip
NORA = {
    "person_id": "nora", "customer_number": "C5", "full_name": "Nora Wandermann", "email": "nora@intranet",
    "stated_country": "FR", "language": "fr", "elements": "name;email;country",
}  # fmt: skip
#: A day until which somebody may be held.
A_MONTH_ON = date.today() + timedelta(days=30)  # noqa: DTZ011
TITLE = "Outsider <img src=x onerror=alert(1)> in the client list"
FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"


def signed_in(user: User) -> Client:
    """A browser in which this user has signed in."""
    client = Client()
    client.force_login(user)
    return client


def at(name: str, *where: object) -> str:
    """The address of a page of the desk."""
    return reverse(f"admin:{name}", args=where)


def said(response: HttpResponse) -> str:
    """All messages of a response, in one text."""
    return "\n".join(str(message) for message in get_messages(response.wsgi_request))


def posted(client: Client, name: str, *where: object, **fields: Any) -> str:
    """Post to a page and return what it says; every act answers with a redirect."""
    response = client.post(at(name, *where), fields)
    assert response.status_code == 302, response.content[:500]
    return said(response)
