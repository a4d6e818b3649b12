"""All settings, read from the environment by typed readers that refuse to start on a missing secret."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from incidents.dispatch.channels.address import read_mail_setting
from notifier.acts import given_addresses
from notifier.addresses import bounce_address, events_path, proxy, public_url
from notifier.connecting import TIMES
from notifier.rates import domain_limits, provider_limits

ROOT = Path(__file__).resolve().parent.parent


def text(name: str, default: str | None = None) -> str:
    """A setting's text; without a default it must be set."""
    value = os.environ.get(name, default)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. Start through manage.py, or set it in the environment.")
    return value


def number(name: str, default: int, *, least: int = 0, most: int = 10**9) -> int:
    """A whole number that is at least `least` and at most `most`."""
    raw = os.environ.get(name, str(default))
    if not (raw.isascii() and raw.isdigit()) or not least <= int(raw) <= most:
        most_in_words = f" and at most {most}" if most < 10**9 else ""
        raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}{most_in_words}; it is '{raw[:40]}'.")
    return int(raw)


def yes(name: str) -> bool:
    """True for 1, true, yes, on."""
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def database(url: str) -> dict[str, Any]:
    """Django's form of a PostgreSQL address; there is no other database. What the address itself says (`?name=value`) counts."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured("DATABASE_URL must be a postgresql:// address; PostgreSQL is the only database.")
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "CONN_MAX_AGE": 60,
        # What is asked with `prepare=True` is prepared; Django's own queries never are.
        "OPTIONS": {**TIMES, "application_name": "breach-notifier", "prepare_threshold": 5, **options},
    }


def _private_file(name: str) -> str:
    """The text of the file that the variable `name` points to; refused when others than its owner may read it."""
    path = Path(os.environ[name])
    try:
        mode, raw = path.stat().st_mode, path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(f"{name} is {path}, which cannot be read ({error.strerror}).") from None
    if mode & 0o077:
        raise ImproperlyConfigured(f"{name} is {path}, which others may read (mode {mode & 0o777:o}). chmod 400 it.")
    return raw


def master_key(name: str) -> bytes:
    """32 bytes from the variable `name` (hexadecimal) or from the file of `name`_FILE; empty when neither is set."""
    in_file = _private_file(f"{name}_FILE") if os.environ.get(f"{name}_FILE") else ""
    found = [(given, _key_of(raw, given)) for given, raw in ((f"{name}_FILE", in_file), (name, os.environ.get(name, ""))) if raw]
    if len({key for _, key in found}) > 1:
        # Whichever is taken, the other is what somebody meant: people would be sealed under a key that is about to go.
        raise ImproperlyConfigured(
            f"{name} and {name}_FILE are both set and hold different keys. Unset the one that is not meant."
        )
    return found[0][1] if found else b""


def _key_of(raw: str, name: str) -> bytes:
    try:
        key = bytes.fromhex(raw)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(f"The master key ({name}) must be 64 hexadecimal digits (32 bytes).")
    return key


def master_keys(name: str, *, needed: bool) -> tuple[bytes, list[str]]:
    """A master key as bytes, or as the command line of the program that asks a KMS (`name`_PROGRAM); exactly one of them."""
    key, program = master_key(name), shlex.split(os.environ.get(f"{name}_PROGRAM", ""))
    if key and program:
        raise ImproperlyConfigured(f"Set only one of {name}, {name}_FILE and {name}_PROGRAM.")
    if needed and not key and not program:
        raise ImproperlyConfigured(f"{name} is not set. Start through manage.py, or set it in the environment.")
    return key, program


SECRET_KEY = text("SECRET_KEY")
#: The key that wraps every incident's key, or the program that asks a KMS to; the former one is for the time of a rotation.
MASTER_KEY, MASTER_KEY_PROGRAM = master_keys("MASTER_KEY", needed=True)
MASTER_KEY_OLD, MASTER_KEY_OLD_PROGRAM = master_keys("MASTER_KEY_OLD", needed=False)
MASTER_KEY_SECONDS = number("MASTER_KEY_SECONDS", 10, least=1)
#: How long what is kept for, in days after an incident's close (uploads: after they came); docs/keys.md says what each class is.
RETENTION_DAYS = {
    "people": number("RETENTION_PEOPLE_DAYS", 90),
    "rows": number("RETENTION_ROWS_DAYS", 90),
    "letters": number("RETENTION_LETTERS_DAYS", 30),
    "events": number("RETENTION_EVENTS_DAYS", 90),
    "uploads": number("RETENTION_UPLOADS_DAYS", 7, least=1),
}
VAR = Path(os.environ.get("BREACH_VAR") or ROOT / "var")
AUDIT_KEY_FILE = Path(os.environ.get("AUDIT_KEY_FILE") or VAR / "keys" / "audit.pem")
AUDIT_ORGANISATION = os.environ.get("AUDIT_ORGANISATION", "breach-notifier.example")

DEBUG = yes("DEBUG")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")
PORT = number("PORT", 8000, least=1)


#: The ways out that a setting may name.
WAYS_OUT = ("inbox:", "smtp://", "postmark:", "resend:", "ses:", "mailgun:", "sendgrid:", "brevo:", "mailjet:")


def mail_address(name: str, default: str) -> str:
    """Where letters go. A login shell's MAIL (the path of a mailbox) is not meant for us."""
    value = os.environ.get(name, "")
    if not value or value.startswith("/"):
        return default
    if not value.startswith(WAYS_OUT):
        # The value may hold a password, so it is not repeated.
        raise ImproperlyConfigured(
            f"{name} must begin with one of {', '.join(WAYS_OUT)}; docs/providers.md says how each goes on."
        )
    read_mail_setting(value, name)
    return value


