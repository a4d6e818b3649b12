"""Facts that may stay empty, and that the texts of the letters name all the same: told before anybody makes the letters."""

from __future__ import annotations

from incidents.letters.gaps import BOXES
from incidents.letters.render import newest_texts, standard_texts
from incidents.models import Incident

#: Fields of the controller that an incident opens without, and that the standard texts name to every reader.
NEEDED = ("legal_address", "phone_hours")


def missing_boxes(*, incident: Incident) -> list[str]:
    """The empty boxes of the facts without which no letter can be made, as the form calls them."""
    controller = incident.facts.facts["controller"]
    # Given in one language of the letters alone it may be enough: whether it is, making the letters tells.
    empty = [name for name in NEEDED if not any(controller[key] for key in controller if key.startswith(name))]
    if not empty:
        return []
    own = {key: text.source for key, text in newest_texts(incident=incident).items()}
    texts = {**standard_texts(), **own}.values()
    return [BOXES[name] for name in empty if any(f"[[{name}]]" in text for text in texts)]
