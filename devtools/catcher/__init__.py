"""The mail catcher: an SMTP server that delivers to a file, and pages that show what came.

`python -m devtools.catcher` is a process of its own; `Sink` is that process for a test.
"""

from devtools.catcher.sink import Sink
from devtools.catcher.store import Letter

__all__ = ["Letter", "Sink"]
