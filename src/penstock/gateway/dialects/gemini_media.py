"""Contents of messages: a chat message's parts as Gemini's, and Gemini's as a chat message's. Pure.

Shapes: https://ai.google.dev/api/caching#Part and https://platform.openai.com/docs/api-reference/chat/create.
"""

import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from penstock.gateway.dialects.chat_reading import bad, data_url, inner_of, parts_of, text_of
from penstock.gateway.dialects.gemini import member

Part = dict[str, Any]
AUDIO = {"wav": "audio/wav", "mp3": "audio/mp3"}
"""input_audio.format → media type."""
AUDIO_BACK = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mp3": "mp3", "audio/mpeg": "mp3"}


def parts_to_gemini(content: Any, where: str) -> list[Part]:
    """Return Gemini's parts for a message's content; raises Invalid for what it cannot hold."""
    out: list[Part] = []
    for place, part in parts_of(content, where):
        text = text_of(part)
        if text is None:
            out.append(_media(part, place))
        elif text:
            out.append({"text": text})
    return out


def _media(part: Mapping[str, Any], where: str) -> Part:
    kind = part.get("type")
    if kind == "image_url":
        image = inner_of(part, "image_url", where)
        return _source(image.get("url"), f"{where}.image_url.url", "image/")
    if kind == "file":
        file = inner_of(part, "file", where)
        if file.get("file_data") is None and isinstance(file.get("file_id"), str):
            # Google's own name of a file, as its files API gives it.
            return _source(file["file_id"], f"{where}.file.file_id", "", str(file.get("format") or ""))
        return _source(file.get("file_data"), f"{where}.file.file_data", "", str(file.get("format") or ""))
    if kind == "input_audio":
        audio = inner_of(part, "input_audio", where)
        media = AUDIO.get(str(audio.get("format")))
        if media is None:
            raise bad(f"{where}.input_audio.format must be one of {', '.join(AUDIO)}.", where)
        return {"inlineData": {"mimeType": media, "data": audio.get("data")}}
    raise bad(f"{where} has the type {kind!r}, which Gemini models do not take.", where)


def _source(value: Any, where: str, wanted: str, media: str = "") -> Part:
    found = data_url(value, where)
    if found is not None:
        if not found.media.startswith(wanted):
            raise bad(f"{where} is of the type {found.media!r}, not {wanted}….", where)
        return {"inlineData": {"mimeType": found.media, "data": found.data}}
    if not value.startswith(("https://", "http://", "gs://")):
        raise bad(f"{where} must be a data URL, or a URL that Google can read.", where)
    guessed = media or mimetypes.guess_type(urlsplit(value).path)[0] or ""
    made = {"fileUri": value}
    if guessed and guessed.startswith(wanted):
        made["mimeType"] = guessed
    elif "/files/" not in value:  # Google knows what its own files are
        raise bad(
            f"{where} does not tell what it holds: Gemini needs the media type of a URL.",
            where,
        )
    return {"fileData": made}


def part_to_chat(part: Mapping[str, Any], where: str) -> Part:
    """Return the chat part for one of Gemini's media parts; raises Invalid for what chat cannot hold."""
    inline = member(part, "inlineData")
    if isinstance(inline, dict):
        media, data = str(member(inline, "mimeType") or ""), member(inline, "data")
        if media in AUDIO_BACK:
            return {"type": "input_audio", "input_audio": {"data": data, "format": AUDIO_BACK[media]}}
        return _linked(f"data:{media};base64,{data}", media, str(member(inline, "displayName") or ""))
    file = member(part, "fileData")
    if isinstance(file, dict) and isinstance(member(file, "fileUri"), str):
        uri = member(file, "fileUri")
        media = str(member(file, "mimeType") or mimetypes.guess_type(urlsplit(uri).path)[0] or "")
        if not media.startswith("image/") or not uri.startswith(("http://", "https://")):
            raise bad(
                f"{where} is a link to {media or 'a file'}: only images can be linked outside Gemini.", where
            )
        return _linked(uri, media, "")
    names = ", ".join(part) or "nothing"
    raise bad(f"{where} holds {names}, which this model's provider does not take.", where)


def _linked(url: str, media: str, name: str) -> Part:
    if media.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": url}}
    name = name or f"file{mimetypes.guess_extension(media) or ''}"  # OpenAI wants one
    return {"type": "file", "file": {"filename": name, "file_data": url}}
