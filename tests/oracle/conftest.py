"""What compares with torch needs torch, and a run that leaves the oracle out does not."""


def pytest_ignore_collect(config):
    return True if "not oracle" in config.option.markexpr else None
