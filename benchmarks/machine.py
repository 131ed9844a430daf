"""What the figures were taken on: the first lines of the results."""

import os
import platform
import re
import sysconfig
from pathlib import Path

BUSY = 0.5
"""Load from which on the results say that they cannot be trusted."""


def machine() -> dict[str, str]:
    """Return the machine, its load before the run, and the versions that all candidates share."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    load = os.getloadavg()[0]
    busy = ": others use the machine, figures will be too low" if load > BUSY else ""
    return {
        "machine": f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} {platform.release()}",
        "load before": f"{load:.2f} in the last minute{busy}",
        "Python": _python(),
    }


def _python() -> str:
    """Say how it was configured: without optimisations, as by pyenv, it is a seventh slower. Debian says nothing."""
    arguments = str(sysconfig.get_config_var("CONFIG_ARGS"))
    how = "with" if "--enable-optimizations" in arguments else "without"
    return f"{platform.python_version()}, {platform.python_compiler()}, configured {how} --enable-optimizations"


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.machine()
