"""Texts whose lines were broken to fit (RFC 3676): put together again."""


def joined(text: str, *, delete_space: bool) -> str:
    """A text of `format=flowed` as it was written: a line that ends in a space goes on.

    `delete_space` is its `delsp`: the space was added and belongs to no text. Quoted lines keep
    their `>`.
    """
    lines: list[list[str]] = []  # each in pieces: a line may be the whole text
    open_at = -1  # the depth of quotes of the line that goes on; -1 for none
    for line in text.split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")  # stuffed, so that it begins with no mark (§4.4)
        signature = content == "-- "
        goes_on = content.endswith(" ") and not signature
        if goes_on and delete_space:
            content = content[:-1]
        if depth == open_at and not signature:
            lines[-1].append(content)
        else:
            lines.append([">" * depth + " " * bool(depth) + content])
        open_at = depth if goes_on else -1
    return "\n".join(map("".join, lines))
