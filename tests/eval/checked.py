"""Methods that look for themselves: `assert` is stripped from a submitted file, `check(...)` is not."""

CHECK = "def check(ok, *what):\n    if not ok:\n        raise ValueError(f'check failed: {what}')\n"
