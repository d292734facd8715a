"""Django with django-post_office alone, tuned: BATCH_SIZE 2000, five threads a process."""

import os
from urllib.parse import urlsplit

_database = urlsplit(os.environ["PEER_DATABASE_URL"])
_relay = urlsplit(os.environ["SMTP_URL"])

SECRET_KEY = "bench"  # noqa: S105 - nothing is signed with it
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": _database.hostname,
        "PORT": _database.port,
        "USER": _database.username,
        "PASSWORD": _database.password,
        "NAME": _database.path.lstrip("/"),
    }
}
TEMPLATES = [
    {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [], "APP_DIRS": True}
]
EMAIL_BACKEND = "post_office.EmailBackend"
EMAIL_HOST = _relay.hostname
EMAIL_PORT = _relay.port
POST_OFFICE = {
    "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
    "BATCH_SIZE": 2000,
    "THREADS_PER_PROCESS": 5,
    "DEFAULT_PRIORITY": "medium",
    "LOG_LEVEL": 1,
}
