"""What templates may do, and what they are kept from."""

from zoneinfo import ZoneInfo

import pytest

from fn_notifications.adapters.templates.filters import Words, lines, moment, short, spoken
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.converters import text
from fn_notifications.application.ports.sending import ContentError
from fn_notifications.domain.catalogue import NotificationType

WORDS = 'months = [{}]\ndatetime = "{{day}} {{month}} {{year}}, {{hour}}:{{minute}} {{zone}}"'
NOTE = {
    "subject.txt": "{{ title }}",
    "body.txt": "{{ title }}",
    "body.html": "<p>{{ title }}</p>",
    "sms.txt": "{{ title }}",
    "whatsapp.txt": "{% set slot_1 = title | short(20) %}{% set slot_2 = at | datetime %}{{ slot_1 }}, {{ slot_2 }}",
}
ZONES = {name: ZoneInfo(name) for name in ("Europe/Berlin", "America/Bogota", "Asia/Kathmandu")}
AT = "2026-07-01T12:00:00Z"


@pytest.fixture
def write(tmp_path):
    """Writes template files, and makes a renderer of them."""

    def write(files, **catalogue):
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        types = {
            "note": NotificationType(name="note", required=("title",), optional=("at", "body")),
            "given": NotificationType(name="given", required=("title", "body")),
        }
        variables = {name: dict.fromkeys((*one.required, *one.optional), text(500)) for name, one in types.items()}
        whole = Catalogue(version="1", types=types, events={}, variables=variables, **catalogue)
        return JinjaRenderer(whole, [tmp_path], ZONES.get)

    return write


def language(tag, files=NOTE, month="July"):
    months = ",".join(f'"{month}"' for _ in range(12))
    return {f"{tag}/note/{name}": content for name, content in files.items()} | {
        f"{tag}/words.toml": WORDS.format(months)
    }


def render(renderer, channel="sms", language="en", timezone=None, kind="note", **variables):
    variables = {"title": "Keys", "at": AT} | variables
    return renderer.render(kind, channel, variables, language=language, timezone=timezone, version="1")


