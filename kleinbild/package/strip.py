"""Scripts and style sheets without comments and without white space that means nothing.

Half their weight is for people alone. Names, texts and order stay as they were written; a line break stays
where it may end a statement. This knows strings, templates and regular expressions of JavaScript and nothing
of what they mean; tests hold that the page's scripts and styles are the same programs afterwards.
"""

from __future__ import annotations

import re

_STRING = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)
_REGEXP = re.compile(r"/(?![*/])(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/\w*")
_GAP = re.compile(r"(?:\s|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_TEMPLATE_TEXT = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_WORD = re.compile(r"[\w$]+")
_BEFORE_VALUE = frozenset("(,=:[!&|?{};+-*%~^<>")
_WORD_BEFORE_VALUE = re.compile(
    "return|typeof|case|in|of|instanceof|new|delete|void|throw|do|else|yield|await|default"
)
# No statement ends right after these or begins with those: a line break there is white space.
_CONTINUES_AFTER = frozenset("{([,;=?:&|<>%^~!")
_CONTINUES_BEFORE = frozenset("})],.?:&|=<>%^")
# Side by side these would be another token.
_APART = frozenset({"++", "--", "//", "<!"})

_CSS_TOKEN = re.compile(
    r"(?P<string>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|(?P<gap>(?:\s|/\*.*?\*/)+)|;(?=(?:\s|/\*.*?\*/)*\})",
    re.DOTALL,
)
_CSS_BARE_AFTER = frozenset("{};,:(")
_CSS_BARE_BEFORE = frozenset("{};,)")


def strip_css(text: str) -> str:
    """A style sheet without comments and without white space that parts nothing."""

    def shorter(match: re.Match[str]) -> str:
        if match["string"]:
            return match[0]
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        bare = not match["gap"] or before in _CSS_BARE_AFTER or after in _CSS_BARE_BEFORE
        return "" if bare or not before or not after else " "

    return _CSS_TOKEN.sub(shorter, text)


def strip_javascript(text: str) -> str:
    """A script without comments and without white space that parts nothing.

    Raises ValueError when a string or a template does not end.
    """
    out: list[str] = []
    position = 0
    last = ""  # the last token; of a regular expression its slash
    braces: list[bool] = []  # of those that are open: whether one is a template's ${
    while position < len(text):
        char = text[position]
        if gap := _GAP.match(text, position):
            position = gap.end()
            out.append(_rest_of_gap(gap[0], out[-1] if out else "", text[position : position + 1]))
            continue
        if char == "`" or (char == "}" and braces and braces[-1]):
            if char == "}":
                braces.pop()
            end, last = _template_text(text, position + 1)
            if last == "{":
                braces.append(True)
        elif char in "'\"":
            end, last = _required(_STRING, text, position), char
        elif char == "/" and _value_follows(last) and (regexp := _REGEXP.match(text, position)):
            end, last = regexp.end(), "/"
        elif word := _WORD.match(text, position):
            end, last = word.end(), word[0]
        else:
            end, last = position + 1, char
            if char == "{":
                braces.append(False)
            elif char == "}" and braces:
                braces.pop()
        out.append(text[position:end])
        position = end
    return "".join(out)


def _rest_of_gap(gap: str, before: str, after: str) -> str:
    """What stays of white space and comments between the token `before` and one that begins with `after`."""
    last = before[-1:]
    if not last or not after:
        return ""
    number = after == "." and before[0].isdigit()
    if "\n" in gap:
        return "" if (last in _CONTINUES_AFTER or after in _CONTINUES_BEFORE) and not number else "\n"
    words = bool(_WORD.match(after)) and (bool(_WORD.match(last)) or _is_regexp(before))
    return " " if words or last + after in _APART or number else ""


def _is_regexp(token: str) -> bool:
    return len(token) > 1 and token.startswith("/")


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


def _required(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    if match is None:
        raise ValueError(f"what begins with {text[position : position + 20]!r} does not end")
    return match.end()
