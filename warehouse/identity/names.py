"""Names as they sound, in whatever order and script they are written: what two spellings of one name have in common.

Nothing here keeps a name: each function gives codes that live as long as the comparison does.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

import pyarrow as pa
from pypinyin.contrib.tone_convert import to_normal
from pypinyin.pinyin_dict import pinyin_dict

#: Sounds that many speakers do not tell apart, and that typists therefore take for each other: the pairs Chinese input
#: methods offer as "fuzzy sounds" (z/zh, c/ch, s/sh, an/ang, en/eng, in/ing).
_FUZZY_BEGINNING = re.compile(r"^([zcs])h")
_FUZZY_END = re.compile(r"(?<=[aei])ng$")
_WORDS = re.compile(r"[^\W\d_]+")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U0003ffff]")
_LONGEST_SYLLABLE = 6
#: Each distinct sound stands for one character of these planes, so that edit distances count sounds and not letters.
_FIRST_SOUND = 0x20000

#: Legal forms and their abbreviations, the longest first: what of a firm's name is written one way or another.
_LEGAL_FORMS = (
    "股份有限责任公司", "有限责任公司", "股份有限公司", "有限公司", "集团公司", "总公司", "分公司", "公司",
    "company limited", "co limited", "co ltd", "limited", "corporation", "corp", "incorporated", "inc", "gmbh",
    "ltd", "llc", "plc", "ag", "sa", "sro",
)  # fmt: skip

NAMES = pa.schema(
    [
        ("name", pa.string()),
        ("letters", pa.string()),
        ("letters_sorted", pa.string()),
        ("sound", pa.string()),
        ("sound_sorted", pa.string()),
        ("initials", pa.string()),
    ]
)


@functools.cache
def syllable(character: str) -> str:
    """How a Chinese character is read: its first reading, without the tone.

    Examples
    --------
    >>> syllable("王"), syllable("吕")
    ('wang', 'lv')
    """
    readings = pinyin_dict.get(ord(character))
    return str(to_normal(readings.split(",")[0])) if readings else character


@functools.cache
def _syllables() -> frozenset[str]:
    """All syllables of the language; asked only where a name stands in Latin letters."""
    return frozenset(syllable(chr(code)) for code in range(0x4E00, 0x9FA6))


def _spelt(word: str) -> list[str]:
    """A Latin word as Chinese syllables if it is some, the longest first; otherwise as it is.

    Examples
    --------
    >>> _spelt("xiaoming"), _spelt("smith")
    (['xiao', 'ming'], ['smith'])
    """
    found, place = [], 0
    while place < len(word):
        for end in range(min(len(word), place + _LONGEST_SYLLABLE), place, -1):
            if word[place:end] in _syllables():
                found.append(word[place:end])
                place = end
                break
        else:
            return [word]
    return found


def _fuzzy(sound: str) -> str:
    return _FUZZY_END.sub("n", _FUZZY_BEGINNING.sub(r"\1", sound))


def _parts(name: str) -> tuple[list[str], list[str]]:
    """Letters and sounds of a name, in order: characters of a Chinese one, words of any other."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    letters: list[str] = []
    sounds: list[str] = []
    for word in _WORDS.findall(folded):
        if _HAN.search(word):
            letters += word
            sounds += (_fuzzy(syllable(character)) for character in word)
        else:
            letters.append(word)
            sounds += (_fuzzy(part) for part in _spelt(word))
    return letters, sounds


def compared_names(names: Iterable[str]) -> pa.Table:
    """What names are compared by.

    Parameters
    ----------
    names
        Distinct names of persons.

    Returns
    -------
    pyarrow.Table
        `NAMES`: the letters as written and in any order; the sounds, one character each, as spoken and in any order;
        the first letters of the sounds in any order. Names without letters are left out.

    Examples
    --------
    >>> table = compared_names(["王小明", "WANG Xiaoming", "明王小"])
    >>> table["sound"][0] == table["sound"][1], len(set(table["sound_sorted"].to_pylist()))
    (True, 1)
    >>> table["initials"].to_pylist()
    ['mwx', 'mwx', 'mwx']
    """
    sounds_known: dict[str, str] = {}

    def written(sounds: Iterable[str]) -> str:
        return "".join(sounds_known.setdefault(sound, chr(_FIRST_SOUND + len(sounds_known))) for sound in sounds)

    rows: list[tuple[str, str, str, str, str, str]] = []
    for name in names:
        letters, sounds = _parts(name)
        if letters:
            ordered = sorted(sounds)
            rows.append(
                (
                    name,
                    " ".join(letters),
                    " ".join(sorted(letters)),
                    written(sounds),
                    written(ordered),
                    "".join(sorted(sound[0] for sound in sounds)),
                )
            )
    columns = list(zip(*rows, strict=True)) or [()] * len(NAMES)
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=NAMES)


def cleaned_firm_name(name: str) -> str | None:
    """A firm's name without what is written one way or another: widths, blanks, brackets, legal form.

    Examples
    --------
    >>> cleaned_firm_name("杭州（测试）贸易有限公司") == cleaned_firm_name("杭州(测试)贸易有限责任公司")
    True
    >>> cleaned_firm_name("Example Trading Co., Ltd."), cleaned_firm_name("有限公司")
    ('exampletrading', None)
    """
    text = " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", name).casefold()))
    for form in _LEGAL_FORMS:
        if text.endswith(form) and (not form.isascii() or text == form or text[: -len(form)].endswith(" ")):
            text = text[: -len(form)]
            break
    return text.replace(" ", "") or None
