"""What every `Paths` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.ports.paths import InvalidPath, Paths
from fn_notifications.testing.properties import over_subjects

_names = st.sampled_from(("a", "b", "user_id", "Post", "_x1"))
_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


class PathsContract:
    """Rules for the common language: names joined by dots, and @."""

    def test_a_path_leads_to_what_stands_there(self, subject: Paths) -> None:
        """Names are followed one after the other, into objects within objects."""
        body = {"post": {"user": {"id": "u-1"}, "title": "Keys"}}
        assert subject.compile("post.user.id")(body) == "u-1"
        assert subject.compile("post.title")(body) == "Keys"
        assert subject.compile("post.user")(body) == {"id": "u-1"}

    def test_the_whole_is_at(self, subject: Paths) -> None:
        """@ is the document itself."""
        assert subject.compile("@")({"a": 1}) == {"a": 1}

    def test_what_is_not_there_is_none(self, subject: Paths) -> None:
        """Missing, null and beneath something that is no object are the same."""
        path = subject.compile("a.b")
        bodies: list[Any] = [{}, {"a": None}, {"a": {"b": None}}, {"a": "b"}, {"a": ["b"]}, {"a": 5}, [], "a.b", 3]
        for body in bodies:
            assert path(body) is None

    def test_false_and_zero_are_there(self, subject: Paths) -> None:
        """Only null is absent."""
        assert subject.compile("a.b")({"a": {"b": False}}) is False
        assert subject.compile("a.b")({"a": {"b": 0}}) == 0
        assert subject.compile("a")({"a": ""}) == ""

    @over_subjects
    @given(body=_documents, names=st.lists(_names, min_size=1, max_size=4))
    def test_any_document_any_path(self, subject: Paths, body: Any, names: list[str]) -> None:
        """No document makes a path raise, and each answer is what following the names by hand gives."""
        assert _same(subject.compile(".".join(names))(body), _by_hand(body, names))

    @over_subjects
    @given(body=_documents)
    def test_a_document_is_left_as_it_was(self, subject: Paths, body: Any) -> None:
        """Looking changes nothing."""
        before = repr(body)
        subject.compile("a.b")(body)
        assert repr(body) == before

    def test_what_is_no_path_is_refused_by_name(self, subject: Paths) -> None:
        """A mistake is found when the path is made, and the message shows the expression."""
        for expression in ("", ".", "a.", ".a", "a..b", "a b", "a.b)", "1a", "a.\n", "a-b", "a = b"):
            with pytest.raises(InvalidPath) as refused:
                subject.compile(expression)
            assert repr(expression) in str(refused.value)


def _by_hand(node: Any, names: list[str]) -> Any:
    for name in names:
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _same(one: Any, other: Any) -> bool:
    """Equal, where a NaN equals itself."""
    return one is other or bool(one == other) or repr(one) == repr(other)
