"""The version of the application, apart from `app` itself so that asking for it builds nothing."""

VERSION = "0.1.0"
