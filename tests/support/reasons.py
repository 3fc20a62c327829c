"""All reasons that the code gives for what became of a message or a request, by its source."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import sms_gateway
from sms_gateway.network import errors, socks
from sms_gateway.network.errors import Trouble
from sms_gateway.smpp.pdu import BindTransceiver
from sms_gateway.smpp.status import lookup
from sms_gateway.upstream import smpp_bind, smpp_connection
from sms_gateway.upstream.smpp_options import SmppOptions
from sms_gateway.web import unreadable

ROOT = Path(sms_gateway.__file__).parent
#: Where reasons are given that pages show.
_FILES = (
    "accept/repeats.py",
    "accept/batch.py",
    "accept/rules.py",
    "accept/gateway.py",
    "accept/caps.py",
    "network/asgi_body.py",
    "remote/answers.py",
    "remote/http_backend.py",
    "remote/http_client.py",
    "callbacks/posting.py",
    "deliver/feeder.py",
    "deliver/ledger/*.py",
    "sms/address.py",
    "sms/numbering.py",
    "sms/segments.py",
    "sms/writing.py",
    "smpp/*.py",
    "store/deletion.py",
    "store/erase.py",
    "store/claims.py",
    "store/queue.py",
    "store/resend.py",
    "store/stops.py",
    "upstream/*.py",
    "web/api.py",
    "web/params.py",
    "web/pages/__init__.py",
    "web/pages/trial.py",
)
#: What is called with a reason.
_CALLS = {
    "InvalidAnswerError",
    "UnsendableError",
    "RefusedTokenError",
    "FramingError",
    "EncodeError",
    "TextError",
    "AddressError",
    "TooManyNumbersError",
    "_UnreadableError",
    "NotTakenError",
    "Unanswered",
    "Closed",
    "_close",
    "lost",
    "abort",
    "_give_back",
}
_NAMES = {
    "reason",
    "why",
    "note",
    "REASON",
    "FORGOTTEN",
    "DELETED",
    "ERASED",
    "_ENDS",
    "_REASONS",
} | {
    "_ASIDE",
    "_UNKNOWN",
    "UNTOLD_JSON",
    "PROBLEMS",
    "MISUNDERSTOOD",
    "FORGED",
}
#: Functions that return a reason, alone or among other things.
_FUNCTIONS = {
    "_post",
    "post",
    "_ask",
    "_too_long",
    "limit_words",
    "cap_words",
    "closed_words",
    "strange",
    "_invalid",
    "complaint",
    "_naming",
}


def reasons() -> dict[str, str]:
    """Each reason, with something in the place of what varies, and where it was found."""
    found: dict[str, str] = {}
    for pattern in _FILES:
        for file in sorted(ROOT.glob(pattern)):
            for node in _places(ast.parse(file.read_text())):
                for reason in _texts(node):
                    found.setdefault(reason, f"{file.relative_to(ROOT)}:{node.lineno}")
    for table, texts in _tables():
        for reason in texts:
            found.setdefault(reason, table)
    return found


def _tables() -> Iterator[tuple[str, Iterable[str]]]:
    """Reasons that stand in tables, some of them put together from pieces."""
    troubles = [
        each
        for module in (errors, smpp_connection, socks)
        for each in (*vars(module).values(), *socks.REPLIES.values())
        if isinstance(each, Trouble)
    ]
    troubles += filter(None, map(errors.first_words, (b"\x16\x03\x01", b"HTTP")))
    yield "network/errors.py", [each.what for each in troubles]
    yield "network/errors.py", map(str, troubles)
    statuses = [lookup(number) for number in (*smpp_bind.ADVICE, 0x01, 0x400)]
    options = SmppOptions(host="smsc.example", system_id="esme")
    advice = [(status, smpp_bind.advice(status, options, BindTransceiver)) for status in statuses]
    advice += ((lookup(0x04), said) for said in smpp_bind.WRONG_BIND.values())
    advice.append((lookup(0x0D), smpp_bind.TOO_MANY))
    advised = [f"bind refused: {status}; {said}" for status, said in advice]
    yield "upstream/smpp_bind.py", advised
    yield "web/unreadable.py", unreadable.REASONS


def _places(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=arguments):
                if name in _CALLS:
                    yield from arguments
                if name in ("RefusedError", "UnusableError"):
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
            for one in _part(left):
                yield from (one + other for other in _part(right))
        case ast.Tuple(elts=elts):
            for each in elts:
                yield from _texts(each)
        case ast.Dict(values=values):
            for each in values:
                yield from _texts(each)


#: What stands in a reason for an expression with one of these in it.
_SAMPLES = {
    "{until}": "2026-12-01 00:00Z",
    "_PERIODS": "a day",
    "{closed}": "premium rate",
    "start": "is not a valid telephone number",
    "complaint(": "it is too short for a number of BE",
    "region": "BE",
    "incident": "0193a7c5",
    "sentence": "Process time exceeded",
    "names)": "to, text",
    "{why}": "The request is too large",
    "{what}": "letter",
    "{shown}": "that cannot be shown",
    "known}": "apikey, before, id",
    "moment": "2026-11-30 07:00Z",
    "kind(": "delivery.failed",
    "due.id": "0193-7a",
    "kind}": "a control character",
    "d.state": "failed",
    "receipt.state": "failed",
    "failure": "no answer within 7 seconds",
    "which": "number 2 of 3",
    "{reason}": "has an extension, which no SMS reaches; write the number without it",
    "{status}": "503",
    "name": "sender",
    "{code:04X}": "0041",
    "detail": "throttling error",
    "words": "throttling error",
}


def _part(node: ast.AST) -> Iterator[str]:
    """The texts of a summand, which may have a name of its own."""
    match node:
        case ast.Name(id=name) if name in _SAMPLES:
            yield _SAMPLES[name]
        case _:
            yield from _texts(node)


def _piece(value: ast.expr) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    written = ast.unparse(ast.JoinedStr(values=[value]))
    if written == "f'{kind}'":
        return "a control character"
    return next((s for part, s in _SAMPLES.items() if part in written), "7")
