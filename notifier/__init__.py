"""The Django project: configuration and wiring, no domain code."""

from notifier.celery import app as celery_app

__all__ = ["celery_app"]
