"""Makes spyne 2.14 importable on every Python we run on; the package imports this first.

Its vendored six finds the modules below by an import hook that Python 3.12 no longer calls. So this
puts them into sys.modules. (`cgi`, removed in 3.13, comes from legacy-cgi.)
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
    # Warnings about cgi (3.11, 3.12), six's old hook (3.11), and escapes in spyne's docstrings.
    warnings.simplefilter("ignore")
    import spyne.protocol.soap
    import spyne.server  # noqa: F401

# Nothing needs the hook any more, and on 3.11 it makes every later import warn.
sys.meta_path[:] = [
    finder for finder in sys.meta_path if type(finder).__module__ != "spyne.util.six"
]


def tame() -> None:
    """Turn spyne's log off. Call this before the first `Application`."""
    # spyne logs faults with tracebacks, and requests with their keys and texts.
    log = logging.getLogger("spyne")
    log.setLevel(logging.CRITICAL + 1)
    log.propagate = False
