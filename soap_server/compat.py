"""Makes spyne 2.14 importable on every Python we run on; the package imports this first.

Its vendored six finds the modules below by a hook that Python 3.12 no longer asks, so they are put
where import looks before it asks anybody. (`cgi`, gone from 3.13, comes from legacy-cgi.)
"""

import collections.abc
import http.cookies
import logging
import sys
import urllib.error
import urllib.parse
import urllib.request
import urllib.response
import urllib.robotparser
import warnings

_MOVES = "spyne.util.six.moves."
_MOVED = {
    "collections_abc": collections.abc,
    "http_cookies": http.cookies,
    "urllib": urllib,
    "urllib.error": urllib.error,
    "urllib.parse": urllib.parse,
    "urllib.request": urllib.request,
    "urllib.response": urllib.response,
    "urllib.robotparser": urllib.robotparser,
}

sys.modules.update({_MOVES + name: module for name, module in _MOVED.items()})

with warnings.catch_warnings():
    # cgi's deprecation (3.11, 3.12), six's old hook (3.11), and escapes in spyne's docstrings.
    warnings.simplefilter("ignore")
    import spyne.protocol.soap
    import spyne.server  # noqa: F401

# The hook stays behind and makes every later import on 3.11 warn; nothing needs it any more.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if type(finder).__module__ != "spyne.util.six"
]


def tame() -> None:
    """Quiet spyne's log; call before the first `Application`."""
    # It logs faults with tracebacks, and requests with the keys and texts in them.
    log = logging.getLogger("spyne")
    log.setLevel(logging.CRITICAL + 1)
    log.propagate = False
