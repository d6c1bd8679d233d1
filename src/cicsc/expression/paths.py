"""JSON paths: how a defect inside a document names its place.

A path starts at ``$``; a step is ``.name`` for a plain name, ``["any text"]`` otherwise, ``[3]`` for an index.
"""

from __future__ import annotations

import json
import re

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def json_path(parent: str, step: str | int) -> str:
    """Extend `parent` by one step; text that is not a plain name is quoted as JSON."""
    if isinstance(step, int):
        return f"{parent}[{step}]"
    if _PLAIN_NAME.match(step):
        return f"{parent}.{step}"
    return f"{parent}[{json.dumps(step)}]"
