"""A person may decide about a letter that arrived and came back, as providers told: in either direction."""

import importlib

from django.db import migrations

EARLIER = importlib.import_module("incidents.migrations.0010_dispatch")
pairs = EARLIER.EARLIER.GUARDS.pairs
#: A snapshot of models.messages.MESSAGE_MOVES; a test compares them.
MESSAGE_MOVES = [
    *EARLIER.MESSAGE_MOVES, ("delivered", "needs_other_channel"), ("needs_other_channel", "delivered"),
]  # fmt: skip
MOVES = EARLIER.MOVES.replace(pairs(EARLIER.MESSAGE_MOVES), pairs(MESSAGE_MOVES))


class Migration(migrations.Migration):
    dependencies = [("incidents", "0021_released_in_place")]

    operations = [migrations.RunSQL(MOVES, EARLIER.MOVES)]
