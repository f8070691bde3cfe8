"""Token counts for models whose provider does not count: an estimate from the text alone.

OpenAI's rule of thumb is four characters of English per token (https://help.openai.com/en/articles/4936856); letters
that take several bytes in UTF-8 (Chinese, Cyrillic, …) are shorter in tokens, so they are counted three bytes each.
No tokenizer is asked: the estimate is good for budgets and warnings, not for billing.
"""

BYTES_PER_TOKEN = 4
WIDE_BYTES_PER_TOKEN = 3
MESSAGE_TOKENS = 4
"""What a chat template adds around each message."""
MEDIA_TOKENS = 258
"""What Gemini counts for an image of up to 384 pixels a side or a page of a document; bytes tell nothing about it."""
_WIDE = bytes(range(0x80, 0x100))


def estimate_tokens(text: bytes) -> int:
    """Return about how many tokens `text` (UTF-8) is; 0 for nothing, else at least 1."""
    narrow = len(text) if text.isascii() else len(text.translate(None, _WIDE))
    wide = len(text) - narrow
    return -(-narrow // BYTES_PER_TOKEN) + -(-wide // WIDE_BYTES_PER_TOKEN)
