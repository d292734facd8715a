"""The letters of one line, and how the line's fate becomes theirs."""

from typing import Generic

from crm.mail.smtp.dock import Dock, Holder, K, Parcel
from crm.mail.smtp.reply import Reply
from crm.mail.smtp.verdict import Stage, Verdict, judged

LETTERS_PER_CONNECTION = 100


class Cargo(Generic[K]):
    """At most a letter in front, and one behind it whose envelope was sent behind the front's dot.

    Without a front, an envelope that is still being answered comes to nothing.
    """

    def __init__(self, dock: Dock[K], holder: Holder[K]) -> None:
        self.front: Parcel[K] | None = None
        self.behind: Parcel[K] | None = None
        self.letters = 0
        """That this connection has seen."""
        self._dock, self._holder = dock, holder

    @property
    def full(self) -> bool:
        """Whether this connection has seen enough."""
        return self._dock.closing or self.letters >= LETTERS_PER_CONNECTION

    def next(self, features: dict[str, str]) -> tuple[Parcel[K] | None, bytes]:
        """Take the next letter that a server of these features can be told of, and its envelope."""
        if self.full:
            return None, b""
        parcel, envelope = self._dock.take(features)
        if parcel is not None:
            parcel.holder = self._holder
            self.letters += 1
        return parcel, envelope

    def conclude(self, reply: Reply) -> None:
        """End the letter in front by the answer to its dot; the one behind comes to the front."""
        front, self.front, self.behind = self.front, self.behind, None
        if front is not None:
            private = front.letter.private()
            self._dock.end(front, judged(reply, stage=Stage.DOT, private=private))

    def end(self, verdict: Verdict) -> None:
        """End the letter in front, if there is one."""
        if self.front is not None:
            self._dock.ready.pop(self.front.key, None)
            self._dock.end(self.front, verdict)
            self.front = None

    def judge(self, reply: Reply, stage: Stage) -> Verdict:
        """Return what a refusal or an acceptance means for the letter in front."""
        return judged(reply, stage=stage, private=self.front.letter.private() if self.front else ())

    def lose(self, verdict: Verdict, *, again: bool) -> None:
        """Part with all that is left: sent again over another line, or ended."""
        for parcel in (self.front, self.behind):
            if parcel is not None and again:
                self._dock.try_again(parcel, verdict)
            elif parcel is not None:
                self._dock.end(parcel, verdict)
        self.front = self.behind = None

    def forget(self, parcel: Parcel[K]) -> None:
        """Take a letter off without a word: whoever asked for that ends it, or does not."""
        self._dock.ready.pop(parcel.key, None)
        if parcel is self.front:
            self.front = None
        elif parcel is self.behind:
            self.behind = None
