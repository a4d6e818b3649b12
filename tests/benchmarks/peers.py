"""What others do with the same letters: django-post_office, Django's own backend, a Celery task for each message, Anymail.

Each runs in a process of its own, with settings of its own and nothing of ours: `python -m tests.benchmarks.peers WHAT`, told by a
JSON object on standard input; prints one with the seconds and the CPU seconds of what was sent (filling a queue is not counted).
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

APP = "tests.benchmarks.peers"


def configure(told: dict[str, Any]) -> None:
    """A Django project that can do no more than send mail."""
    import django
    from django.conf import settings

    databases = (
        {"default": {"ENGINE": "django.db.backends.postgresql", "CONN_MAX_AGE": 600, **told["database"]}}
        if "database" in told
        else {}
    )
    settings.configure(
        SECRET_KEY="peers", DATABASES=databases, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", USE_TZ=True,
        INSTALLED_APPS=["django.contrib.contenttypes", *(["post_office"] if told["what"] == "post_office" else [])],
        EMAIL_BACKEND=told.get("backend", "django.core.mail.backends.smtp.EmailBackend"), EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=told.get("port", 0), POST_OFFICE={"BATCH_SIZE": 1000, "LOCK_FILE_NAME": f"bench-{os.getpid()}"},
        ANYMAIL={"POSTMARK_SERVER_TOKEN": "peers", "POSTMARK_API_URL": f"http://127.0.0.1:{told.get('port', 0)}/"},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}, {
            "BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates", "APP_DIRS": True, "NAME": "post_office",
            "OPTIONS": {"context_processors": []}}],
    )  # fmt: skip
    django.setup()


def letter(told: dict[str, Any], number: int) -> Any:
    """A mail of two parts, as long as ours are."""
    from django.core.mail import EmailMultiAlternatives

    mail = EmailMultiAlternatives(
        f"Informations importantes, {number}", told["text"].replace("NOM", f"Prénom {number}"), "privacy@sender.example",
        [f"person{number}@example.org"], headers={"Message-ID": f"<{number:032x}@sender.example>", "Reply-To": "help@sender.example"},
    )  # fmt: skip
    mail.attach_alternative(told["html"].replace("NOM", f"Prénom {number}"), "text/html")
    return mail


def _share(told: dict[str, Any], first: int, last: int) -> None:
    """One process's part through one connection."""
    from django.core.mail import get_connection

    get_connection().send_messages([letter(told, number) for number in range(first, last)])


def _in_processes(work: Callable[..., None], told: dict[str, Any], processes: int) -> None:
    number = told["number"]
    parts = [(number * at // processes, number * (at + 1) // processes) for at in range(processes)]
    running = [multiprocessing.get_context("fork").Process(target=work, args=(told, *part)) for part in parts]
    for process in running:
        process.start()
    for process in running:
        process.join()
    assert not any(process.exitcode for process in running)


def django_backend(told: dict[str, Any]) -> None:
    """`send_messages` in two processes."""
    _in_processes(_share, told, 2)


def django_connections(told: dict[str, Any]) -> None:
    """As many connections as told, each with its thread, in two processes: the way to hide a slow relay."""

    def many(told: dict[str, Any], first: int, last: int) -> None:
        threads = told["connections"] // 2
        parts = [(first + (last - first) * at // threads, first + (last - first) * (at + 1) // threads) for at in range(threads)]
        running = [threading.Thread(target=_share, args=(told, *part)) for part in parts]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()

    _in_processes(many, told, 2)


def anymail_singles(told: dict[str, Any]) -> None:
    """Anymail's Postmark backend: one request a letter over a kept connection, in two processes."""
    _in_processes(_share, told, 2)


def post_office(told: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """A queue of mails in its tables; returns the sending of it."""
    from django.core.management import call_command
    from post_office import mail

    call_command("migrate", verbosity=0)
    mails = (letter(told, number) for number in range(told["number"]))
    mail.send_many([
        {"sender": one.from_email, "recipients": one.to, "subject": one.subject, "message": one.body,
         "html_message": one.alternatives[0][0], "headers": one.extra_headers} for one in mails
    ])  # fmt: skip
    return lambda told: call_command("send_queued_mail", processes=2, log_level=0, verbosity=0)


def blast(told: dict[str, Any]) -> None:
    """The receiver's ceiling: ready bytes, everything in one stream, two processes."""

    def stream(told: dict[str, Any], first: int, last: int) -> None:
        body = told["raw"].encode()
        one = b"MAIL FROM:<a@sender.example>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n" + body + b"\r\n.\r\n"
        line = socket.create_connection(("127.0.0.1", told["port"]))
        line.sendall(b"EHLO bench\r\n")
        waiting, end = (last - first) * 4, b""
        reader = threading.Thread(target=_read_replies, args=(line, waiting + 5))
        reader.start()
        for _ in range((last - first) // 20):
            line.sendall(one * 20)
        line.sendall(one * ((last - first) % 20) + end)
        reader.join()

    _in_processes(stream, told, 2)


def _read_replies(line: socket.socket, lines: int) -> None:
    while lines > 0 and (piece := line.recv(262144)):
        lines -= piece.count(b"\n")


WHAT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "django": django_backend, "connections": django_connections, "anymail": anymail_singles, "post_office": post_office, "blast": blast,
}  # fmt: skip


def task_app(told: dict[str, Any]) -> Any:
    """A Celery app with a task for each message: read the row, send it, write that it is sent."""
    from celery import Celery

    app = Celery("peers", broker=told["broker"])
    app.conf.update(task_default_queue="peers", task_ignore_result=True, worker_prefetch_multiplier=4)

    @app.task(name="deliver")
    def deliver(number: int) -> None:
        from django.core.mail import get_connection
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("SELECT state FROM peer_mail WHERE id = %s", [number])
            if cursor.fetchone() != ("ready",):
                return
            if not hasattr(deliver, "relay"):
                deliver.relay = get_connection()
                deliver.relay.open()
            deliver.relay.send_messages([letter(told, number)])
            cursor.execute("UPDATE peer_mail SET state = 'sent' WHERE id = %s", [number])

    return app


def tasks(told: dict[str, Any]) -> None:
    """Fill the broker, then be the worker (two processes) until killed."""
    from django.db import connection

    app = task_app(told)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS peer_mail (id int PRIMARY KEY, state text)")
        cursor.execute("TRUNCATE peer_mail")
        cursor.execute("INSERT INTO peer_mail SELECT n, 'ready' FROM generate_series(0, %s) n", [told["number"] - 1])
    connection.close()
    for number in range(told["number"]):
        app.send_task("deliver", (number,), queue="peers")
    app.worker_main(["worker", "-c", "2", "-Q", "peers", "-l", "ERROR", "--without-gossip", "--without-mingle"])


def main() -> None:
    """Do what is told, and say how long it took."""
    told = json.loads(sys.stdin.read())
    told["what"] = sys.argv[1]
    configure(told)
    if told["what"] == "tasks":
        tasks(told)
        return
    work = WHAT[told["what"]]
    if told["what"] == "post_office":
        work = work(told)
    started, before = time.perf_counter(), _cpu()
    work(told)
    print(json.dumps({"seconds": time.perf_counter() - started, "cpu": _cpu() - before}))


def _cpu() -> float:
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


if __name__ == "__main__":
    main()
