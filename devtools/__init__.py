"""What developers run: environment, private servers, supervisor, checks, mail catcher.

Everything that `dev.py` imports is standard library only: it runs before anything is installed.
"""
