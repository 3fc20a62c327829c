"""All reasons that the code gives for what became of a message or a request, by its source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import sms_gateway

ROOT = Path(sms_gateway.__file__).parent
#: Where reasons are given that pages show.
_FILES = (
    "acceptance.py",
    "gateway.py",
    "http_answers.py",
    "http_backend.py",
    "http_client.py",
    "push.py",
    "worker.py",
    "ledger/*.py",
    "sms/address.py",
    "sms/segments.py",
    "smpp/*.py",
    "store/erase.py",
    "store/queue.py",
    "store/resend.py",
    "store/stops.py",
    "upstream/*.py",
    "web/pages/trial.py",
)
#: What is called with a reason.
_CALLS = {
    "OddAnswer",
    "FramingError",
    "EncodeError",
    "BadText",
    "BadAddress",
    "TooManyNumbers",
    "_Unreadable",
    "NotTaken",
    "Unanswered",
    "Closed",
    "_close",
    "lost",
    "abort",
    "_give_back",
}
_NAMES = {"reason", "why", "note", "REASON", "FORGOTTEN", "_ENDS", "_REASONS"}
#: Functions that return a reason, alone or among other things.
_FUNCTIONS = {"_post", "_ask", "_too_long", "limit_words"}


def reasons() -> dict[str, str]:
    """Each reason, with something in the place of what varies, and where it was found."""
    found: dict[str, str] = {}
    for pattern in _FILES:
        for file in sorted(ROOT.glob(pattern)):
            for node in _places(ast.parse(file.read_text())):
                for reason in _texts(node):
                    found.setdefault(reason, f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def _places(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
                if name in _CALLS:
                    yield from arguments
                if name == "Refused":
                    yield from arguments[1:]
                yield from (k.value for k in node.keywords if k.arg in _NAMES)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in _NAMES:
                yield value
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if name in _FUNCTIONS:
                    for inner in ast.walk(node):
                        if isinstance(inner, ast.Return) and inner.value is not None:
                            yield inner.value
            # A step: delivery, time, part, event, detail.
            case ast.Tuple(elts=[_, _, ast.Constant(value=0), event, detail]):
                if not (isinstance(event, ast.Constant) and event.value == "pushed"):
                    yield detail


def _texts(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            if text and not text.isupper():
                yield text
        case ast.JoinedStr(values=values):
            yield "".join(_piece(value) for value in values)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            for one in _texts(left):
                yield from (one + other for other in _texts(right))
        case ast.Tuple(elts=elts):
            for each in elts:
                yield from _texts(each)
        case ast.Dict(values=values):
            for each in values:
                yield from _texts(each)


#: What stands in a reason for an expression with one of these in it.
_SAMPLES = {
    "moment": "2026-11-30 07:00Z",
    "kind(": "delivery.failed",
    "due.id": "0193-7a",
    "kind}": "a control character",
    "d.state": "failed",
    "receipt.state": "failed",
    "failure": "no answer within 7 seconds",
    "which": "number 2 of 3",
    "{reason}": "has a letter or sign that telephone numbers do not have",
    "{status}": "503",
    "name": "sender",
    "code.sentence": "Process time exceeded",
    "{code:04X}": "0041",
    "detail": "throttling error",
    "words": "throttling error",
}


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    written = ast.unparse(ast.JoinedStr(values=[value]))
    if written == "f'{kind}'":
        return "a control character"
    return next((s for part, s in _SAMPLES.items() if part in written), "7")
