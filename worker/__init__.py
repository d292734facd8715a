"""The Celery side: senders and housekeeping. Tasks unpack, call crm, commit."""
