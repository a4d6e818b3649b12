"""How the two settings look that name places for what is told of letters. Light: the settings themselves are checked with it."""

from __future__ import annotations

import re

#: Under 20 characters a path can be guessed.
SHORTEST_PATH = 20
EVENTS_PATH = re.compile(rf"[A-Za-z0-9_-]{{{SHORTEST_PATH},100}}")
#: `+` and the letter's name have to fit behind the part before the @ (64 octets: RFC 5321, 4.5.3.1.1).
BOUNCE_ADDRESS = re.compile(r"[A-Za-z0-9._-]{1,30}@[A-Za-z0-9.-]{1,200}\.[A-Za-z]{2,63}")
