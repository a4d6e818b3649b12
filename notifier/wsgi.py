"""The web application, for gunicorn or any WSGI server."""

import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from incidents.checks import refuse_to_serve
from notifier.logs import end_without_words

end_without_words()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
application = get_wsgi_application()
refuse_to_serve()
# The pages are loaded at the start, not by their first reader: a fault in them shows at once.
import_module(settings.ROOT_URLCONF)
