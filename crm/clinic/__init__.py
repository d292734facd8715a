"""The clinic's own details and choices: settings in the database, edited on a page."""
