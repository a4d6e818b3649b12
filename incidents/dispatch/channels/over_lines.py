"""The libraries' requests over our own lines: `requests` for Anymail, and the AWS client for SES.

Both would follow redirects, take proxies and keys from the environment, and try again by themselves; here they only write
requests and read answers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.utils.module_loading import import_string
from requests.adapters import BaseAdapter

from incidents.dispatch.channels.http import HttpLine


class _LineAdapter(BaseAdapter):
    def __init__(self, line: HttpLine) -> None:
        super().__init__()
        self._line = line

    def send(  # type: ignore[override]
        self, request: requests.PreparedRequest, **anything: Any
    ) -> requests.Response:
        """One request; never elsewhere than to the line's host."""
        heads = {name: str(value) for name, value in request.headers.items()}
        path, body = _path_of(str(request.url)), _in_bytes(request.body)
        answer = self._line.ask(method=str(request.method), path=path, heads=heads, body=body)
        response = requests.Response()
        response.status_code, response.url, response.request = answer.status, str(request.url), request
        response.headers.update({name: value for name, value in answer.heads.items() if name != "location"})
        response.raw = io.BytesIO(answer.body)
        return response

    def close(self) -> None:
        """The session is done."""
        self._line.close()


def _in_bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"


def session_over(line: HttpLine) -> requests.Session:
    """What Anymail calls, on our line."""
    session = requests.Session()
    session.trust_env = False  # no proxies and no .netrc of whoever started us
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "breach-notifier"})
    session.adapters.clear()
    session.mount("https://", _LineAdapter(line))
    session.mount("http://", _LineAdapter(line))
    return session


class _Raw(io.BytesIO):
    def stream(self, *anything: Any, **more: Any) -> Iterator[bytes]:
        """What the AWS client reads a body by."""
        yield self.read()


def ses_backend(make: Any, base: str, options: Mapping[str, str], seconds: float) -> tuple[Any, HttpLine]:
    """Anymail's backend for SES (`make`) with an AWS client that signs and reads, but speaks over our line."""
    config = import_string("botocore.config.Config")(retries={"mode": "standard", "total_max_attempts": 1}, proxies={})
    keys = {
        "aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
        "aws_session_token": "AWS_SESSION_TOKEN",
    }  # fmt: skip
    # Without keys of ours the AWS client looks for a role of the machine, as it always does.
    given = {name: settings.PROVIDER_KEYS[key] for name, key in keys.items() if settings.PROVIDER_KEYS.get(key)}
    client = {"region_name": options["region"], "config": config, **({"endpoint_url": base} if base else {}), **given}
    backend = make(client_params=client, configuration_set_name=options.get("configuration_set"))
    backend.open()
    line = HttpLine(base=backend.client.meta.endpoint_url, seconds=seconds)
    backend.client.meta.events.register("before-send.sesv2.*", lambda request, **_: _aws_answer(line, request))
    return backend, line


def _aws_answer(line: HttpLine, request: Any) -> Any:
    heads = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in request.headers.items()}
    answer = line.ask(method=request.method, path=_path_of(request.url), heads=heads, body=_in_bytes(request.body))
    make = import_string("botocore.awsrequest.AWSResponse")
    return make(request.url, answer.status, dict(answer.heads), _Raw(answer.body))
