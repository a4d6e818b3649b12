"""The one Django app."""

from django.apps import AppConfig


class IncidentsConfig(AppConfig):
    """Incidents, people, letters, dispatch and proof."""

    name = "incidents"
    verbose_name = "Breach notification"

    def ready(self) -> None:
        """Register the system checks."""
        from incidents import checks  # noqa: F401
