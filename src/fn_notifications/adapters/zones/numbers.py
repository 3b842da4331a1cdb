"""Which clocks may hang on the wall of whoever has a telephone number."""

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import cache
from importlib.resources import files

import phonenumbers

from fn_notifications.adapters.zones.tz import zone
from fn_notifications.domain.address import PhoneNumber


def zones_of(number: PhoneNumber) -> Sequence[tzinfo]:
    """Every zone of the number's country; where a calling code does not tell which, of all countries that share it.

    The country and not the area: people keep their number when they move. By the tables of phonenumbers and tzdata;
    none for a number that belongs to no country.
    """
    try:
        parsed = phonenumbers.parse(number.value)
    except phonenumbers.NumberParseException:
        return ()
    region = phonenumbers.region_code_for_number(parsed)
    regions = [region] if region else phonenumbers.region_codes_for_country_code(parsed.country_code or 0)
    return _zones_of(tuple(regions))


@cache
def _zones_of(regions: tuple[str, ...]) -> Sequence[tzinfo]:
    names = dict.fromkeys(name for region in regions for name in _names().get(region, ()))
    return tuple(found for name in names if (found := zone(name)))


@cache
def _names() -> Mapping[str, Sequence[str]]:
    """The zones of each country (ISO 3166, two letters), the most populous first."""
    names: dict[str, list[str]] = {}
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, name, *_ = line.split("\t")
            names.setdefault(country, []).append(name)
    return names
