"""What the doctor says: a line for each thing that was looked at."""

from collections.abc import Callable
from dataclasses import dataclass

from crm.cli.doctor.asking import Silent
from crm.mail.records import Finding, Mark

SILENT = Finding(
    Mark.FAULT,
    "DNS does not answer",
    "look at the name servers of this machine, or pass over DNS with --offline",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A finding, and what it is about."""

    thing: str
    about: str
    finding: Finding

    @property
    def text(self) -> str:
        """Return the line as an operator reads it."""
        one = self.finding
        about = f"{self.about}: " if self.about else ""
        do = f"; {one.do}" if one.do else ""
        return f"{one.mark:<6} {self.thing:<10} {about}{one.found}{do}"

    @property
    def fields(self) -> dict[str, str]:
        """Return the line as a machine reads it."""
        marks = {Mark.SKIPPED: "skipped"}
        return {
            "mark": marks.get(self.finding.mark, self.finding.mark.lower()),
            "thing": self.thing,
            "about": self.about,
            "found": self.finding.found,
            "do": self.finding.do,
        }


def look(thing: str, about: str, examine: Callable[[], Finding]) -> Line:
    """Return what ``examine`` finds, or that DNS does not answer."""
    try:
        finding = examine()
    except Silent:
        finding = SILENT
    return Line(thing=thing, about=about, finding=finding)


def passed_over(thing: str, about: str, why: str) -> Line:
    """Return the line of what was not looked at."""
    return Line(thing=thing, about=about, finding=Finding(Mark.SKIPPED, f"not looked at: {why}"))