class TestSandbox:
    @pytest.mark.parametrize(
        "escape",
        [
            "{{ title.__class__ }}",
            "{{ title['__class__'] }}",
            "{{ title | attr('__class__') }}",
            "{{ ''.__class__.__mro__[1].__subclasses__() }}",
            "{{ title.__init__.__globals__ }}",
            "{{ '{0.__class__}'.format(title) }}",
            "{{ '{0.__class__}' | format(title) | attr('__class__') }}",
            "{% set f = '{0.__class__.__name__}'.format %}{{ f(title) }}",
            "{{ ''.format_map({'a': title}).__class__ }}",
            "{{ [title] | map(attribute='__class__') | join }}",
            "{{ [title].append(1) }}",
            "{{ {}.update(a=1) }}",
            "{{ self.__init__ }}",
            "{{ self._TemplateReference__context }}",
            "{{ cycler.__init__ }}",
            "{{ lipsum() }}",
            "{{ range(10) }}",
            "{{ namespace() }}",
            "{{ [1, 2] | random }}",
            "{% import 'os' as os %}{{ os }}",
            "{% include '/etc/hostname' %}",
            "{% include '../../../../etc/hostname' %}",
            "{% extends title %}",
            "{{ undeclared }}",
            "{{ title() }}",
            "{{ title.no_such }}",
            "{{ 1 / 0 }}",
            "{{ title + 1 }}",
            "{{ '%d' | format(title) }}",
            "{{ 'x' * 10**10 }}",
            "{{ 'x' * 100001 }}",
            "{{ 100001 * 'x' }}",
            "{{ [title] * 100001 }}",
            "{{ 2 ** 2 }}",
            "{% for a in [1] * 10 ** 12 %}{% endfor %}",
            "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
            "{{ '' | attr('_' ~ '_class_' ~ '_') }}",
            "{{ title['__cla' ~ 'ss__'] }}",
            "{{ ().__class__.__base__.__subclasses__() }}",
            "{{ [title] | sum(attribute='__class__') }}",
            "{{ [title] | selectattr('__class__') | list }}",
            "{{ '%s' | format(title.__class__) }}",
            "{{ title.format.__self__.__class__ }}",
            "{{ (title | upper).__class__ }}",
            "{{ dict.__base__ }}",
            "{{ joiner.__init__.__globals__ }}",
            "{{ config.items() }}",
            "{{ request.application.__globals__ }}",
            "{{ get_flashed_messages.__globals__ }}",
            "{{ loop }}",
            "{{ caller() }}",
            "{{ _words.__class__ }}",
            "{% macro m() %}{% endmacro %}{{ m.__globals__ }}",
            "{% macro m() %}{{ caller.__globals__ }}{% endmacro %}{% call m() %}{% endcall %}",
            "{% for key in {}.__class__.__mro__ %}{{ key }}{% endfor %}",
            "{% set x = [].__class__ %}{{ x }}",
            "{% with x = title.__doc__ %}{{ x }}{% endwith %}",
            "{% filter attr('__class__') %}x{% endfilter %}",
            "{{ [].extend([1]) }}",
            "{{ {'a': 1}.pop('a') }}",
            "{{ ('a' * 99999) * 99999 }}",
            "{{ title | center(10 ** 9) }}",
            "{% import title as t %}{{ t }}",
            "{% from 'base.txt' import os %}{{ os }}",
        ],
    )
    def test_fault_50_there_is_no_way_out_of_a_template_and_the_error_quotes_nothing(self, write, escape):
        """Refused with the template's name."""
        renderer = write(language("en", {**NOTE, "sms.txt": escape}))
        with pytest.raises(ContentError) as refused:
            render(renderer, title="secret-canary")
        assert "en/note/sms.txt" in str(refused.value)
        assert "secret" not in str(refused.value)
        assert refused.value.__cause__ is None
        assert refused.value.__context__ is None

    @pytest.mark.parametrize(
        "vast",
        [
            "{{ title | center(1000000000) }}",
            "{{ title | center(width=1000000000) }}",
            "{{ title.ljust(1000000000) }}",
            "{{ title | indent(1000000000, true) }}",
            "{{ {} | tojson(1000000000) }}",
            "{{ '%1000000000d' % 1 }}",
            "{{ '%1000000000d' | format(1) }}",
            "{{ '{:1000000000}'.format(1) }}",
            "{{ [title] | map('center', 1000000000) | list }}",
            "{{ [title] | batch(1000000000, 'x') | list }}",
            "{{ title | slice(1000000000) | list }}",
        ],
    )
    def test_nothing_makes_more_than_a_message_can_be(self, write, vast):
        """Refused before it is made."""
        renderer = write(language("en", {**NOTE, "sms.txt": vast}))
        with pytest.raises(ContentError, match=r"SecurityError|TemplateAssertionError"):
            render(renderer, title="a")

    @pytest.mark.parametrize(
        "fit",
        [
            "{{ 123456789 | default(987654321) }}",
            "{% macro m(n) %}{{ n }}{% endmacro %}{{ m(123456789) }}",
            "{{ 123456789 | string | center(20) }}",
            "{{ 123456789 % 1000 }}",
        ],
    )
    def test_a_large_number_is_a_value_like_any_other(self, write, fit):
        """Only lengths are bounded."""
        render(write(language("en", {**NOTE, "sms.txt": fit})), title="a")

    @pytest.mark.parametrize(
        ("escape", "printed"),
        [
            ("{{ [title] | map('attr', '__class__') | list }}", "[Undefined]"),
            ("{{ [title] | groupby('__class__') }}", "[(Undefined, ['Keys'])]"),
            ("{{ [title] | sort(attribute='__class__') }}", "['Keys']"),
            ("{{ [title] | max(attribute='__class__') }}", "Keys"),
        ],
    )
    def test_fault_50_where_a_way_out_is_no_error_it_leads_nowhere(self, write, escape, printed):
        assert render(write(language("en", {**NOTE, "sms.txt": escape}))).text == printed

    def test_a_template_that_never_ends_is_an_error_too(self, write):
        renderer = write(language("en", {**NOTE, "sms.txt": "{% include 'en/note/sms.txt' %}"}))
        with pytest.raises(ContentError, match="RecursionError"):
            render(renderer)

    def test_honest_arithmetic_stays(self, write):
        renderer = write(language("en", {**NOTE, "sms.txt": "{{ title * 2 }}{{ 2 * '-' }}{{ 3 * 1.5 }}{{ [1] * 2 }}"}))
        assert render(renderer).text == "KeysKeys--4.5[1, 1]"

    def test_an_absent_variable_prints_nothing(self, write):
        assert render(write(language("en", {**NOTE, "sms.txt": "[{{ at }}]"})), at=None).text == "[]"

    def test_html_escapes_and_text_does_not(self, write):
        content = render(write(language("en")), "email", title='<a href="x">\'&')
        assert content.html == "<p>&lt;a href=&#34;x&#34;&gt;&#39;&amp;</p>"
        assert content.text == '<a href="x">\'&'

    def test_what_a_type_does_not_declare_no_template_sees(self, write):
        renderer = write(language("en", {**NOTE, "sms.txt": "{{ other }}"}))
        with pytest.raises(ContentError, match="undefined: 'other'"):
            render(renderer, other="x")