def secret(name: str) -> str:
    """A provider's key from the variable `name` or from the file of `name`_FILE; empty when neither is set."""
    return _private_file(f"{name}_FILE") if os.environ.get(f"{name}_FILE") else os.environ.get(name, "").strip()


MAIL = mail_address("MAIL", "inbox:")
#: Takes over what the first provider certainly did not send, while that one does not work; empty: nobody does.
MAIL_FALLBACK = mail_address("MAIL_FALLBACK", "")
#: Keys of providers, and other places than their own to reach them at (https, or this machine); docs/providers.md.
PROVIDER_KEYS = {
    name: secret(name)
    for name in (
        "POSTMARK_SERVER_TOKEN", "RESEND_API_KEY", "MAILGUN_API_KEY", "SENDGRID_API_KEY", "BREVO_API_KEY", "MAILJET_API_KEY",
        "MAILJET_SECRET_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    )
}  # fmt: skip
#: http://host:port of a proxy on the way to providers; proxies of the environment are not used.
PROVIDER_PROXY = proxy(os.environ.get("PROVIDER_PROXY", "").strip())
PROVIDER_URLS = {
    kind: os.environ.get(f"{kind.upper()}_API_URL", "")
    for kind in ("postmark", "resend", "ses", "mailgun", "sendgrid", "brevo", "mailjet")
}
#: Messages in one chunk; the lease in seconds (longer than any provider call); the marker's step.
CHUNK_SIZE = number("CHUNK_SIZE", 400, least=1, most=10_000)
LEASE_SECONDS = number("LEASE_SECONDS", 45, least=5)
PROVIDER_TIMEOUT_SECONDS = number("PROVIDER_TIMEOUT_SECONDS", 30, least=1)
if PROVIDER_TIMEOUT_SECONDS >= LEASE_SECONDS:
    # Else a worker that only waits for its provider would count as dead, and its letters as doubtful.
    raise ImproperlyConfigured(
        f"PROVIDER_TIMEOUT_SECONDS ({PROVIDER_TIMEOUT_SECONDS}) must be below LEASE_SECONDS ({LEASE_SECONDS}): a worker that "
        "waits for its provider would count as dead. Lower the one, or raise the other to half as long again."
    )
#: Connections to the provider in each worker, and the marker's step: how many letters may be on their way past it on each of
#: them, which is how many may be doubtful when a worker is killed.
LANES = number("LANES", 5, least=1, most=500)
MARKER_STEP = number("MARKER_STEP", 1, least=1, most=50)
#: How many may be past the last marker of which the database has said that it is on the disk: how many may be doubtful on each
#: connection when the database's server and the worker are killed together.
MARKER_FLUSH = number("MARKER_FLUSH", 50, least=1, most=10_000)
#: Hours before the earliest legal deadline at which a letter that still certainly failed is given to another channel.
CHANNEL_SWITCH_HOURS = number("CHANNEL_SWITCH_HOURS", 24)
#: After how many hours without any event a letter that was taken counts as "accepted, no answer" (where events can come).
QUIET_HOURS = number("QUIET_HOURS", 72, least=1)
#: How long a doubtful send waits for an answer before it is sent again with the same Message-ID (15 minutes).
SETTLE_AFTER_SECONDS = number("SETTLE_AFTER_SECONDS", 900)
RETRY_BASE_SECONDS = number("RETRY_BASE_SECONDS", 30)
#: Days of our own target where a law says only "without undue delay"; shown as ours, never as the law's.
INTERNAL_TARGET_DAYS = number("INTERNAL_TARGET_DAYS", 7, least=1)
#: How many minutes the first wave, to staff, may take, and how long no bounce may come where no delivery is told.
CANARY_MINUTES = number("CANARY_MINUTES", 10)
#: Where the world reaches this desk (https://...): the gate before a release looks whether the webhooks answer there.
PUBLIC_URL = public_url(os.environ.get("PUBLIC_URL", "").strip())
#: The DKIM keys that sign our letters, looked for in the DNS before a release: selectors, comma between.
DKIM_SELECTORS = [name.strip() for name in os.environ.get("DKIM_SELECTORS", "").split(",") if name.strip()]
#: How fast providers and recipient domains may be written to, and how slowly a new one begins (docs/pacing.md); empty: no limit.
PROVIDER_LIMITS = provider_limits(rates=os.environ.get("PROVIDER_RATES", ""), warm_up=os.environ.get("WARM_UP", ""))
DOMAIN_LIMITS = domain_limits(rates=os.environ.get("DOMAIN_RATES", ""))
if MARKER_STEP > 50:
    raise ImproperlyConfigured("MARKER_STEP may be at most 50: so many letters may be doubtful when a worker is killed.")

# -- what providers tell us (docs/events.md) ------------------------------------------------------------------------------


def event_secret(name: str) -> str:
    """A secret from the variable `name` or from the file of `name`_FILE; empty when neither is set."""
    return _private_file(f"{name}_FILE") if os.environ.get(f"{name}_FILE") else os.environ.get(name, "").strip()


#: The secret part of the addresses at which events are taken, and what proves each provider. Without them none is believed.
EVENTS_PATH = events_path(event_secret("EVENTS_PATH"))
EVENTS_SECRETS = {
    name: event_secret(name)
    for name in (
        "SES_TOPIC_ARNS", "MAILGUN_WEBHOOK_KEY", "SENDGRID_WEBHOOK_KEY", "RESEND_WEBHOOK_SECRET", "POSTMARK_WEBHOOK_AUTH",
        "BREVO_WEBHOOK_AUTH", "MAILJET_WEBHOOK_AUTH",
    )
}  # fmt: skip
#: Where bounces of letters by a relay come, such as bounces@mail.example.com: the letter's name goes in after a plus sign.
BOUNCE_ADDRESS = bounce_address(os.environ.get("BOUNCE_ADDRESS", "").strip())

ROOT_URLCONF = "notifier.urls"
WSGI_APPLICATION = "notifier.wsgi.application"
INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # notifier/urls.py loads the desk: only those who serve pages need it
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "csp",
    "incidents",
    "notifier",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "incidents.pages.events.ProvidersPassBy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "incidents.admin.refusals.RefusalsInWords",
    "incidents.admin.ways_back.WaysBack",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
LETTERS = ROOT / "templates" / "letters"

#: `default` is the role that this process runs as. A command that was given further addresses (`notifier.acts`) takes single
#: steps in those roles (`incidents.acting`); the web server and the workers are given none.
DATABASES = {
    "default": database(text("DATABASE_URL", "postgresql://none@/none")),
    **{role: database(address) for role, address in given_addresses().items()},
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "admin:login"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"
WHITENOISE_USE_FINDERS = True

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-src": [SELF],
        "frame-ancestors": [SELF],
    }
}
X_FRAME_OPTIONS = "SAMEORIGIN"
# Not "no-referrer": browsers would send "Origin: null" with every form, which the CSRF check refuses.
SECURE_REFERRER_POLICY = "same-origin"
CSRF_FAILURE_VIEW = "incidents.admin.ways_back.csrf_failure"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = yes("HTTPS")
SECURE_HSTS_SECONDS = 31536000 if yes("HTTPS") else 0
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_500_000
FILE_UPLOAD_PERMISSIONS = 0o600

