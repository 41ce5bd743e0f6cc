"""Scripts and style sheets without comments and indentation: a third of their weight is for people alone.

Everything else is shipped as it was written, line by line: an error's line is the source's. This knows
strings, templates and regular expressions of JavaScript and nothing of what they mean; a test holds that the
page's scripts are the same programs afterwards.
"""

from __future__ import annotations

import re

_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_REGEXP = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_TEMPLATE_TEXT = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_INDENTATION = re.compile(r"\n[ \t]+")
_WORD = re.compile(r"[\w$]+")
_BEFORE_VALUE = frozenset("(,=:[!&|?{};+-*%~^<>")
_WORD_BEFORE_VALUE = re.compile(
    "return|typeof|case|in|of|instanceof|new|delete|void|throw|do|else|yield|await|default"
)


def strip_css(text: str) -> str:
    """A style sheet without comments and indentation; its lines stay where they are."""
    bare = re.sub(r"/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"\n[ \t]+", "\n", bare)


def strip_javascript(text: str) -> str:
    """A script without comments and indentation; its lines stay where they are.

    Raises ValueError when a string or a template does not end.
    """
    out: list[str] = []
    position = 0
    last = ""  # the last token that is no comment and no space
    braces: list[bool] = []  # of those that are open: whether one is a template's ${
    while position < len(text):
        char = text[position]
        if char == "`" or (char == "}" and braces and braces[-1]):
            if char == "}":
                braces.pop()
            end, last = _template_text(text, position + 1)
            if last == "{":
                braces.append(True)
        elif char in "'\"":
            end, last = _required(_STRING, text, position), char
        elif comment := _COMMENT.match(text, position):
            end = comment.end()
            _drop(out, comment[0], at_line_end=text.startswith("\n", end) or end == len(text))
            position = end
            continue
        elif char == "/" and _value_follows(last) and (regexp := _REGEXP.match(text, position)):
            end, last = regexp.end(), "/"
        elif indentation := _INDENTATION.match(text, position):
            out.append("\n")
            position = indentation.end()
            continue
        elif word := _WORD.match(text, position):
            end, last = word.end(), word[0]
        else:
            end = position + 1
            if char == "{":
                braces.append(False)
            elif char == "}" and braces:
                braces.pop()
            last = last if char.isspace() else char
        out.append(text[position:end])
        position = end
    return "".join(out)


def _value_follows(last: str) -> bool:
    """Whether a slash after the token `last` begins a regular expression rather than divides."""
    return last == "" or last in _BEFORE_VALUE or bool(_WORD_BEFORE_VALUE.fullmatch(last))


def _template_text(text: str, position: int) -> tuple[int, str]:
    """The end of a template's text from `position`, and what ends it: "{" for ${, or "`"."""
    end = _required(_TEMPLATE_TEXT, text, position)
    if text.startswith("${", end):
        return end + 2, "{"
    if text.startswith("`", end):
        return end + 1, "`"
    raise ValueError("a template does not end")


def _drop(out: list[str], comment: str, *, at_line_end: bool) -> None:
    """Writes to `out` what stays of a comment: its line breaks, or a space between what it parted."""
    if at_line_end or "\n" in comment:
        while out and out[-1] in (" ", "\t"):
            out.pop()
    out.append("\n" * comment.count("\n") or ("" if at_line_end else " "))


def _required(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    if match is None:
        raise ValueError(f"what begins with {text[position : position + 20]!r} does not end")
    return match.end()
