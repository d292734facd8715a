"""How long a server may keep us waiting, in seconds, phase by phase.

RFC 5321 4.5.3.2 asks clients for 5 minutes at the greeting, MAIL and RCPT, 2 at DATA, 3 for each
block of the body and 10 at the dot. Its reason is a server that expands lists or scans the letter
while the client waits. Ours is a relay of our own choice, a letter has one recipient, and nothing
is lost by giving up before the dot: a minute is plenty, and a relay in trouble is seen in time.
Giving up after the dot is another matter, because the letter may have arrived: there the caller
decides, and 5 minutes is what he gets if he does not.
"""

CONNECT_S = 10.0
"""For each address of the relay."""

LOOKUP_S = 30.0
"""For the relay's name; the resolver itself tries its servers in less."""

TALK_S = 60.0
"""For each answer before the first letter: greeting, EHLO, STARTTLS, the handshake, AUTH."""

ENVELOPE_S = 60.0
"""For the next answer to MAIL, RCPT, DATA or RSET."""

BODY_S = 60.0
"""For the server to take in some more of a body."""

REPLY_S = 300.0
"""For the answer to the dot, unless the caller says otherwise."""

FAREWELL_S = 1.0
"""For the answer to QUIT, and for all lines together when the fleet is closed."""

REST_LIMIT_S = 60.0
"""A line that rested longer is given up: what lies between may have forgotten it."""

OPEN_AGAIN_S = 1.0
"""Before another line is tried while others are open; doubled by each failure in a row."""

OPEN_AGAIN_AT_MOST_S = 60.0
