"""Token counts for models whose provider does not count: an estimate from the text alone.

A tokenizer trained on web text averages about four bytes of English and other Latin text per token, and about three
of text that takes several bytes per letter (Chinese, Japanese, Korean, Cyrillic); see
https://help.openai.com/en/articles/4936856 for the first figure. The estimate is meant for budgets and warnings, not for billing:
expect it within a third of the real count for prose, less well for code, tables and numbers.
"""

BYTES_PER_TOKEN = 4
WIDE_BYTES_PER_TOKEN = 3
MESSAGE_TOKENS = 4
"""What a chat template adds around each message."""
IMAGE_TOKENS = 258
"""What Gemini counts for an image of up to 384 pixels a side; other families count between 85 and 1600."""


def estimate_tokens(text: bytes) -> int:
    """Return about how many tokens `text` (UTF-8) is; 0 for nothing, else at least 1."""
    if not text:
        return 0
    narrow = len(text) if text.isascii() else sum(byte < 0x80 for byte in text)
    wide = len(text) - narrow
    return max(1, -(-narrow // BYTES_PER_TOKEN) + -(-wide // WIDE_BYTES_PER_TOKEN))
