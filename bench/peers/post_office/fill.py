"""Queues letters: ``python -m bench.peers.post_office.fill LETTERS FILE``, in its environment.

The letters are templates with their values, rendered when they are sent, as ours are.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Empty the queue and fill it anew."""
    import django  # noqa: PLC0415 - it is configured first, and is not there for type checkers

    django.setup()
    from post_office.models import (  # noqa: PLC0415
        STATUS,
        Email,
        EmailTemplate,
    )

    letters, parts = int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    Email.objects.all().delete()
    template, _ = EmailTemplate.objects.update_or_create(
        name="letter",
        defaults={
            "subject": parts["subject"],
            "content": parts["text"],
            "html_content": parts["html"],
        },
    )
    Email.objects.bulk_create(
        [_email(Email, STATUS.queued, template, number) for number in range(1, letters + 1)],
        batch_size=1000,
    )


def _email(kind: Any, queued: int, template: Any, number: int) -> Any:
    way_out = f"https://crm.clinic.example/u/{number:064x}"
    return kind(
        from_email="Клиника «Север» <news@clinic.example>",
        to=[f"person{number}@mail.example"],
        template=template,
        context={
            "first_name": "Анна",
            "greeting": "Здравствуйте, Анна!",
            "consent_on": "12.03.2026",
            "unsubscribe_url": way_out,
        },
        headers={
            "List-Unsubscribe": f"<{way_out}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
        status=queued,
        message_id=f"<{number}.42@clinic.example>",
    )


if __name__ == "__main__":
    main()