#: Set by `manage.py` for commands of plain Python, which wake no one: the broker's library is not loaded.
WITHOUT_BROKER = yes("BREACH_WITHOUT_BROKER")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")
CELERY_BROKER_URL = REDIS_URL
#: Wake-ups carry no data; losing, repeating or reordering them changes only how soon work starts.
CELERY_TASK_IGNORE_RESULT = True
#: No results, so none that are cleared away.
CELERY_RESULT_EXPIRES = None
#: How often what is due is erased. Daily is enough; four times, so that a machine that is off at night does it too.
RETENTION_EVERY_HOURS = 6
#: A queue for each role that works: `wake` and `house` are the worker's, `seal` the sequencer's, `import` the importer's; `keep`
#: (erasing what is due) is the desk's.
CELERY_TASK_ROUTES = {
    "incidents.tasks.tick": {"queue": "house"},
    "incidents.tasks.check_campaigns": {"queue": "house"},
    "incidents.tasks.keep_retention": {"queue": "house"},
    "incidents.tasks.seal": {"queue": "seal"},
    "incidents.tasks.import_*": {"queue": "import"},
    "incidents.tasks.keep_*": {"queue": "keep"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 2, "socket_timeout": 15, "max_retries": 0}
#: A child that comes up slowly on a busy machine is not dead; killed for that after four seconds, it would come up slowly again.
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "notifier.beat:Beat"
#: Seconds after which the beat looks anew, whatever it waits for: so late it sees that its clock was set back.
CELERY_BEAT_MAX_LOOP_INTERVAL = 2

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"()": "notifier.logs.WithoutWords", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
    # At DEBUG these write whole requests, which are letters to people and keys of providers.
    "loggers": {name: {"level": "WARNING"} for name in ("boto3", "botocore", "urllib3", "requests")},
}
