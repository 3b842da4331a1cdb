"""A chain of templates as one: the same comes out, and what cannot be one stays a chain."""

from importlib import resources

import pytest
from jinja2 import (
    DictLoader,
    Environment,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
)

from fn_notifications.adapters.templates.joined import joined

VALUES = {"title": "<Keys>", "item": "ring", "absent": None}
LAYOUT = "{% set top %}{% block top %}-{% endblock %}{% endset %}<{{ top }}|{{ top }}>{% block body %}{% endblock %}."
PARTS = "{% macro row(of) %}[{{ of }}]{% endmacro %}"
FOLDER = resources.files("fn_notifications") / "catalogue" / "templates"
SHIPPED = Environment(loader=FileSystemLoader(str(FOLDER)), autoescape=lambda name: name.endswith(".html"))


def environment(files):
    made = Environment(
        loader=DictLoader({"layout.html": LAYOUT, "parts.html": PARTS, **files}),
        undefined=StrictUndefined,
        autoescape=lambda name: name.endswith(".html"),
        trim_blocks=True,
    )
    made.globals.clear()
    return made


def read(made, name):
    """The template, and whether it is one with its parents."""
    tree = made.parse(made.loader.get_source(made, name)[0], name)
    whole = joined(made, tree, name)
    return Template.from_code(made, made.compile(whole, name, name), made.globals), whole is not tree


@pytest.mark.parametrize(
    "files",
    [
        {"a.html": "{{ title }}"},
        {"a.html": "{% extends 'layout.html' %}"},
        {"a.html": "{% extends 'layout.html' %}dropped{{ title }}{% block top %}{{ title }}{% endblock %}"},
        {"a.html": "{% extends 'layout.html' %}{% block nowhere %}{{ title }}{% endblock %}"},
        {"a.html": "{% extends 'layout.html' %}{% block body %}{% set item = title %}{{ item }}{% endblock %}"},
        {"a.html": "{% extends 'layout.html' %}{% set own = title %}{% block body %}{{ own }}{% endblock %}"},
        {
            "a.html": "{% extends 'layout.html' %}{% from 'parts.html' import row %}"
            "{% block body %}{{ row(title) }}{% for row in [1] %}{{ row }}{% endfor %}{{ row(item) }}{% endblock %}"
        },
        {
            "a.html": "{% extends 'b.html' %}{% block inner %}{% set item = 1 %}{{ item }}{% endblock %}",
            "b.html": "{% extends 'layout.html' %}{% set own = title %}"
            "{% block body %}({% block inner %}{% endblock %}{{ item }}"
            "{% block more %}{{ own }}{% endblock %}){% endblock %}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% set own = 1 %}{% block top %}a{% endblock %}",
            "b.html": "{% extends 'layout.html' %}{% block top %}b{% endblock %}"
            "{% block body %}{{ own }}{% endblock %}",
        },
        {
            "a.txt": "{% extends 'b.txt' %}{% block one %}{{ title }}{% endblock %}{% block two %}2{% endblock %}",
            "b.txt": "{% if absent %}{% elif item %}{% block one %}{% endblock %}"
            "{% else %}{% block two %}{% endblock %}{% endif %}",
        },
    ],
)
def test_a_chain_is_one(files):
    made = environment(files)
    name = next(iter(files))
    template, one = read(made, name)
    assert one
    assert not template.blocks
    assert template.render(VALUES) == made.get_template(name).render(VALUES)


@pytest.mark.parametrize(
    "files",
    [
        {"a.html": "{% extends 'layout.html' %}{% block top %}{{ super() }}{{ title }}{% endblock %}"},
        {"a.html": "{% extends 'layout.html' %}{% block body %}{{ self.top() }}{% endblock %}"},
        {"a.html": "{% extends 'layout.html' if title %}{% block top %}a{% endblock %}"},
        {"a.html": "a{% extends 'layout.html' %}{% block top %}a{% endblock %}"},
        {"a.html": "{% if title %}{% extends 'layout.html' %}{% endif %}{% block top %}a{% endblock %}"},
        {
            "a.html": "{% extends 'layout.html' %}{% if item %}{% set own = 1 %}{% endif %}"
            "{% block top %}a{% endblock %}"
        },
        {"a.txt": "{% extends 'layout.html' %}{% block body %}{{ title }}{% endblock %}"},
        {
            "a.html": "{% extends 'b.html' %}{% block one %}{{ item }}{% endblock %}",
            "b.html": "{% for item in [1, 2] %}{% block one %}{% endblock %}{% endfor %}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% block inner %}{{ item }}{% endblock %}",
            "b.html": "{% block all %}{% set item = 1 %}{% block inner %}{% endblock %}{% endblock %}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% block one %}{{ item }}{% endblock %}",
            "b.html": "{% block one %}{% endblock %}{% set item = 1 %}{{ item }}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% block one %}{{ item }}{% endblock %}",
            "b.html": "{% block one %}{% endblock %}{% from 'parts.html' import row as item %}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% block one %}{{ title }}{% endblock %}",
            "b.html": "{% block one %}{% endblock %}{% import 'parts.html' as title %}",
        },
        {
            "a.html": "{% extends 'b.html' %}{% block one %}{{ item }}{% endblock %}",
            "b.html": "{% block one %}{% endblock %}{% macro item() %}{% endmacro %}{{ item() }}",
        },
    ],
)
def test_what_may_differ_stays_a_chain(files):
    made = environment(files)
    name = next(iter(files))
    template, one = read(made, name)
    assert not one
    assert template.render(VALUES) == made.get_template(name).render(VALUES)


@pytest.mark.parametrize("name", SHIPPED.list_templates(filter_func=lambda name: "/body." in name))
def test_every_chain_that_is_shipped_is_one(name):
    """Otherwise each of its messages costs twice the time."""
    tree = SHIPPED.parse(SHIPPED.loader.get_source(SHIPPED, name)[0], name)
    assert joined(SHIPPED, tree, name) is not tree


def test_a_block_that_must_be_given_is_asked_for():
    made = environment({"a.html": "{% extends 'b.html' %}", "b.html": "{% block one required %}{% endblock %}"})
    assert not read(made, "a.html")[1]


def test_templates_that_extend_each_other_stay_a_chain():
    made = environment({"a.html": "{% extends 'b.html' %}", "b.html": "{% extends 'a.html' %}"})
    assert not read(made, "a.html")[1]


def test_a_parent_that_is_missing_or_no_template_is_the_error_it_would_be():
    made = environment(
        {"a.html": "{% extends 'gone.html' %}", "b.html": "{% extends 'c.html' %}", "c.html": "{% if %}"}
    )
    with pytest.raises(TemplateNotFound, match=r"gone\.html"):
        read(made, "a.html")
    with pytest.raises(TemplateSyntaxError):
        read(made, "b.html")
