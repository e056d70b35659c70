"""The one exception that a person sees as a line instead of a traceback."""


class UserError(Exception):
    """Bad input or a bad environment: one line that says what was found, where, and what to do.

    `aar.py` prints it as `aar: <message>` and exits with code 2. Nothing has been lost when it is raised.
    """
