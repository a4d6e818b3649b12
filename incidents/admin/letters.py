"""The letters: what was compiled for whom, what the check says, the text, a look as a real person, a test send."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from incidents.admin.facts_form import CONTROLLER_LABELS
from incidents.admin.people import masked
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted, whole
from incidents.admin.viewing import expired, framed, grant, granted
from incidents.dispatch.campaign import send_test
from incidents.dispatch.prepare import campaign_headers
from incidents.letters.gaps import BOXES, LettersIncomplete
from incidents.letters.gets import who_gets
from incidents.letters.render import available, make_letters, newest_texts, preview, save_text, standard_texts
from incidents.letters.salutation import of_before, take_salutations, with_reader
from incidents.letters.staleness import LetterMark, stale_letters
from incidents.letters.standing import standing
from incidents.letters.wording import SUPPORTED, choose_language
from incidents.models import AffectedPerson, Incident, Letter, PersonStatus
from incidents.models.refusal import Refused
from incidents.people.amending import is_frozen, living
from incidents.people.erasing import refuse_to_show
from incidents.vault import CannotOpen, Vault

#: How many people of a cohort are offered for a preview.
OFFERED = 20
#: Fields of letters whose box in the facts has another name.
OTHER_BOXES = {
    "occurred_on": "anchors_occurred_at", "discovered_on": "anchors_discovered_at", "offer_provider": "services_provider",
    "offer_months": "services_months", "offer_enrolment": "services_enrolment",
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A letter in the list."""

    letter: Letter
    #: How many people get it: of its cohort those who read its language, and of its register.
    people: int
    #: Why it no longer says what is known.
    mark: LetterMark | None = None

    @property
    def blocks(self) -> int:
        """Findings that forbid to send it."""
        return sum(finding["level"] == "block" for finding in self.letter.findings)

    @property
    def warns(self) -> int:
        """Findings to think about."""
        return len(self.letter.findings) - self.blocks


