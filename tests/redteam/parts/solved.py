"""The answer to a problem of `arithmetic`, worked out from its words."""

import re


def solved(question):
    value = None
    for part in re.split(r",| and ", question.split(". How")[0]):
        number = int(re.findall(r"\d+", part)[0])
        value = (
            number
            if value is None
            else value * number
            if "times" in part
            else value - number
            if DOWN.search(part)
            else value + number
        )
    return value
