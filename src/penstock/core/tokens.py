"""The one rule of thumb for tokens where no model's tokenizer is at hand.

Four characters of ASCII are one token (OpenAI's rule for English, https://help.openai.com/en/articles/4936856), two of
other alphabets, and one of Chinese, Japanese or Korean.
"""

_WIDE = 0x2E80
"""From here on scripts write a word in one or two characters."""


def by_thumb(text: str) -> int:
    """Return about how many tokens of a language model `text` is."""
    if text.isascii():
        return (len(text) + 3) // 4
    plain = sum(1 for char in text if char < "\x80")
    wide = sum(1 for char in text if ord(char) >= _WIDE)
    return (plain + 3) // 4 + (len(text) - plain - wide + 1) // 2 + wide
