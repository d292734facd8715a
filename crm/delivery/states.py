"""The states of the contract, as stored and as shown."""

from enum import StrEnum


class Lane(StrEnum):
    """Service letters never wait behind a campaign: a queue and a worker of their own."""

    BULK = "bulk"
    SERVICE = "service"


class MailingState(StrEnum):
    SCHEDULED = "scheduled"
    OVERDUE = "overdue"
    """Its time passed by more than an hour unseen: a person decides, it does not fire."""
    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    """Paused by the system; ``held_because`` says why."""
    STOPPED = "stopped"
    FINISHED = "finished"


class DeliveryState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    WITHHELD = "withheld"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


class LeaseState(StrEnum):
    LIVE = "live"
    ENDED = "ended"
    DEAD = "dead"


class Mishap(StrEnum):
    """What befell senders and was overcome by itself."""

    SENDER_DIED = "sender_died"
    """Or was frozen for so long that its lease was buried."""
    DATABASE_AWAY = "database_away"
    CLOCK_JUMPED = "clock_jumped"
    LINE_LOST = "line_lost"
    """Before the dot of a letter: it goes again."""
