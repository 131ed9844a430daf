"""The errors of the tools. Each message is one line for a person: what is wrong, and what to do."""


class ToolError(Exception):
    """Something outside this program stands in the way."""


class MissingProgramError(ToolError):
    """A program that a tool starts (Java, Maven) is not installed, or too old."""


class BrokerError(ToolError):
    """The local Kafka broker did not start, or stopped by itself."""
