"""Routes with conditions, the order by price, and rules that rewrite senders and texts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support import accounts as support
from support.books import NOW
from support.upstreams import a_delivery

from sms_gateway.accept.gateway import Gateway
from sms_gateway.accounts import ANY_SENDER
from sms_gateway.backend import Submission
from sms_gateway.codes import Code
from sms_gateway.deliver.ledger import Ledger
from sms_gateway.routing.conditions import Case
from sms_gateway.routing.operators import may_be_ported, operator_of
from sms_gateway.routing.patterns import Pattern, Replacement
from sms_gateway.routing.routes import Routes
from sms_gateway.settings import SettingsError, load
from sms_gateway.sms.encoding import Encoding
from sms_gateway.store import Store, history

BELGIAN, FRENCH, PROXIMUS = "+32494000000", "+33612345678", "+32475123456"
DAY = NOW // 86_400_000 * 86_400_000

UPSTREAMS = """
[upstreams]
a = "sandbox:"
b = "sandbox:"
c = "sandbox:"
"""


def routes_of(text: str, folder: Path) -> Routes:
    """The routes of a file with three upstreams."""
    file = folder / "sendsmsnow.toml"
    file.write_text(UPSTREAMS + text)
    return Routes(load(file, {}, {}).all_routes())


def conditional(when: str, folder: Path) -> Routes:
    table = f'[[routes]]\nprefix = ""\nname = "it"\nupstreams = ["b"]\nwhen = {{ {when} }}\n'
    return routes_of(table, folder)


def case(
    number: str = BELGIAN,
    key: str = "acme",
    sender: str = "Shop",
    text: str = "Your code is 1234",
    parts: int = 1,
    at: int = NOW,
) -> Case:
    return Case(number, key, sender, text, parts, at)


@pytest.mark.parametrize(
    ("when", "met", "unmet", "words"),
    [
        ('keys = ["acme"]', case(), case(key="other"), "it is for other keys"),
        ('countries = ["BE"]', case(), case(FRENCH), "it is for other countries"),
        (
            'operators = ["proximus"]',
            case(PROXIMUS),
            case(FRENCH),
            "it is for other operators",
        ),
        ('sender = "^Shop$"', case(), case(sender="Shopping"), "it is for other senders"),
        ('text = "(?i)CODE"', case(), case(text="Hello"), "it is for other texts"),
        ('parts = "2-"', case(parts=3), case(), "it is for texts of other lengths"),
        ('parts = "1-2"', case(parts=2), case(parts=3), "it is for texts of other lengths"),
        ('parts = "1"', case(), case(parts=2), "it is for texts of other lengths"),
        (
            'hours = "08:00-20:00", timezone = "UTC"',
            case(at=DAY + 9 * 3_600_000),
            case(at=DAY + 20 * 3_600_000),
            "it is for other hours",
        ),
        # All have to hold, and the first that does not is told.
        (
            'keys = ["acme"], text = "code"',
            case(),
            case(text="Hello"),
            "it is for other texts",
        ),
    ],
)
def test_a_route_takes_what_its_conditions_say(
    tmp_path: Path, when: str, met: Case, unmet: Case, words: str
) -> None:
    routes = conditional(when, tmp_path)
    special = routes.special(met)
    assert special is not None
    assert special.prefix == " it"
    assert routes.of_prefix(special.prefix) is special
    assert routes.special(unmet) is None
    assert [why for _, why in routes.weigh(unmet)] == [words]


def test_routes_with_conditions_come_first_in_the_order_of_the_file(tmp_path: Path) -> None:
    routes = routes_of(
        """
        [[routes]]
        prefix = "32494"
        upstreams = ["a"]
        [[routes]]
        prefix = "33"
        name = "first"
        upstreams = ["b"]
        when = { keys = ["acme"] }
        [[routes]]
        prefix = ["32", "31"]
        name = "second"
        upstreams = ["c"]
        when = { keys = ["acme", "other"] }
        """,
        tmp_path,
    )
    weighed = [(route.prefix, why) for route, why in routes.weigh(case())]
    assert weighed == [("33 first", "it is for other numbers"), ("32 second", "")]
    assert routes.special(case(key="nobody")) is None
    found = routes.find(BELGIAN)
    assert found is not None
    assert found.upstreams == ("a",)
    assert [share.lane.upstreams for share in routes.shares("c")] == [("c",)]
    assert routes.place("32 second", BELGIAN) == ("32 second", routes.lane("31 second"))
    # Of a route that is gone from the settings.
    assert routes.place("32 third", BELGIAN) == ("32494", routes.lane("32494"))


def test_the_cheapest_upstream_comes_first(tmp_path: Path) -> None:
    table = '[[routes]]\nprefix = "32"\nupstreams = ["a", "b", "c"]\nprices = [0.05, 0.03, 0.03]\n'
    found = routes_of(table, tmp_path).find(BELGIAN)
    assert found is not None
    assert (found.upstreams, found.prices) == (("b", "c", "a"), (0.03, 0.03, 0.05))


ROUTE = '[[routes]]\nprefix = "32"\nupstreams = ["a"]\n'


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('when = { keys = ["x"] }', "a route with when has a name"),
        ('name = "x"', "a route with when has a name, and no other has"),
        ('name = "x"\nwhen = {}', "when has no condition"),
        ('name = "X"\nwhen = { keys = ["x"] }', "lower-case letters, digits, - and _"),
        ('name = "x"\nwhen = { text = "(" }', "missing )"),
        # What only engines that backtrack have.
        ('name = "x"\nwhen = { text = "(a)\\\\1" }', "invalid escape sequence"),
        ('name = "x"\nwhen = { text = "(?=a)" }', "invalid perl operator"),
        ('name = "x"\nwhen = { text = "((a{100}){100}){100}" }', "invalid repetition size"),
        ('name = "x"\nwhen = { parts = "3-2" }', "parts is written 1, 2- or 1-3"),
        ('name = "x"\nwhen = { hours = "all" }', "hours are written 21:00-08:00"),
        ("prices = [1, 2]", "prices has to have one number for each upstream"),
        ("prices = [1]\nweights = [1]", "a route has one of the two"),
        (
            'rewrite = [{ of = "text", pattern = "a", replacement = "\\\\1" }]',
            "has a group that the pattern has not",
        ),
        ('rewrite = [{ of = "number", pattern = "a", replacement = "" }]', "sender or text"),
    ],
)
def test_what_is_wrong_with_a_route_is_told_at_the_start(
    tmp_path: Path, more: str, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        routes_of(ROUTE + more + "\n", tmp_path)
    assert words in str(caught.value)


def test_a_name_stands_in_one_table_only(tmp_path: Path) -> None:
    table = ROUTE + 'name = "x"\nwhen = { keys = ["x"] }\n'
    with pytest.raises(SettingsError, match="the name 'x' stands in two routes"):
        routes_of(table * 2, tmp_path)


def test_a_pattern_takes_linear_time() -> None:
    # By backtracking this would take 2 to the 50,000th steps.
    assert not Pattern("^(a+)+$").found_in("a" * 50_000 + "b")


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        ("(é+)", r"<\1>", "caféé", "caf<éé>"),
        ("EUR", "₽", "5 EUR, 6 EUR", "5 ₽, 6 ₽"),
        ("b(x)?", r"[\0\1]", "😀ab", "😀a[b]"),
        ("a", r"\\", "bab", "b\\b"),
        ("^", "> ", "hi", "> hi"),
        ("z", "y", "nothing", "nothing"),
    ],
)
def test_what_a_pattern_finds_is_replaced(
    pattern: str, replacement: str, text: str, expected: str
) -> None:
    found = Pattern(pattern)
    assert found.replaced(Replacement(replacement, found), text) == expected


def test_the_operator_is_that_which_got_the_range() -> None:
    assert operator_of(PROXIMUS) == "Proximus"
    assert may_be_ported(PROXIMUS)
    assert operator_of("+3225112233") == ""


REWRITING = """
[[routes]]
prefix = "32"
upstreams = ["a"]
senders = "number"
sender = "8000"
rewrite = [
    { of = "sender", pattern = "^Shop.*$", replacement = "8888" },
    { of = "text", pattern = "\\\\b([0-9]{2})([0-9]{2})\\\\b", replacement = '\\1 \\2' },
    { of = "text", pattern = "^zap$", replacement = "" },
    { of = "text", pattern = "EUR", replacement = "₽" },
]
[[routes]]
prefix = "33"
name = "long"
closed = true
when = { parts = "2-" }
"""


@asynccontextmanager
async def accepting(store: Store, routes: Routes) -> AsyncIterator[Gateway]:
    gateway = Gateway(store, routes, clock=lambda: NOW)
    await gateway.start()
    yield gateway
    await gateway.aclose()


async def test_a_text_is_counted_as_it_leaves_and_leaves_as_it_was_counted(
    store: Store, tmp_path: Path
) -> None:
    routes = routes_of(REWRITING, tmp_path)
    key, _ = support.create(store, rate=None, sender="Own", senders=frozenset({ANY_SENDER}))
    text = "a" * 155 + " 1234"
    async with accepting(store, routes) as gateway:
        longer = await gateway.sendsms(Submission(BELGIAN, text, key))
        rouble = await gateway.sendsms(Submission(BELGIAN, "a" * 80 + "EUR", key))
        nothing = await gateway.sendsms(Submission(BELGIAN, "zap", key))
        named = await gateway.sendsms(Submission(BELGIAN, "Hello", key, sender="Shop 1"))
        other = await gateway.sendsms(Submission(BELGIAN, "Hello", key, sender="ACME"))
        closed = await gateway.sendsms(Submission(FRENCH, "a" * 161, key))
        opened = await gateway.sendsms(Submission(FRENCH, "a" * 160, key))
    assert longer.error is rouble.error is named.error is opened.error is Code.SENT
    assert (nothing.error, nothing.note) == (Code.NOT_SENT, "the text is empty")
    assert (other.error, other.note) == (
        Code.NOT_SENT,
        "This sender cannot be shown at this number",
    )
    assert closed.error is Code.UNREACHABLE
    with store.read() as connection:
        found = {reply.id: history.of_message(connection, reply.id) for reply in (longer, rouble)}
    for reply in (longer, rouble):
        stored = found[reply.id]
        assert stored is not None
        assert (stored.deliveries[0].parts, stored.parts) == (2, 1)
    # What the worker hands over is the text that was counted.
    ledger = Ledger(routes, worker=1, lease=1)
    gone = ledger._by_its_route(a_delivery("a" * 80 + "EUR", route="32", sender="Shop 1", parts=2))
    assert (gone.text, gone.encoding, gone.sender) == ("a" * 80 + "₽", Encoding.UCS2, "8888")
    untouched = a_delivery("Hello", route="")
    assert ledger._by_its_route(untouched) is untouched