class TestLanguages:
    def test_the_next_more_general_one(self, write):
        spanish = {**NOTE, "sms.txt": "Hola {{ title }}"}
        renderer = write(language("en") | language("es", spanish))
        assert render(renderer, language="es-CO").text == "Hola Keys"
        assert render(renderer, language="es").text == "Hola Keys"
        for other in ("fr", "fr-CA", None, "", "-", "../en", "es_CO"):
            assert render(renderer, language=other).text == "Keys"

    def test_the_more_special_one_where_there_are_both(self, write):
        files = [language(tag, {**NOTE, "sms.txt": tag}) for tag in ("en", "es", "es-CO")]
        renderer = write(files[0] | files[1] | files[2])
        assert [render(renderer, language=tag).text for tag in ("es-CO", "es-MX", "es-CO-x")] == [
            "es-CO",
            "es",
            "es-CO",
        ]

    def test_times_are_in_the_words_of_the_language_used(self, write):
        files = {**NOTE, "sms.txt": "{{ at | datetime }}"}
        renderer = write(language("en", files) | {"de/words.toml": language("de", month="Juli")["de/words.toml"]})
        assert render(renderer, language="de").text == "1 July 2026, 12:00 UTC"
        renderer = write(language("de", files, month="Juli"))
        assert render(renderer, language="de").text == "1 Juli 2026, 12:00 UTC"

    @pytest.mark.parametrize(
        "words", ["", "months = 5", "months = ['x']\ndatetime = 'x'", "datetime = 'x'", "months = ["]
    )
    def test_a_language_without_its_words_says_so(self, write, words):
        with pytest.raises(ContentError, match=r"en/words\.toml"):
            render(write(language("en") | {"en/words.toml": words}), "whatsapp")


class TestWhatsApp:
    SIDS = {"content_sids": {"en": {"note": "HX" + "0" * 32}}}  # noqa: RUF012 - read only

    def test_slots_are_the_provider_s_variables(self, write):
        content = render(write(language("en"), **self.SIDS), "whatsapp", title="Blue\numbrella")
        assert content.template_id == "HX" + "0" * 32
        assert content.template_variables == {"1": "Blue umbrella", "2": "1 July 2026, 12:00 UTC"}
        assert content.text == "Blue umbrella, 1 July 2026, 12:00 UTC"

    def test_without_a_template_of_the_provider_s_it_is_text(self, write):
        content = render(write(language("en")), "whatsapp")
        assert (content.template_id, content.template_variables) == (None, {})

    def test_an_empty_slot_is_refused_here(self, write):
        with pytest.raises(ContentError, match="a slot is empty"):
            render(write(language("en"), **self.SIDS), "whatsapp", title=" ")