@require_GET
def letters(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Every letter by form and language, with what the check found."""
    incident = incident_of(incident_id)
    made = incident.letters.select_related("cohort", "text", "amendment").defer("compiled")
    now, found = standing(incident=incident), list(made.order_by("form", "language", "cohort__residence", "id"))
    marks, registers = {mark.letter: mark for mark in now.letters}, who_gets(incident=incident, letters=found)
    gets = {pk: number for one in registers for pk, number in one.letters.items()}
    rows = [Row(letter, gets.get(letter.pk, 0), marks.get(letter.pk)) for letter in found]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.letter.form, row.letter.language), []).append(row)
    return page(
        request,
        "letters",
        title="Letters",
        incident=incident,
        tab="letters",
        groups=[_group(key, found) for key, found in groups.items()],
        blocked=sum(bool(row.blocks) for row in rows),
        texts=_texts(incident),
        of_before=[(text, bool(with_reader(text=text))) for text in of_before(incident=incident)],
        frozen=is_frozen(incident=incident),
        total=len(rows),
        registers=registers,
        supported=sorted(SUPPORTED),
        standing=now,
    )


def _group(key: tuple[str, str], rows: list[Row]) -> tuple[str, str, list[Row], int, int, int]:
    return (*key, rows, sum(row.blocks for row in rows), sum(row.warns for row in rows), sum(row.people for row in rows))


def _texts(incident: Incident) -> list[tuple[str, str, Any]]:
    """Every text there is, the incident's own version or the standard one."""
    own = newest_texts(incident=incident)
    return [(form, language, own.get((form, language))) for form, language in sorted({*standard_texts(), *own})]


@require_POST
def make(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Compile and check the letters again."""
    incident = incident_of(incident_id)

    def step() -> str:
        try:
            report = make_letters(incident=incident, author=officer(request))
        except LettersIncomplete as refusal:
            raise Refused(*refusal.lines, *_ways(incident, refusal)) from None
        return (
            f"{count(report.letters, 'letter')} made and checked: {report.blocked:,} blocked, "
            f"{count(report.warnings, 'warning')}."
        )

    attempt(request, step)
    return redirect("admin:letters", incident_id)


def _ways(incident: Incident, refusal: LettersIncomplete) -> list[str]:
    """The boxes of the facts where what is missing belongs, as links."""
    facts = reverse("admin:facts", args=[incident.pk])
    boxes = [
        (facts, f"controller_{name}" if name in CONTROLLER_LABELS else OTHER_BOXES.get(name, name), BOXES[name])
        for name in refusal.fields
        if name in BOXES
    ]
    return [format_html("Go to: {}", format_html_join(", ", '<a href="{}#id_{}">{}</a>', boxes))] if boxes else []


@require_POST
def salutations(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Let the texts of before greet whoever reads the letter, as the standard texts do."""
    incident = incident_of(incident_id)

    def step() -> str:
        done = take_salutations(incident=incident, author=officer(request))
        return f"{count(done, 'text greets', 'texts greet')} whoever reads the letter. Make the letters again to use it."

    attempt(request, step)
    return redirect("admin:letters", incident_id)


@require_GET
def languages(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Which language people want, which they get, and by which rule."""
    incident = incident_of(incident_id)
    # Whoever was merged into somebody gets no letter of their own.
    profiles = living(incident=incident).order_by().values_list("residence", "language").annotate(n=Count("id"))
    chosen: Counter[tuple[str, str, str]] = Counter()
    for residence, wanted, number in profiles:
        choice = choose_language(wanted=wanted, residence=residence, available=SUPPORTED)
        chosen[(wanted or "not said", choice.language, choice.rule)] += number
    rows = [(*key, number) for key, number in chosen.most_common()]
    return page(request, "languages", title="Languages and fallback", incident=incident, tab="letters", rows=rows)


def letter_of(incident_id: int, letter_id: int) -> Letter:
    """A letter of this incident, or 404."""
    return get_object_or_404(
        Letter.objects.select_related("incident", "cohort", "text__author", "amendment"), pk=letter_id, incident_id=incident_id
    )


@require_GET
def letter(request: HttpRequest, incident_id: int, letter_id: int) -> HttpResponse:
    """One letter: findings, hash, whom to preview it as, test send."""
    found = letter_of(incident_id, letter_id)
    made = list(found.incident.letters.select_related("amendment").defer("compiled").filter(amendment=found.amendment_id))
    (gets,) = who_gets(incident=found.incident, letters=made)
    return page(
        request,
        "letter",
        title=str(found),
        incident=found.incident,
        tab="letters",
        letter=found,
        row=Row(
            found,
            gets.letters.get(found.pk, 0),
            next((mark for mark in _marks(found) if mark.letter == found.pk), None),
        ),
        readers=masked(incident=found.incident, people=_readers(found)),
        own_address=officer(request).email,
    )


def _marks(found: Letter) -> tuple[LetterMark, ...]:
    """What became stale in the letters of its register."""
    return stale_letters(incident=found.incident, amendment=found.amendment)


def _readers(found: Letter) -> list[AffectedPerson]:
    """Some people of the cohort who get it in this language, chosen as the freeze chooses it, however many others there are."""
    people, residence = found.cohort.people.filter(status=PersonStatus.CLEAR), found.cohort.residence
    known = available(form=found.form, texts=newest_texts(incident=found.incident))
    wanted = [
        language
        for language in people.order_by().values_list("language", flat=True).distinct()
        if choose_language(wanted=language, residence=residence, available=known).language == found.language
    ]
    return list(people.filter(language__in=wanted).order_by("id")[:OFFERED])


@require_POST
def open_preview(request: HttpRequest, incident_id: int, letter_id: int) -> HttpResponse:
    """Log that somebody reads a real person's letter, then show it."""
    found = letter_of(incident_id, letter_id)
    person = get_object_or_404(found.cohort.people, pk=whole(posted(request, "person")))
    refuse_to_show(person=person)
    what = f"preview:{found.pk}:{person.pk}"
    pass_ = grant(request=request, incident=found.incident, what=what, purpose="preview", subject=person.subject)
    return redirect("admin:letter_preview", incident_id, letter_id, person.pk, pass_)


def _previewed(request: HttpRequest, incident_id: int, letter_id: int, person_id: int, pass_: str) -> tuple[Letter, Any] | None:
    found = letter_of(incident_id, letter_id)
    if not granted(request=request, pass_=pass_, what=f"preview:{letter_id}:{person_id}"):
        return None
    person = get_object_or_404(found.cohort.people, pk=person_id)
    refuse_to_show(person=person)  # the pass may be older than the backup that brought somebody back
    try:
        return found, preview(letter=found, person=person, vault=Vault(incident=found.incident))
    except (CannotOpen, ValueError) as error:
        raise Http404(f"This person's letter cannot be filled in: {error}") from None


@require_GET
def letter_preview(request: HttpRequest, incident_id: int, letter_id: int, person_id: int, pass_: str) -> HttpResponse:
    """The letter as this person will read it: HTML in a frame, text, heads."""
    opened = _previewed(request, incident_id, letter_id, person_id, pass_)
    if opened is None:
        return expired(request, "admin:letter", incident_id, letter_id)
    found, filled = opened
    return page(
        request,
        "preview",
        title="Preview as a real person",
        incident=found.incident,
        tab="letters",
        letter=found,
        filled=filled,
        heads=_heads(found, filled.subject),
        person_id=person_id,
        pass_=pass_,
    )


def _heads(found: Letter, subject: str) -> list[tuple[str, str]]:
    heads = campaign_headers(campaign_facts=found.incident.facts.facts)
    return [
        ("From", f"{heads['sender_name']} <{heads['sender']}>"),
        ("Reply-To", heads["reply_to"] or "the sender"),
        ("Subject", subject),
        ("Content-Language", found.language),
        ("Auto-Submitted", "auto-generated"),
        ("Message-ID", "fixed for each person when the register is frozen"),
    ]


@require_GET
def letter_body(request: HttpRequest, incident_id: int, letter_id: int, person_id: int, pass_: str) -> HttpResponse:
    """The frame's body, under its own policy."""
    opened = _previewed(request, incident_id, letter_id, person_id, pass_)
    return framed(opened[1].html if opened else "<p>This view has expired.</p>")


@require_POST
def send_test_letter(request: HttpRequest, incident_id: int, letter_id: int) -> HttpResponse:
    """Send this letter to oneself, marked as a test."""
    found, to = letter_of(incident_id, letter_id), posted(request, "to")

    def step() -> str:
        send_test(letter=found, author=officer(request), to=to)
        return "The test letter is on its way. With the local inbox it lies there, marked as a test."

    attempt(request, step)
    return redirect("admin:letter", incident_id, letter_id)


@require_http_methods(["GET", "HEAD", "POST"])
def text(request: HttpRequest, incident_id: int, form: str, language: str) -> HttpResponse:
    """The text of a letter in the letter language; posted: a new version, or what is wrong with line and column."""
    incident = incident_of(incident_id)
    source = _source(incident, form, language)
    errors: tuple[str, ...] = ()
    if request.method == "POST":
        source = request.POST.get("source", "").replace("\r\n", "\n")
        try:
            saved = save_text(incident=incident, form=form, language=language, source=source, author=officer(request))
        except Refused as refusal:
            errors = refusal.lines
        else:
            messages.success(request, f"Saved as version {saved.number}. Make the letters again to use it.")
            return redirect("admin:letter_text", incident_id, form, language)
    return _text_page(request, incident, form=form, language=language, source=source, errors=errors)


def _text_page(request: HttpRequest, incident: Incident, *, form: str, language: str, **more: Any) -> HttpResponse:
    versions = incident.letter_texts.filter(form=form, language=language).select_related("author").order_by("-number")
    title = f"Text: {form}, {language}"
    frozen = is_frozen(incident=incident)
    return page(
        request, "text", title=title, incident=incident, tab="letters", versions=versions, frozen=frozen,
        form_name=form, language=language, **more,
    )  # fmt: skip


def _source(incident: Incident, form: str, language: str) -> str:
    own = newest_texts(incident=incident).get((form, language))
    standard = standard_texts()
    if own is None and (form, language) not in standard:
        raise Http404
    return own.source if own else standard[(form, language)]
