"""The client that drives every server: wrk, with load.lua."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .processes import program

_SCRIPT = Path(__file__).with_name("load.lua")

#: One Belgian mobile number after the other.
RECIPIENTS = tuple(f"+32494{n:06}" for n in range(0, 1_000_000, 97))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, `%s` standing in it for recipients, text and key in this order."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    #: None leaves all to the path.
    body: str | None = None
    #: What a right answer contains.
    right: str
    #: The id in a right answer, as a Lua pattern.
    id: str | None = None
    recipients: Sequence[str] = RECIPIENTS
    keys: Sequence[str] = ("key",)
    #: What each text begins with; a number follows.
    text: str = "Hello number "


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What came of a run."""

    right: int
    wrong: int
    #: Status and beginning of a wrong answer, if there was any.
    example: str
    #: Connections that were cut, refused or timed out.
    cut: int
    seconds: float
    #: Of the time from request to answer, seconds.
    p50: float
    p99: float
    #: Of the messages that were acknowledged.
    ids: Sequence[str] = ()


def drive(
    port: int, request: Request, folder: Path, *, seconds: float, connections: int = 32
) -> Answers:
    """Send requests on kept connections, the next one on each when the last is answered."""
    plan, ids = folder / "plan.lua", folder / "ids.txt"
    ids.write_text("")
    plan.write_text(_lua(request, ids))
    # wrk wants whole seconds, or "ms" that older ones do not know.
    done = subprocess.run(
        [
            program("wrk", "wrk"), "--threads", "1", "--connections", str(connections),
            "--duration", f"{max(1, round(seconds))}s", "--timeout", "10s",
            "--script", str(_SCRIPT), f"http://127.0.0.1:{port}/", "--", str(plan),
        ],
        capture_output=True, text=True, check=True, timeout=seconds + 60,
    )  # fmt: skip
    answers = json.loads(done.stdout.splitlines()[-1])
    return Answers(**answers, ids=ids.read_text().split())


def _lua(request: Request, ids: Path) -> str:
    fields = {
        "method": request.method,
        "path": request.path,
        "body": request.body,
        "right": request.right,
        "id": request.id,
        "text": request.text,
        "ids": str(ids),
    }
    lines = [f"{name} = {_quoted(value)}" for name, value in fields.items() if value is not None]
    headers = ", ".join(f"[{_quoted(k)}] = {_quoted(v)}" for k, v in request.headers.items())
    lines += [
        f"headers = {{{headers}}}",
        f"recipients = {{{', '.join(map(_quoted, request.recipients))}}}",
        f"keys = {{{', '.join(map(_quoted, request.keys))}}}",
    ]
    return "return {\n" + ",\n".join(lines) + "\n}\n"


def _quoted(text: str) -> str:
    # All that is quoted here is the same in Lua as in JSON.
    assert text.isascii()
    assert not set(text) & {"\x7f"}
    return json.dumps(text)
