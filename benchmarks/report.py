"""A run in words: tables in Markdown, made of the results alone."""

from collections.abc import Iterable, Iterator
from typing import Any

from .goals import GOALS, Results
from .measures import Range

_COLUMNS = ("CPU µs", "user", "system", "requests/s", "p50 ms", "p99 ms")


#: Around what docs/performance.md shows of a run.
BEGIN, END = "<!-- benchmarks -->\n", "<!-- /benchmarks -->\n"


def section(results: Results) -> str:
    """The report with the marks around it."""
    return f"{BEGIN}\n{markdown(results)}\n{END}"


def markdown(results: Results) -> str:
    """The whole report."""
    return "\n".join([*_about(results), *_goals(results), *_contenders(results), *_rest(results)])


def _about(results: Results) -> Iterator[str]:
    about = results["about"]
    yield (
        f"{about['date']}, {about['cores']} cores ({about['processor']}), {about['system']}, "
        f"Python {about['python']}; {about['rounds']} rounds of {about['seconds']} s, "
        f"{about['connections']} connections; client {about['client']}. "
        f"Load of the machine before the run {about['load_before']}, after it "
        f"{about['load_after']}."
    )
    yield ""
    for name, why in results["skipped"].items():
        yield f"Not measured: {name} ({why})."
        yield ""


def _goals(results: Results) -> Iterator[str]:
    rows = []
    for goal in GOALS:
        measured = goal.measured(results)
        if measured is None:
            rows.append((goal.words, goal.asked, "not measured", ""))
        else:
            verdict = "yes" if goal.met(measured) else "**no**"
            rows.append((goal.words, goal.asked, f"{measured}{goal.unit}", verdict))
    yield from _table(("Goal", "Asked", "Measured", "Met"), rows)


def _contenders(results: Results) -> Iterator[str]:
    rows = []
    for name, contender in results["contenders"].items():
        turns = contender["turns"]
        cells = [
            str(Range.of([one[column] for one in turns]))
            for column in ("cpu", "user", "system", "per_second", "p50", "p99")
        ]
        requests = sum(one["requests"] for one in turns)
        rows.append((name, contender["does"], *cells, figure_of(requests), errors(turns)))
    yield from _table(("", "It does", *_COLUMNS, "answers", "wrong, lost"), rows)
    yield "Versions: " + "; ".join(sorted({c["version"] for c in results["contenders"].values()}))
    yield ""


def figure_of(count: int) -> str:
    return f"{count:,}"


def errors(turns: Iterable[dict[str, Any]]) -> str:
    """Wrong answers, and acknowledged messages that are not stored."""
    turns = list(turns)
    return f"{sum(one['wrong'] for one in turns)}, {sum(one['missing'] for one in turns)}"


def _rest(results: Results) -> Iterator[str]:
    rows = [
        (name, f"{Range.of(measure['values'])} {measure['unit']}", measure["note"])
        for name, measure in results["measures"].items()
    ]
    yield from _table(("Also measured", "Median (range)", ""), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    rows = list(rows)
    if not rows:
        return
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def failures(results: Results) -> list[str]:
    """What makes a run worthless: wrong answers and lost messages."""
    found = [
        f"{name}: {errors(contender['turns'])} wrong, lost"
        for name, contender in results["contenders"].items()
        if any(one["wrong"] or one["missing"] for one in contender["turns"])
    ]
    return found + [
        f"{name}: {measure['wrong']} wrong"
        for name, measure in results["measures"].items()
        if measure["wrong"]
    ]
