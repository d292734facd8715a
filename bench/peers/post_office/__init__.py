"""django-post_office: its settings and what fills its queue, run in an environment of its own."""
