import phonenumbers
import pytest

from sms_gateway.sms.countries import NO_COUNTRY, Country, countries


@pytest.mark.parametrize(
    ("locale", "code", "dialling_code", "name"),
    [
        ("en", "BE", "32", "Belgium"),
        ("fr", "BE", "32", "Belgique"),
        ("fr-BE", "CH", "41", "Suisse"),
        ("nl_BE", "DE", "49", "Duitsland"),
        ("en", "CA", "1", "Canada"),
        ("fr", "US", "1", "États-Unis"),
    ],
)
def test_a_country_has_its_name_in_the_language(locale, code, dialling_code, name):
    assert Country(code=code, dialling_code=dialling_code, name=name) in countries(locale)


@pytest.mark.parametrize("locale", ["en", "fr"])
def test_every_country_with_telephone_numbers_is_there_once(locale):
    codes = [country.code for country in countries(locale)]
    assert len(codes) == len(set(codes))
    assert set(codes) == set(phonenumbers.SUPPORTED_REGIONS)
    assert NO_COUNTRY not in codes
    for country in countries(locale):
        assert int(country.dialling_code) == phonenumbers.country_code_for_region(country.code)
        assert country.name != country.code


def test_the_order_is_that_of_the_names_and_accents_count_for_nothing():
    french = [country.name for country in countries("fr")]
    places = [french.index(name) for name in ("Espagne", "Éthiopie", "Fidji", "Zimbabwe")]
    assert places == sorted(places)
    assert countries("en") != countries("fr")


@pytest.mark.parametrize("locale", ["xx", "", "../etc", "français"])
def test_an_unknown_language_is_an_error(locale):
    with pytest.raises(ValueError, match=r"."):
        countries(locale)
