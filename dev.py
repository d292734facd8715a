#!/usr/bin/env python3
"""From a bare machine to a running system: python3 dev.py run | test | check | bench | exec | lock.

run                    everything, on http://127.0.0.1:$PORT (8000), until Ctrl-C
test [ARGUMENT…]       the tests, in a temporary place; the arguments are pytest's
check                  format, lint, types, contracts, templates, migrations, translations
bench NAME [--json]    a benchmark from bench/, in a temporary place
exec CMD…              any command, with DATABASE_URL and REDIS_URL set
lock                   resolve the dependencies of pyproject.toml anew
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - older ones do start this file, and deserve a sentence
    sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0])

from devtools import commands

if __name__ == "__main__":
    sys.exit(commands.main(sys.argv[1:], usage=__doc__ or ""))
