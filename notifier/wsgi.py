"""The web application, for gunicorn or any WSGI server."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
application = get_wsgi_application()
# The pages are loaded at the start, not by their first reader: a fault in them shows at once.
import_module(settings.ROOT_URLCONF)
