"""What the operator's page says."""

import http.client
import json
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from crm import clock
from crm.config import Settings
from crm.operations.findings import findings
from crm.operations.look import look
from tests.delivery.processes import Site


def said(session: Session, settings: Settings, *, later: timedelta = timedelta(0)) -> set[str]:
    """Return its sentences, now or a while later."""
    session.rollback()
    found = {one.say for one in findings(look(session, settings, at=clock.now() + later))}
    session.rollback()
    return found


def readiness(to: Site) -> tuple[int, dict[str, Any]]:
    """Return what the monitoring is told."""
    line = http.client.HTTPConnection("127.0.0.1", to.port, timeout=10)
    line.request("GET", "/readyz")
    answer = line.getresponse()
    state = json.loads(answer.read())["status"]
    line.close()
    return answer.status, state
