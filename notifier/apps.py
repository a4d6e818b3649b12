"""The project's own app config: binds the tasks to our Celery app wherever one may be woken."""

from django.apps import AppConfig
from django.conf import settings


class NotifierConfig(AppConfig):
    """Wiring only."""

    name = "notifier"

    def ready(self) -> None:
        """Make our Celery app the one that `shared_task` finds."""
        if not settings.WITHOUT_BROKER:
            from notifier import celery  # noqa: F401