class TestGivenWords:
    def test_a_body_of_the_caller_s_is_said_by_the_type_for_that(self, write):
        given = {f"en/given/{name}": "{{ title }}: {{ body }}" for name in NOTE}
        renderer = write(language("en") | given, given_words="given")
        assert render(renderer, body="Come").text == "Keys: Come"
        assert render(renderer).text == "Keys"

    def test_without_such_a_type_a_body_is_a_variable(self, write):
        assert render(write(language("en")), body="Come").text == "Keys"


class TestProblems:
    def test_whole_folders_have_none(self, write):
        given = {f"en/given/{name}": "{{ body }}" for name in NOTE}
        assert write(language("en") | given).problems() == []

    def test_everything_at_once(self, write):
        files = {**NOTE, "body.txt": "{{ colour }}", "body.html": "{% if %}", "sms.txt": "{% include 'gone.txt' %}"}
        del files["subject.txt"]
        found = write(language("en", files)).problems()
        assert [problem for problem in found if problem.startswith("en/note")] == [
            "en/note/subject.txt: no such file",
            "en/note/body.txt: undeclared: colour",
            "en/note/body.html, line 1: Expected an expression, got 'end of statement block'",
        ]
        assert "gone.txt: no such file" in found
        assert sum(problem.startswith("en/given") for problem in found) == 5

    def test_what_a_base_needs_the_type_must_declare(self, write):
        files = {**NOTE, "body.txt": "{% extends 'base.txt' %}"}
        given = {f"en/given/{name}": "{{ body }}" for name in NOTE}
        found = write(language("en", files) | given | {"base.txt": "{{ name }}"}).problems()
        assert found == ["en/note/body.txt: undeclared: name"]


class TestFolders:
    def test_an_earlier_folder_wins_file_by_file(self, write, tmp_path):
        shipped = write(language("en"))
        own = tmp_path / "own"
        (own / "en/note").mkdir(parents=True)
        (own / "en/note/sms.txt").write_text("Own {{ title }}")
        renderer = JinjaRenderer(shipped._catalogue, [own, tmp_path], ZONES.get)
        assert render(renderer).text == "Own Keys"
        assert render(renderer, "email").text == "Keys"

    def test_a_file_that_is_missing_is_named(self, write):
        with pytest.raises(ContentError, match=r"en/note/sms\.txt: no such file"):
            render(write({name: text for name, text in language("en").items() if "sms" not in name}))


class TestFilters:
    @pytest.mark.parametrize(
        ("zone", "written"),
        [
            ("Europe/Berlin", "1 July 2026, 14:00 UTC+2"),
            ("America/Bogota", "1 July 2026, 07:00 UTC-5"),
            ("Asia/Kathmandu", "1 July 2026, 17:45 UTC+5:45"),
            (None, "1 July 2026, 12:00 UTC"),
            ("Mars/Olympus", "1 July 2026, 12:00 UTC"),
        ],
    )
    def test_datetime_in_the_reader_s_zone(self, write, zone, written):
        renderer = write(language("en", {**NOTE, "sms.txt": "{{ at | datetime }}"}))
        assert render(renderer, timezone=zone).text == written

    @pytest.mark.parametrize(
        ("value", "written"), [("soon", "soon"), (None, ""), ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"), (5, "5")]
    )
    def test_datetime_leaves_what_is_no_time_or_reaches_beyond_time(self, value, written):
        words = Words(months=("x",) * 12, datetime="{day}", zone=ZONES["Asia/Kathmandu"])
        assert moment({"_words": words}, value) == written

    def test_short(self):
        assert short(None) == ""
        assert short("  a \n b\0 ") == "a b"
        assert short("x" * 61) == "x" * 59 + "…"

    def test_spoken_and_lines(self):
        assert spoken("time_limit_reached") == "time limit reached"
        assert spoken(None) == ""
        assert lines("a\r\nb\n") == ["a", "b"]
        assert lines(None) == []

    def test_a_text_message_uses_the_cheap_alphabet(self, write):
        assert render(write(language("en")), title="\u201cIt\u2019s here\u201d\u2026").text == '"It\'s here"...'
