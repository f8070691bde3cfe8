"""Templates that mean harm: each ends soon, with an error that says why."""

import pytest

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.prompts.model import Body, Kind, Variable
from penstock.prompts.template import render

BOMBS = {
    "a power": "{{ 2 ** 10000000 }}",
    "a long text": "{{ 'x' * 1000000000 }}",
    "a long list": "{{ [0] * 1000000000 }}",
    "a wide filter": "{{ 'x'|center(1000000000) }}",
    "an indent": "{{ ('a\n' * 100000)|indent(100000) }}",
    "a wide method": "{{ 'x'.ljust(1000000000) }}",
    "a wide format": "{{ '{:1000000000}'.format(1) }}",
    "a wide percent": "{{ '%1000000000d' % 1 }}",
    "a star": "{{ '%*d' % (1000000000, 1) }}",
    "a replacement": "{{ ('a' * 100000).replace('a', 'b' * 100000) }}",
    "doubling by ~": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubling by +": "{% set n = namespace(x='a') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling by blocks": (
        "{% set n = namespace(x='a') %}{% for i in range(99) %}"
        "{% set y %}{{ n.x }}{{ n.x }}{% endset %}{% set n.x = y %}{% endfor %}"
    ),
    "loops in loops": "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "much written text": "{% for i in range(9999) %}" + "x" * 5000 + "{% endfor %}",
    "macros": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(90) }}",
    "a macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a translation": "{{ 'aaa'.translate({97: 'b' * 1000000}) }}",
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_are_defused(what: str) -> None:
    begun = clock.monotonic()
    with pytest.raises(Invalid):
        render(Body(kind=Kind.TEXT, text=BOMBS[what]), {})
    assert clock.monotonic() - begun < 30, "bounded by steps, not by patience"


def test_ordinary_templates_do_not_notice() -> None:
    source = (
        "{% for row in rows %}{{ loop.index }}/{{ loop.length }} {{ row.q|trim }} → {{ row.a ~ '!' }}\n{% endfor %}"
        "{{ 3 * 4 }} {{ 2 ** 8 }} {{ 'ab' * 2 }} {{ '%05.1f' % 2.5 }} {{ rows|map(attribute='a')|join(', ') }}"
        "{% set x %}{{ name }}{% endset %} {{ x|upper }} {{ 'a-b'.replace('-', '+') }} {{ rows[0]|tojson }}"
    )
    rows = [{"q": " one ", "a": "1"}, {"q": "two", "a": "2"}]
    text, _ = render(
        Body(kind=Kind.TEXT, text=source, variables=(Variable(name="rows", type="list"),)),
        {"rows": rows, "name": "é"},
    )
    assert text == '1/2 one → 1!\n2/2 two → 2!\n12 256 abab 002.5 1, 2 É a+b {"a": "1", "q": " one "}'


def test_what_differs_every_time_is_not_there() -> None:
    for source in ("{{ lipsum() }}", "{{ [1, 2]|random }}"):
        with pytest.raises(Invalid):
            render(Body(kind=Kind.TEXT, text=source), {})
