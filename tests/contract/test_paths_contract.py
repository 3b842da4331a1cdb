"""Both languages for places keep to the contract, and the contract notices those that do not."""

import json

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.memory.paths import DottedPaths
from fn_notifications.application.ports.paths import InvalidPath
from fn_notifications.testing.contracts.paths import PathsContract
from fn_notifications.testing.planted import broken_rules

SCALARS = st.sampled_from([None, False, True, 0, 1, 0.0, -1.5, "", "x"])
NODES = st.recursive(
    SCALARS, lambda node: st.lists(node, max_size=2) | st.dictionaries(st.sampled_from("ab"), node), max_leaves=4
)
DOCUMENTS = st.dictionaries(st.sampled_from("ab"), NODES)


class TestDottedPaths(PathsContract):
    @pytest.fixture
    def subject(self):
        return DottedPaths()

    @pytest.mark.parametrize("expression", ["a[0]", "a || b", "length(a)", "*", '"a b"', "@.a"])
    def test_anything_else_says_what_is_needed(self, expression):
        with pytest.raises(InvalidPath, match=r"fn-notifications\[jmespath\]"):
            DottedPaths().compile(expression)


class TestJmesPaths(PathsContract):
    @pytest.fixture
    def subject(self):
        return JmesPaths()

    @pytest.mark.parametrize(
        ("expression", "body", "value"),
        [
            ("a || b", {"b": 2}, 2),
            ("photos[0].url", {"photos": [{"url": "x"}]}, "x"),
            ("length(photos)", {"photos": [1, 2]}, 2),
            ("to_string(@)", {"a": 1}, '{"a":1}'),
            ("sort_by(a, &b)[0].b", {"a": [{"b": 2}, {"b": 1}]}, 1),
        ],
    )
    def test_the_whole_language_is_there(self, expression, body, value):
        assert JmesPaths().compile(expression)(body) == value

    @pytest.mark.parametrize(
        "expression",
        [
            "a",
            "a.b",
            "a || b",
            "a.b || b.a || a",
            "(a || b) || a.b",
            "length(a)",
            "length(a.b || b)",
            "sum(a)",
            "type(a)",
        ],
    )
    @given(body=DOCUMENTS)
    def test_what_is_found_without_the_library_is_what_it_finds(self, expression, body):
        try:
            found = jmespath.search(expression, body)
        except JMESPathError:
            found = None
        assert json.dumps(JmesPaths().compile(expression)(body)) == json.dumps(found)

    @pytest.mark.parametrize(
        ("expression", "body"),
        [
            ("join(', ', a)", {"a": [1, 2]}),
            ("length(a)", {"a": 5}),
            ("length(a)", {}),
            ("ceil(a)", {"a": float("inf")}),
            ("sum(a)", {"a": ["x"]}),
            ("sort_by(a, &b)", {"a": [{"b": 1}, {"b": "x"}]}),
            ("keys(a)", None),
        ],
    )
    def test_what_goes_wrong_with_odd_data_is_absence(self, expression, body):
        assert JmesPaths().compile(expression)(body) is None

    @pytest.mark.parametrize(
        ("expression", "hint"),
        [
            ("lenght(a)", "no function 'lenght'"),
            ("a[?starts_wiht(b, 'x')]", "no function 'starts_wiht'"),
            ("{x: to_strin(a)}", "no function 'to_strin'"),
            ("length(a, b)", "length takes 1 arguments, not 2"),
            ("not_null()", "not_null takes 1 arguments, not 0"),
            ("a ||", "Incomplete expression"),
        ],
    )
    def test_a_mistake_is_found_before_any_event(self, expression, hint):
        with pytest.raises(InvalidPath) as refused:
            JmesPaths().compile(expression)
        assert hint in str(refused.value)
        assert "\n" not in str(refused.value)


class _Raises(DottedPaths):
    """Stumbles over what is no object."""

    def compile(self, expression):
        names = super().compile(expression) and expression.split(".")

        def path(body):
            for name in [] if expression == "@" else names:
                body = body[name]
            return body

        return path


class _Truthy(DottedPaths):
    """Takes false and zero for absent."""

    def compile(self, expression):
        path = super().compile(expression)
        return lambda body: path(body) or None


class _Lenient(DottedPaths):
    """Finds out about mistakes never."""

    def compile(self, expression):
        try:
            return super().compile(expression)
        except InvalidPath:
            return lambda _: None


class _Greedy(DottedPaths):
    """Takes what it finds."""

    def compile(self, expression):
        path = super().compile(expression)

        def take(body):
            value = path(body)
            if isinstance(body, dict):
                body.pop(expression.partition(".")[0], None)
            return value

        return take


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (_Raises(), "test_any_document_any_path"),
        (_Truthy(), "test_false_and_zero_are_there"),
        (_Lenient(), "test_what_is_no_path_is_refused_by_name"),
        (_Greedy(), "test_a_document_is_left_as_it_was"),
    ],
)
def test_the_contract_rejects(broken, rule):
    assert rule in broken_rules(PathsContract, broken)


def test_the_contract_accepts_what_is_whole():
    assert not broken_rules(PathsContract, DottedPaths())
