"""Every page of the desk and its URL, below /admin/incidents/incident/. No URL holds personal data."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import URLPattern, path

from incidents.admin import (
    amendments,
    campaigns,
    desk,
    downloads,
    events,
    facts,
    findings,
    gate,
    inbox,
    keeping,
    law,
    letters,
    lists,
    merges,
    pace,
    people,
    queues,
    trail,
    undelivered,
)

View = Callable[..., HttpResponseBase]
LETTER = "<int:incident_id>/letters/<int:letter_id>/"
CAMPAIGN = "<int:incident_id>/campaigns/<int:campaign_id>/"
LIST = "<int:incident_id>/lists/<int:batch_id>/"
PERSON = "<int:incident_id>/people/<int:person_id>/"
MESSAGE = "<int:incident_id>/inbox/<int:message_id>/"

PAGES: tuple[tuple[str, View, str], ...] = (
    ("add/", facts.new_incident, "incidents_incident_add"),
    ("staff/", gate.staff, "staff"),
    ("staff/<slug:act>/", gate.staff_act, "staff_act"),
    ("<int:incident_id>/desk/", desk.desk, "desk"),
    ("<int:incident_id>/assess/", desk.assess, "assess"),
    ("<int:incident_id>/filings/<int:obligation_id>/", desk.file_notice, "file_notice"),
    ("<int:incident_id>/facts/", facts.facts, "facts"),
    ("<int:incident_id>/findings/", findings.findings, "findings"),
    ("<int:incident_id>/findings/record/", findings.find, "find"),
    ("<int:incident_id>/law/", law.law, "law"),
    ("<int:incident_id>/law/<str:name>/", law.jurisdiction, "jurisdiction"),
    ("<int:incident_id>/people/", people.people, "people"),
    ("<int:incident_id>/lists/", lists.lists, "lists"),
    ("<int:incident_id>/lists/upload/", lists.upload, "upload"),
    (LIST, lists.one_list, "list"),
    (f"{LIST}progress/", lists.list_progress, "list_progress"),
    (f"{LIST}reveal/", lists.list_reveal, "list_reveal"),
    (f"{LIST}open/<str:pass_>/", lists.list_open, "list_open"),
    (f"{LIST}confirm/", lists.list_confirm, "list_confirm"),
    (f"{LIST}cancel/", lists.list_cancel, "list_cancel"),
    ("<int:incident_id>/people/find/", people.find_person, "find_person"),
    ("<int:incident_id>/people/<int:person_id>/", people.person, "person"),
    ("<int:incident_id>/people/<int:person_id>/reveal/", people.reveal, "reveal"),
    ("<int:incident_id>/people/<int:person_id>/open/<str:pass_>/", people.person_open, "person_open"),
    ("<int:incident_id>/merges/", merges.merges, "merges"),
    ("<int:incident_id>/merges/<int:merge_id>/undo/", merges.undo, "undo_merge"),
    ("<int:incident_id>/keeping/", keeping.keeping, "keeping"),
    ("<int:incident_id>/keeping/<slug:step>/", keeping.keep, "keep"),
    ("<int:incident_id>/erasures/<int:erasure_id>/end/", keeping.end_erasure, "end_erasure"),
    (f"{PERSON}erase/", keeping.ask_erasure, "ask_erasure"),
    (f"{PERSON}correct/", amendments.correct, "correct"),
    (f"{PERSON}exclude/", amendments.exclude, "exclude"),
    ("<int:incident_id>/amendments/", amendments.amendments, "amendments"),
    ("<int:incident_id>/amendments/open/", amendments.open_one, "open_amendment"),
    ("<int:incident_id>/amendments/join/", amendments.join_people, "join_amendment"),
    ("<int:incident_id>/exclusions/<int:exclusion_id>/<slug:step>/", amendments.decide_exclusion, "decide_exclusion"),
    ("<int:incident_id>/unreachable/<int:unreachable_id>/<slug:step>/", undelivered.decide_unreachable, "decide_unreachable"),
    ("<int:incident_id>/queues/", queues.queues, "queues"),
    ("<int:incident_id>/queues/<slug:kind>/", queues.queue, "queue"),
    ("<int:incident_id>/queues/<slug:kind>/decide/", queues.decide, "decide"),
    ("<int:incident_id>/letters/", letters.letters, "letters"),
    ("<int:incident_id>/letters/make/", letters.make, "make_letters"),
    ("<int:incident_id>/letters/salutations/", letters.salutations, "letter_salutations"),
    ("<int:incident_id>/letters/languages/", letters.languages, "languages"),
    ("<int:incident_id>/letters/texts/<slug:form>/<slug:language>/", letters.text, "letter_text"),
    (LETTER, letters.letter, "letter"),
    (f"{LETTER}preview/", letters.open_preview, "open_preview"),
    (f"{LETTER}preview/<int:person_id>/<str:pass_>/", letters.letter_preview, "letter_preview"),
    (f"{LETTER}body/<int:person_id>/<str:pass_>/", letters.letter_body, "letter_body"),
    (f"{LETTER}test/", letters.send_test_letter, "test_letter"),
    ("<int:incident_id>/campaigns/", campaigns.campaigns, "campaigns"),
    ("<int:incident_id>/freeze/", campaigns.freeze_register, "freeze"),
    (CAMPAIGN, campaigns.campaign, "campaign"),
    (f"{CAMPAIGN}progress/", campaigns.progress, "progress"),
    (f"{CAMPAIGN}people/<slug:state>/", campaigns.campaign_people, "campaign_people"),
    (f"{CAMPAIGN}preflight/", gate.preflight_page, "preflight"),
    (f"{CAMPAIGN}preflight/make/", gate.preflight_make, "preflight_make"),
    (f"{CAMPAIGN}first-wave/again/", gate.canary_again, "canary_again"),
    (f"{CAMPAIGN}doubts/", undelivered.doubts, "doubts"),
    (f"{CAMPAIGN}doubts/<int:doubt_id>/", undelivered.settle, "settle"),
    (f"{CAMPAIGN}waiting/<slug:kind>/", undelivered.waiting, "waiting_letters"),
    (f"{CAMPAIGN}waiting/<slug:kind>/decide/", undelivered.decide_letters, "decide_letters"),
    (f"{CAMPAIGN}limits/<int:limit_id>/close/", pace.close_limit, "close_limit"),
    (f"{CAMPAIGN}<slug:step>/", campaigns.move, "move"),
    ("<int:incident_id>/inbox/", inbox.inbox, "inbox"),
    (MESSAGE, inbox.inbox_message, "inbox_message"),
    (f"{MESSAGE}open/", inbox.open_message, "open_message"),
    (f"{MESSAGE}open/<str:pass_>/", inbox.inbox_open, "inbox_open"),
    (f"{MESSAGE}body/<str:pass_>/", inbox.inbox_body, "inbox_body"),
    ("<int:incident_id>/log/", trail.log, "log"),
    ("<int:incident_id>/events/", events.events, "events"),
    ("<int:incident_id>/bundle/", downloads.bundle, "bundle"),
    ("<int:incident_id>/rejects/", downloads.reject_file, "reject_file"),
)


def patterns() -> list[URLPattern]:
    """The pages, for signed-in staff only."""
    return [path(route, admin.site.admin_view(view), name=name) for route, view, name in PAGES]
