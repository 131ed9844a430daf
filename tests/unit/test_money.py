"""Money is exact: what is written is what is held, and nothing is rounded in silence."""

from fractions import Fraction

import pytest

from models.money import CURRENCIES, divide_half_even, format_minor, to_minor, within_64_bits


@pytest.mark.parametrize(
    ("amount", "decimals", "minor"),
    [
        ("129.97", 2, 12997),
        ("129.9", 2, 12990),
        ("129", 2, 12900),
        ("129.9700", 2, 12997),
        ("0", 2, 0),
        ("000000000001", 2, 100),
        ("999999999999.99", 2, 99999999999999),
        ("1500", 0, 1500),
        ("1500.000", 0, 1500),
        ("1.234", 3, 1234),
        ("1.2345", 4, 12345),
        (129, 2, 12900),
        (0, 3, 0),
        (129.97, 2, 12997),
        (1500.0, 0, 1500),
        (0.1 + 0.2, 2, 30),
        (30.299999999999997, 2, 3030),
        (-0.0, 2, 0),
        (1e-9, 2, 0),
        (999999999999.99, 2, 99999999999999),
        (123456789012.34, 2, 12345678901234),
    ],
)
def test_an_amount_becomes_exact_minor_units(amount: str | float, decimals: int, minor: int) -> None:
    """Text and whole numbers are exact; a float may lie beside a whole minor unit by what binary arithmetic does."""
    held = to_minor(amount, decimals)
    assert held == minor
    assert type(held) is int


@pytest.mark.parametrize(
    ("amount", "decimals"),
    [
        ("129.975", 2),
        ("1500.5", 0),
        ("", 2),
        (".5", 2),
        ("5.", 2),
        ("-1", 2),
        ("+1", 2),
        ("1e3", 2),
        ("1_000", 2),
        ("1,000", 2),
        (" 1", 2),
        ("1\n", 2),
        ("NaN", 2),
        ("Infinity", 2),
        ("١٢", 2),  # digits, but Arabic ones
        ("1234567890123", 2),
        (-1, 2),
        (10**12, 2),
        (10**400, 2),
        (True, 2),
        (129.975, 2),
        (30.2999, 2),
        (0.5, 0),
        (-0.01, 2),
        (1e12, 2),
        (float("nan"), 2),
        (float("inf"), 2),
        (None, 2),
        ([], 2),
    ],
)
def test_what_is_no_amount_of_the_currency_is_refused(amount: object, decimals: int) -> None:
    """Nothing is guessed, cut off or rounded: it is a ValueError with a text."""
    with pytest.raises(ValueError, match=r"^must (be|have) "):
        to_minor(amount, decimals)


def test_noise_is_taken_up_to_a_millionth_of_a_minor_unit() -> None:
    """The bound is 1e-6 of a minor unit, on both sides."""
    assert to_minor(10.00000001, 2) == 1000
    assert to_minor(9.99999999, 2) == 1000
    for beyond in (10.000000011, 9.999999989):
        with pytest.raises(ValueError, match="at most 2 decimals"):
            to_minor(beyond, 2)


@pytest.mark.parametrize(
    ("minor", "decimals", "text"),
    [
        (12997, 2, "129.97"),
        (5, 2, "0.05"),
        (0, 2, "0.00"),
        (-5, 2, "-0.05"),
        (-12997, 2, "-129.97"),
        (1500, 0, "1500"),
        (-3, 0, "-3"),
        (1, 3, "0.001"),
        (12345, 4, "1.2345"),
        (10**20, 2, "1000000000000000000.00"),
    ],
)
def test_minor_units_are_written_with_all_decimals(minor: int, decimals: int, text: str) -> None:
    """The text has the currency's decimals, however small, large or negative the sum is."""
    assert format_minor(minor, decimals) == text


@pytest.mark.parametrize(
    ("minor", "count", "average"),
    [
        (100, 3, 33),
        (200, 3, 67),
        (5, 2, 2),
        (7, 2, 4),
        (1, 2, 0),
        (3, 2, 2),
        (0, 7, 0),
        (10, 4, 2),
        (14, 4, 4),
        (9, 9, 1),
    ],
)
def test_an_average_is_rounded_half_to_even(minor: int, count: int, average: int) -> None:
    """Halves go to the even neighbour, everything else to the nearest; Python's exact fractions agree."""
    assert divide_half_even(minor, count) == average == round(Fraction(minor, count))


def test_currencies_have_the_decimals_of_iso_4217() -> None:
    """The usual two, and every kind of exception; codes without a minor unit and withdrawn ones are none."""
    expected = {"GBP": 2, "EUR": 2, "USD": 2, "JPY": 0, "KRW": 0, "KWD": 3, "BHD": 3, "CLF": 4}
    assert {code: CURRENCIES[code] for code in expected} == expected
    assert not {"XAU", "XXX", "XTS", "DEM", "HRK", "gbp", ""} & CURRENCIES.keys()
    assert all(len(code) == 3 and code.isupper() and code.isascii() for code in CURRENCIES)


@pytest.mark.parametrize("minor", [2**63 - 1, 1 - 2**63, 0])
def test_a_sum_that_a_row_can_hold_passes(minor: int) -> None:
    """Up to 64 bits a sum is taken as it is."""
    assert within_64_bits(minor) == minor


@pytest.mark.parametrize("minor", [2**63, -(2**63)])
def test_a_sum_that_no_row_can_hold_is_refused(minor: int) -> None:
    """Beyond, the event at fault must fail by itself, for its row could not be written and would stop the worker."""
    with pytest.raises(OverflowError, match="64 bits"):
        within_64_bits(minor)
