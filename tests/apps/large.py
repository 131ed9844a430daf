"""The application that counts; its memory is never too small for huge pages."""

from app.runtime import huge_pages
from tests.apps.counting import app

__all__ = ["app"]

huge_pages.SMALLEST = 0
