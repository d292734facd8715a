"""What the gallery shows: a person, some people, and a form with a field of every kind."""

from dataclasses import dataclass, field
from typing import ClassVar

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    DateField,
    EmailField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    TimeField,
)
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput


@dataclass
class Person:
    id: str = "1"
    name: str = "Анна Лебедева"
    email: str = "lebedeva@sever.example"
    roles: list[str] = field(default_factory=list)
    theme: str = "light"
    lang: str = "ru"
    is_authenticated: ClassVar[bool] = True
    is_active: ClassVar[bool] = True

    def get_id(self) -> str:
        return self.id


@dataclass(frozen=True)
class Row:
    id: int
    name: str
    email: str


class PatientForm(FlaskForm):  # type: ignore[misc]  # flask_wtf has no types
    last_name = StringField("Фамилия", [InputRequired("Укажите фамилию"), Length(max=100)])
    patronymic = StringField("Отчество", [Optional()])
    email = EmailField("E-mail", [Optional()], description="На него придёт подтверждение")
    purpose = SelectField("Цель", choices={"service": "Сервисные", "marketing": "Реклама"})
    doctor = SelectField("Врач", choices={"1": "Петрова М. С.", "2": "Зайцев А. А."})
    on = DateField("Дата", [Optional()])
    at = TimeField("Время", [Optional()])
    kind = RadioField("Вид", choices={"a": "Вопрос", "b": "Запись на приём"})
    topics = SelectMultipleField(
        "Темы", choices={"x": "Чек-апы", "y": "Акции"}, option_widget=CheckboxInput()
    )
    agreed = BooleanField("Согласен на обработку", description="Текст от 01.09.2025")
    note = TextAreaField("Комментарий", [Optional()])


PEOPLE = [
    Row(1, "Ковалёва Ирина Петровна", "kovaleva@mail.example"),
    Row(2, "Абдуллин Руслан Маратович", "abdullin@mail.example"),
    Row(3, "Соколова Екатерина Андреевна", "sokolova@mail.example"),
    Row(4, "Нестеренко-Белова Виктория", "nesterenko-belova@mail.example"),
]
