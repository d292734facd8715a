"""Writes the golden letters anew: ``python -m tests.letters.golden.write``. Read the diff."""

from pathlib import Path

from crm.letters.compile import compile_letter
from crm.letters.merge import Kind
from crm.letters.templates import appointment_confirmed, confirm_address
from tests.letters.samples import BRAND, DOCUMENT, SUBJECT, letter_of, printed, printed_in_8_bit

FOLDER = Path(__file__).parent


def letters() -> dict[str, bytes]:
    """Return the golden letters by file name, as they are printed today."""
    campaign = compile_letter(DOCUMENT, SUBJECT, brand=BRAND, kind=Kind.PROMOTIONAL)
    dots = letter_of({"type": "text", "html": "<p>{{ first_name | друг }}</p><p>...</p>"})
    visit = appointment_confirmed("ru")
    opt_in = confirm_address("en")
    return {
        "campaign.eml": printed(campaign),
        "campaign-8bit.eml": printed_in_8_bit(campaign),
        "dots.eml": printed(dots, first_name="..."),
        "dots-8bit.eml": printed_in_8_bit(dots),
        "visit.eml": printed(
            compile_letter(visit.document, visit.subject, brand=BRAND, kind=Kind.SERVICE),
            when="24 ноября, 10:30",
            place="Примерная ул., 1",
            page_url="https://crm.clinic.example/a/abc",
        ),
        "opt_in.eml": printed(
            compile_letter(opt_in.document, opt_in.subject, brand=BRAND, kind=Kind.SERVICE),
            page_url="https://crm.clinic.example/o/abc",
        ),
    }


if __name__ == "__main__":
    for name, raw in letters().items():
        (FOLDER / name).write_bytes(raw)
