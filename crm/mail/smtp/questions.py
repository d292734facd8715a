"""What a server was asked and still has to answer, in the order of its answers."""

from enum import Enum, auto

from crm.mail.smtp.verdict import Stage


class Due(Enum):
    """An answer that the server owes."""

    RSET = auto()
    MAIL = auto()
    RCPT = auto()
    DATA = auto()
    DOT = auto()
    QUIT = auto()

    @property
    def stage(self) -> Stage:
        """Where a letter stands whose attempt ends with this answer."""
        return _STAGES.get(self, Stage.CONNECTION)


_STAGES = {
    Due.MAIL: Stage.MAIL,
    Due.RCPT: Stage.RCPT,
    Due.DATA: Stage.DATA,
    Due.DOT: Stage.DOT,
}

ENVELOPE = (Due.MAIL, Due.RCPT, Due.DATA)
DOT_AND_ENVELOPE = (Due.DOT, *ENVELOPE)


class Questions:
    """The answers due, and the commands that are held back until the one before is answered."""

    def __init__(self) -> None:
        self.due: tuple[Due, ...] = ()
        self._unsaid: list[bytes] = []
        self._in_one_breath = 0

    def put(self, due: tuple[Due, ...], commands: bytes, *, at_once: bool) -> bytes:
        """Return what is to be said now: all commands, or the first."""
        self.due = due
        if at_once:
            self._in_one_breath = len(due)
            return commands
        self._in_one_breath = 1
        command, *self._unsaid = commands.splitlines(keepends=True)
        return command

    def answered(self) -> Due:
        """Take the first answer as given; return which it was."""
        due, self.due = self.due[0], self.due[1:]
        return due

    def next(self) -> bytes | None:
        """Return the command that was held back for the answer just given, if there is one."""
        return self._unsaid.pop(0) if self._unsaid else None

    def give_up(self) -> None:
        """Leave the envelope as far as it has not been said."""
        if self._unsaid:
            self._unsaid, self.due = [], ()

    @property
    def envelope_in_one_breath(self) -> bool:
        """Whether the end of an envelope is due that was not asked for command by command."""
        return self._in_one_breath > 1 and self.due[-1:] == (Due.DATA,)

    @property
    def partly_answered(self) -> bool:
        """Whether some of what was asked in one breath is answered, and some is not."""
        return 0 < len(self.due) < self._in_one_breath
