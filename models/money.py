"""Money: whole minor units of a currency (cents, yen, fils), as int. No float ever holds any."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

SUM_LIMIT: Final = 2**63
"""Sums of money stay below it: rows are JSON with 64-bit numbers."""

# ISO 4217 list one as of 2026, without the codes that have no minor unit (metals, testing, accounting units "N.A.").
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_TWO_DECIMALS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP
    COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN
    NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL
    THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

CURRENCIES: Final[Mapping[str, int]] = MappingProxyType(
    {
        code: decimals
        for decimals, codes in ((0, _NO_DECIMALS), (2, _TWO_DECIMALS), (3, _THREE_DECIMALS), (4, _FOUR_DECIMALS))
        for code in codes.split()
    }
)
"""The active currencies of ISO 4217, each with the number of its decimals."""

AMOUNT_PATTERN: Final = r"^[0-9]{1,12}(?:\.[0-9]+)?$"
"""An amount written as text."""
AMOUNT_LIMIT: Final = 1_000_000_000_000
"""Every amount is below this, in major units: 12 digits before the point."""

_AMOUNT_TEXT = re.compile(AMOUNT_PATTERN.removesuffix("$"))
_NOISE = Decimal("0.000001")


def to_minor(amount: object, decimals: int) -> int:
    """Return an amount of a currency with so many decimals in minor units.

    A text or an int must be exact. A float is taken as the shortest decimal that reads back as the same float, and
    may lie up to 1e-6 of a minor unit beside a whole one: that is what binary arithmetic leaves behind.

    Raises:
        ValueError: the amount is no number, negative, too large, or has more decimals than the currency.
    """
    if isinstance(amount, float):
        return _float_to_minor(amount, decimals)
    if isinstance(amount, int) and not isinstance(amount, bool):
        if not 0 <= amount < AMOUNT_LIMIT:
            raise ValueError(f"must be at least 0 and below {AMOUNT_LIMIT:,}")
        return amount * int(10**decimals)
    if not isinstance(amount, str) or not _AMOUNT_TEXT.fullmatch(amount):
        raise ValueError("must be an amount")
    return text_to_minor(amount, decimals)


def text_to_minor(amount: str, decimals: int) -> int:
    """Do what `to_minor` does, for a text that is known to match `AMOUNT_PATTERN`."""
    whole, _, fraction = amount.partition(".")
    if len(fraction) != decimals:
        fraction = fraction.rstrip("0").ljust(decimals, "0")
        if len(fraction) > decimals:
            raise _too_exact(decimals)
    return int(whole + fraction)


def _float_to_minor(amount: float, decimals: int) -> int:
    if not 0 <= amount < AMOUNT_LIMIT:  # false for NaN, too
        raise ValueError(f"must be at least 0 and below {AMOUNT_LIMIT:,}")
    exact = Decimal(repr(amount)).scaleb(decimals)
    minor = exact.to_integral_value()
    if abs(exact - minor) > _NOISE:
        raise _too_exact(decimals)
    return int(minor)


def _too_exact(decimals: int) -> ValueError:
    return ValueError(f"must have at most {decimals} decimals" if decimals else "must have no decimals")


@lru_cache(maxsize=65_536)  # prices come again and again, and an order's total with each of its events
def format_minor(minor: int, decimals: int) -> str:
    """Write minor units as an amount with all the currency's decimals: 12997 -> "129.97"."""
    if not decimals:
        return str(minor)
    sign = "-" if minor < 0 else ""
    digits = str(abs(minor)).rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def within_64_bits(minor: int) -> int:
    """Return a sum of minor units as it is; raises OverflowError for one that no row can hold (JSON of 64-bit numbers).

    A guard, not a limit that anybody meets: it takes thousands of the largest orders there can be under one key.
    """
    if -SUM_LIMIT < minor < SUM_LIMIT:
        return minor
    raise OverflowError(f"a total of {minor} minor units is beyond the 64 bits that a row can hold")


def divide_half_even(minor: int, count: int) -> int:
    """Divide minor units by a count above 0; halves go to the even neighbour (ISO 80000-1, rule A)."""
    quotient, rest = divmod(minor, count)
    if 2 * rest > count or (2 * rest == count and quotient % 2):
        return quotient + 1
    return quotient
