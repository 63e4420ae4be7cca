"""How often the sources of films are looked at."""

import pytest
from cxrbox import sources


class Clock:
    """Time goes on while a source is looked at, and while somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


class Source:
    def __init__(self, clock: Clock, takes: float, films: int = 0):
        self.clock, self.takes, self.films = clock, takes, films

    def look(self) -> int:
        self.clock.now += self.takes
        return self.films


@pytest.mark.parametrize(
    ("takes", "films", "pause"),
    [
        pytest.param(0.0001, 0, 0.1, id="an empty folder is looked at soon again"),
        pytest.param(0.002, 0, 0.198, id="one with some hundred films a little later"),
        pytest.param(0.004, 0, 0.3, id="one with a thousand as the settings say"),
        pytest.param(0.1, 0, 0.9, id="one with tens of thousands leaves the processor to others"),
        pytest.param(9.0, 1000, 0.1, id="what took films is followed soon, however long that took"),
    ],
)
def test_a_folder_is_looked_at_as_often_as_it_costs_little(monkeypatch, takes, films, pause):
    clock = Clock()
    monkeypatch.setattr(sources, "time", clock)
    sources._look([Source(clock, takes, films)], 0.3)
    assert clock.slept == [pause]


def test_the_settings_may_ask_for_more(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(sources, "time", clock)
    sources._look([Source(clock, 0.0001)], 0.05)
    assert clock.slept == [0.05]
