"""The campaigns of the demo clinic: what they say, and when they went."""

from dataclasses import dataclass
from typing import Any, Final

from crm.campaigns.pictures import PICTURES

_LEAVES, _SUNRISE, _WAVES, _CALENDAR = (
    {"type": "image", "src": picture.src, "alt": picture.alt} for picture in PICTURES
)
_WARNING: Final = {"type": "medical_warning"}
_LINE: Final = {"type": "divider"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Story:
    """One campaign. Without ``days_ago`` it is a draft."""

    name: str
    subject: str
    preheader: str
    blocks: tuple[dict[str, Any], ...]
    days_ago: int | None = None
    hour: int = 10
    paused_after: int | None = None
    stopped_after: int | None = None
    broken_after: int | None = None

    @property
    def document(self) -> dict[str, Any]:
        """Return the letter as the editor stores it."""
        return {"version": 1, "preheader": self.preheader, "blocks": list(self.blocks)}


def _heading(text: str, level: int = 1) -> dict[str, Any]:
    return {"type": "heading", "text": text, "level": level}


def _text(*paragraphs: str) -> dict[str, Any]:
    return {"type": "text", "html": "".join(f"<p>{words}</p>" for words in paragraphs)}


def _button(text: str, page: str) -> dict[str, Any]:
    return {"type": "button", "text": text, "href": f"https://clinic.example/{page}"}


STORIES: Final = (
    Story(
        name="Новый корпус на Липовой набережной",
        subject="Мы переехали в новый корпус",
        preheader="Двор без машин, лифт и светлая регистратура",
        blocks=(
            _WAVES,
            _heading("Новый корпус открыт"),
            _text(
                "{{ greeting }}",
                "Клиника принимает в новом корпусе на Липовой набережной, 12. Вход со двора, "
                "пандус и лифт на все этажи.",
                "Телефон и часы работы прежние: с 8 до 21 без выходных.",
            ),
            _button("Как проехать", "kontakty"),
            _WARNING,
        ),
        days_ago=405,
    ),
    Story(
        name="Профилактический осмотр, весна",
        subject="Запись на профилактический осмотр открыта",
        preheader="Одно посещение, около двух часов",
        blocks=(
            _LEAVES,
            _heading("Осмотр за одно посещение"),
            _text(
                "{{ greeting }}",
                "Открыта запись на профилактический осмотр. Приём занимает около двух часов, "
                "результаты выдаём на руки.",
            ),
            _button("Выбрать время", "osmotr"),
            _LINE,
            _text("Записаться можно и по телефону, с 8 до 21."),
            _WARNING,
        ),
        days_ago=214,
    ),
    Story(
        name="Субботний приём",
        subject="Теперь принимаем и по субботам до 20:00",
        preheader="Расписание на месяц — внутри",
        blocks=(
            _CALENDAR,
            _heading("Суббота — рабочий день"),
            _text(
                "{{ greeting }}",
                "С этого месяца регистратура и кабинеты открыты по субботам с 9 до 20. "
                "Свободного времени утром пока много.",
            ),
            _button("Записаться на субботу", "zapis"),
            _WARNING,
        ),
        days_ago=96,
        paused_after=420,
        broken_after=180,
    ),
    Story(
        name="Школа здоровья: осенние встречи",
        subject="Приглашаем на открытые встречи в клинике",
        preheader="Четыре вечера, вход свободный",
        blocks=(
            _SUNRISE,
            _heading("Школа здоровья"),
            _text(
                "{{ greeting }}",
                "Четыре четверга подряд в 19:00 рассказываем о сне, осанке, прогулках и питании. "
                "Вход свободный, мест в зале сорок.",
            ),
            _button("Занять место", "shkola"),
            _WARNING,
        ),
        days_ago=33,
        paused_after=610,
        broken_after=275,
    ),
    Story(
        name="Зимнее расписание",
        subject="Расписание на зиму",
        preheader="Часы приёма в праздничные дни",
        blocks=(
            _heading("Как мы работаем зимой"),
            _text(
                "{{ greeting }}",
                "Публикуем часы приёма на праздничные дни. Регистратура отвечает на звонки каждый "
                "день с 9 до 18.",
            ),
            _button("Посмотреть расписание", "raspisanie"),
            _WARNING,
        ),
        days_ago=6,
        stopped_after=340,
    ),
    Story(
        name="Зимнее расписание (исправлено)",
        subject="Расписание на зиму: уточнённые часы",
        preheader="Часы приёма в праздничные дни",
        blocks=(
            _CALENDAR,
            _heading("Как мы работаем зимой"),
            _text(
                "{{ greeting }}",
                "Уточнённые часы приёма на праздничные дни: регистратура открыта с 9 до 18, "
                "кабинеты — с 10 до 17. Остальные дни — как обычно, с 8 до 21.",
            ),
            _button("Посмотреть расписание", "raspisanie"),
            _LINE,
            _text("Записаться можно на сайте, по телефону или в регистратуре."),
            _WARNING,
        ),
    ),
    Story(
        name="Осмотр перед отпуском (набросок)",
        subject="",
        preheader="",
        blocks=(
            _LEAVES,
            _heading("Заголовок"),
            _text("{{ greeting }}", "Напишите текст"),
            _WARNING,
        ),
    ),
)
