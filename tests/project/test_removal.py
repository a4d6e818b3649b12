"""A drill of a million people is taken away in minutes, not in days."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from notifier import removal
from tests import roles as roles_of_tests


@pytest.mark.django_db
def test_no_deleted_row_is_looked_for_by_reading_a_whole_table() -> None:
    tables = [model._meta.db_table for model in removal._models()]
    with roles_of_tests.acting("owner"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(removal.UNAIDED, [tables])
        assert ("incidents_queueentry", "other_id") in cursor.fetchall()
        aids = removal._aid_checks(tables)
        cursor.execute(removal.UNAIDED, [tables])
        assert cursor.fetchall() == []
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname LIKE 'removal%%' ORDER BY 1")
        assert [name for (name,) in cursor.fetchall()] == aids
