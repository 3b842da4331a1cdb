"""Where an index is read from, by a clock that is set."""

from contextlib import suppress

from attrs import define, field

from fn_notifications.adapters.postgres.reach import Reach

FAR = 1000


@define
class Hands:
    """A clock, and a look with it."""

    time: float = 0.0
    reach: Reach[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.reach = Reach(cheap=0, clock=lambda: self.time)

    def look(self, *, took: float = 0.0, **reached: int) -> dict[str, int]:
        with self.reach.look() as marks:
            seen = dict(marks)
            self.time += took
        for part, mark in reached.items():
            self.reach.reached(part, mark)
        return seen

    def filled(self) -> None:
        """Everything was looked at a moment ago, which took a second; marks are old enough to be read from."""
        for mark in (1, 2, 2):
            self.look(a=mark, b=mark)
            self.time += 10
        self.look(took=1, a=FAR)


def test_the_first_look_is_at_everything() -> None:
    assert Hands().look() == {}


def test_a_look_starts_where_a_moment_ago_one_ended() -> None:
    hands = Hands()
    hands.filled()
    assert hands.look(a=FAR + 1) == {"a": 2, "b": 2}


def test_what_was_reached_just_now_is_not_read_from_yet() -> None:
    hands = Hands()
    hands.look(a=1)
    hands.time += 10
    hands.look(a=2, took=1)
    for number in range(3, 20):
        assert hands.look(a=number).get("a", 0) <= 2
        hands.time += 0.1


def test_everything_is_looked_at_again_after_thirty_times_what_it_took() -> None:
    hands = Hands()
    hands.filled()
    hands.time += 29
    assert hands.look(a=FAR) != {}
    hands.time += 2
    assert hands.look(a=FAR) == {}


def test_what_is_cheap_is_always_looked_at_whole() -> None:
    hands = Hands()
    hands.reach.cheap = 1.0
    hands.filled()
    assert hands.look(a=FAR) == {}


def test_more_than_one_look_could_take_is_gone_on_with() -> None:
    """Whoever stands far back is not left waiting because others there were first; then it is as before."""
    hands = Hands()
    hands.filled()
    hands.time += 31
    assert hands.look(a=1, took=0.1) == {}
    assert hands.look(a=1)["a"] == 1
    assert hands.look(a=FAR)["a"] == 1
    assert hands.look(a=FAR)["a"] >= 2


def test_looks_that_go_on_further_back_count_as_looks_at_everything() -> None:
    hands = Hands()
    hands.filled()
    hands.time += 31
    assert hands.look(a=1, took=0.1) == {}
    hands.look(a=FAR, took=1)
    hands.time += 29
    assert hands.look(a=FAR) != {}


def test_while_everything_is_too_dear_it_is_known_from_where_parts_are_read() -> None:
    hands = Hands()
    assert hands.reach.resting == {}
    hands.filled()
    assert hands.reach.resting == {"a": 2, "b": 2}
    hands.time += 31
    assert hands.reach.resting == {}


def test_of_two_at_once_one_looks_at_everything() -> None:
    hands = Hands()
    hands.filled()
    hands.time += 31
    with hands.reach.look() as one, hands.reach.look() as other:
        assert (dict(one), dict(other)) == ({}, {"a": 2, "b": 2})


def test_a_look_that_fails_is_rested_from_too() -> None:
    """Or one that takes longer than a statement may would be made again and again."""
    hands = Hands()
    hands.filled()
    hands.time += 31
    with suppress(TimeoutError), hands.reach.look():
        hands.time += 15
        raise TimeoutError
    assert hands.look() != {}
