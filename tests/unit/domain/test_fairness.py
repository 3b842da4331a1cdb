"""Who goes first: ranks, and what they add up to when many come."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.fairness import next_turn


class Lane:
    """A lane in which rows wait, and are taken by rank, then in the order they came."""

    def __init__(self):
        self.last, self.furthest, self.serial = {}, 0, 0
        self.waiting = []

    def add(self, type_: str, person: str) -> int:
        floor = min((rank for rank, *_ in self.waiting), default=self.furthest)
        mine = [rank for rank, _, _, who in self.waiting if who == person]
        turn = next_turn(floor, self.last.get(type_, -1), max(mine, default=None))
        self.last[type_], self.furthest = turn.last, max(self.furthest, turn.rank)
        self.serial += 1
        self.waiting.append((turn.rank, self.serial, type_, person))
        return turn.rank

    def take(self) -> tuple[str, str]:
        first = min(self.waiting)
        self.waiting.remove(first)
        return first[2], first[3]


def test_types_and_people_take_turns():
    lane = Lane()
    for person in ("ada", "ada", "ada", "bea"):
        lane.add("news", person)
    for person in ("cleo", "dora"):
        lane.add("offers", person)
    assert [lane.take()[1] for _ in range(6)] == ["ada", "cleo", "bea", "dora", "ada", "ada"]


def test_a_person_with_much_waiting_stands_behind_it_and_their_type_does_not():
    lane = Lane()
    ranks = [lane.add("news", "ada") for _ in range(100)]
    assert ranks == list(range(0, 200, 2))
    assert lane.add("news", "bea") == 1
    assert lane.add("offers", "ada") == 200


def test_a_type_that_was_silent_begins_where_the_lane_is():
    lane = Lane()
    for number in range(50):
        lane.add("news", f"person {number}")
    for _ in range(30):
        lane.take()
    assert lane.add("offers", "bea") == 30


def test_an_old_message_that_waits_far_back_gives_no_advantage():
    """Its person has the type's next turn, and takes it from nobody."""
    assert next_turn(100, 120, 3) == next_turn(100, 120, None)


STEPS = st.lists(
    st.tuples(st.just("add"), st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["a", "b", "c", "d"]))
    | st.just(("take", "", "")),
    max_size=120,
)


@given(before=STEPS, backlog=st.integers(1, 200))
def test_a_backlog_delays_anothers_first_message_by_a_handful(before, backlog):
    """Whatever came before: at most one of each that is waiting, and one more of who has the backlog, go first."""
    lane = Lane()
    for what, type_, person in before:
        if what == "add":
            lane.add(type_, person)
        elif lane.waiting:
            lane.take()
    for _ in range(backlog):
        lane.add("t1", "flooder")
    before_it = Counter(person for _, _, _, person in lane.waiting)
    del before_it["flooder"]
    lane.add("t4", "newcomer")
    ahead = Counter()
    while (taken := lane.take())[1] != "newcomer":
        ahead[taken[1]] += 1
    assert ahead["flooder"] <= 1 + before_it.total() // 2 + 1


@given(STEPS)
def test_nobody_waits_for_ever(steps):
    """A rank once given is overtaken by fewer than there are people and types, however many more come."""
    lane = Lane()
    for what, type_, person in steps:
        if what == "add":
            lane.add(type_, person)
        elif lane.waiting:
            lane.take()
    lane.add("t1", "patient")
    ahead = len(lane.waiting) - 1
    for number in range(10 * ahead + 100):
        lane.add("t2", f"more {number}")
        if lane.take()[1] == "patient":
            return
    raise AssertionError("overtaken for ever")
