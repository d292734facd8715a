"""What somebody outside the database saw of an engine that chance drives."""

import logging
from dataclasses import dataclass, field

from tests.delivery.interleaved import Dot


@dataclass(slots=True)
class Witness:
    """What was seen from outside the database."""

    dots: dict[int, list[Dot]] = field(default_factory=dict)
    """By delivery."""
    silenced: set[int] = field(default_factory=set)
    """Addresses whose stop was confirmed."""
    halted: set[int] = field(default_factory=set)
    """Mailings whose stop or pause was confirmed."""
    buried: set[int] = field(default_factory=set)
    """Deliveries that were in a window of a lease that somebody buried."""
    ended: set[int] = field(default_factory=set)
    """Those of them that had an outcome then."""
    closed: dict[int, object] = field(default_factory=dict)
    """By mailing, how it stood when it closed."""
    letters: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By delivery, its mailing and address."""
    reminders: set[int] = field(default_factory=set)
    """Deliveries of service letters: one that may have arrived is sent once more."""
    parents: dict[int, int] = field(default_factory=dict)
    """By mailing that sends letters again, the one in which they became uncertain."""
    gone_again: set[int] = field(default_factory=set)
    """Uncertain deliveries that a person has sent again, as another delivery."""
    stopped: set[int] = field(default_factory=set)
    """Mailings stopped for good, confirmed or not."""
    wrong: list[str] = field(default_factory=list)
    """Not raised where it is seen: that is in the middle of a sender, which bears everything."""

    def dotted_now(self, delivery_id: int) -> Dot:
        mailing_id, address_id = self.letters[delivery_id]
        before = self.dots.setdefault(delivery_id, [])
        if address_id in self.silenced and delivery_id not in self.reminders:
            self.wrong.append("a dot after the confirmed stop of its address")
        if mailing_id in self.halted:
            self.wrong.append("a dot after the confirmed stop of its mailing")
        if sum(dot.may_have_arrived for dot in before) > (delivery_id in self.reminders):
            self.wrong.append("a letter was sent twice")
        if delivery_id in self.ended:
            self.wrong.append("a dot under a buried lease, of a letter that had ended")
        if delivery_id in self.gone_again:
            self.wrong.append("a dot of a letter that has gone again")
        before.append(Dot())
        return before[-1]

    def letters_of(self, mailing_id: int) -> set[int]:
        return {letter for letter, (whose, _to) in self.letters.items() if whose == mailing_id}

    @property
    def mailings_of_reminders(self) -> set[int]:
        return {self.letters[letter][0] for letter in self.reminders}

    def sent_again(
        self, mailing_id: int, again_id: int, letters: dict[int, int], uncertain: set[int]
    ) -> None:
        """``letters``, by address, are the new mailing's; ``uncertain`` was in the old one."""
        origins = {letter for letter in self.letters_of(mailing_id) if self._to(letter) in letters}
        if not origins <= uncertain:
            self.wrong.append("a letter that was not in doubt was sent again")
        if origins & self.gone_again:
            self.wrong.append("a letter was sent again twice")
        if mailing_id in self.stopped:
            self.wrong.append("letters of a stopped mailing were sent again")
        self.gone_again |= origins
        self.parents[again_id] = mailing_id

    def halt(self, mailing_id: int, *, for_good: bool, is_told: bool) -> None:
        """Whoever stops a mailing stops what sends its letters again, too."""
        halted = {mailing_id}
        if for_good:
            while more := {one for one, of in self.parents.items() if of in halted} - halted:
                halted |= more
            self.stopped |= halted
        if is_told:
            self.halted |= halted

    def _to(self, delivery_id: int) -> int:
        return self.letters[delivery_id][1]

    def may_have_arrived(self, delivery_id: int) -> bool:
        return any(dot.may_have_arrived for dot in self.dots.get(delivery_id, []))


class Broken(logging.Handler):
    """Writes down when a sender met something that nobody foresaw."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__(logging.ERROR)
        self.wrong = wrong

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.wrong.append(f"{record.getMessage()}: {self.format(record)}")
