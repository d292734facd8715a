"""Stories of what goes wrong, each with the books checked afterwards.

Nothing doubled, nothing lost, nothing after a confirmed stop, nothing that hangs for ever.
"""
