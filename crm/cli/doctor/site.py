"""The address in the letters' unsubscribe button, as a mailbox provider reaches it."""

import http.client
import ssl
from contextlib import closing
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from crm.cli.doctor import certificates
from crm.cli.doctor.lines import Line, passed_over
from crm.cli.doctor.relays import is_reserved
from crm.config import Settings
from crm.mail.records import Finding, Mark

WAIT_S = 3.0
PATH = "/u/doctor"
"""A token of nobody's: asked for with GET, which changes nothing, and answered 404."""


def unsubscribing(settings: Settings, *, tls: ssl.SSLContext, at: datetime) -> Line:
    """Return whether the button's address answers under a good certificate, without a redirect.

    Source: RFC 8058 section 3.2.
    """
    thing, host = "one-click", settings.public_host
    if not settings.secure:
        return passed_over(thing, host, "only this machine can reach it")
    if is_reserved(host):
        return passed_over(thing, host, "a name for tests and documents")
    return Line(thing=thing, about=host, finding=_finding(settings.public_url, tls=tls, at=at))


def _finding(url: str, *, tls: ssl.SSLContext, at: datetime) -> Finding:
    try:
        status, certificate = _get(url, tls=tls)
    except ssl.SSLCertVerificationError as fault:
        told = f"no provider can unsubscribe anybody: {certificates.refused(fault)}"
        return Finding(Mark.FAULT, told, "install a certificate for the host in PUBLIC_URL")
    except (OSError, http.client.HTTPException):
        return Finding(Mark.FAULT, "the site does not answer", "look at PUBLIC_URL and the proxy")
    if status in range(300, 400):
        told = "the site redirects, and providers do not follow"
        return Finding(Mark.FAULT, told, f"let the proxy hand {PATH} on as it is")
    if status not in (200, 404):
        return Finding(
            Mark.FAULT, f"the site answers {status}", "look at the proxy and the web log"
        )
    return certificates.lasting(certificate, at=at)


def _get(url: str, *, tls: ssl.SSLContext) -> tuple[int, Any]:
    parts = urlsplit(url)
    line = http.client.HTTPSConnection(
        parts.hostname or "", parts.port, timeout=WAIT_S, context=tls
    )
    with closing(line):
        line.connect()
        certificate = line.sock.getpeercert()
        line.request("GET", parts.path + PATH)
        return line.getresponse().status, certificate
