"""The one error class that users see.

Its message says what went wrong, where, and what to do. The command lines print it as one line and exit 1;
every other exception is a fault of ours and keeps its traceback.
"""


class KleinbildError(Exception):
    """A problem with the user's input or machine, told in plain words."""

    exit_status = 1  # of the command line
