"""A clock that stands until a test moves it."""


class Clock:
    """Milliseconds since 1970, at noon of some day."""

    def __init__(self) -> None:
        self.now = 1_800_014_400_000

    def __call__(self) -> int:
        return self.now

    def pass_(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        self.now += int((hours * 3_600 + minutes * 60 + seconds) * 1_000)
