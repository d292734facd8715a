"""What must outlive the database: who this installation is, and a journal of what has left it.

Both lie in ``STATE_DIR``. A database alone cannot know that it was restored from a backup, nor an
installation that it is a copy of another: ``installation.verdict`` finds out by holding database,
folder and machine against each other, and until a person releases it nothing is sent.
"""
