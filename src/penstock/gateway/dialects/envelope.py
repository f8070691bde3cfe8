"""The outside of a request body: a few typed fields, the rest untouched bytes."""

import msgspec

from penstock.core.errors import Invalid

Fields = dict[str, msgspec.Raw]
"""The members of a body, in order, each as the JSON it was sent as."""
_fields = msgspec.json.Decoder(Fields)
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool | None)
_encode = msgspec.json.Encoder().encode


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


_stream_options = msgspec.json.Decoder(_StreamOptions | None)
MAX_MODEL_LENGTH = 300


def _bad(message: str, param: str, code: str = "invalid_value") -> Invalid:
    return Invalid(message, details={"param": param, "code": code})


def members(body: bytes) -> Fields:
    """Decode `body` one level deep; raises Invalid when it is not a JSON object."""
    try:
        return _fields.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(
            "The body is not a JSON object.",
            hint=f"The parser says: {error}.",
            details={"code": "bad_json"},
        ) from error


class Envelope:
    """A request body, decoded one level deep. `fields` keeps every member, known or not, as raw JSON in order."""

    __slots__ = ("body", "fields", "include_usage", "model", "stream")

    def __init__(
        self,
        body: bytes,
        *,
        fields: Fields | None = None,
        model: str | None = None,
        stream: bool | None = None,
        default: str = "",
    ) -> None:
        """Decode `body`; raises Invalid, naming the field, when it is not a JSON object with a model.

        `fields` are its members where they have been decoded already. APIs that name the model and the manner in the
        path (Gemini's) give them as `model` and `stream`; `default` is the model of a body that names none, where it
        need not.
        """
        self.fields = members(body) if fields is None else fields
        self.body = body
        self.model = self._model(default) if model is None else model
        self.stream = self._stream() if stream is None else stream
        self.include_usage = False
        if self.stream and (raw := self.fields.get("stream_options")) is not None:
            try:
                options = _stream_options.decode(raw)
            except msgspec.DecodeError as error:
                raise _bad("stream_options must be an object.", "stream_options") from error
            self.include_usage = options is not None and bool(options.include_usage)

    def _model(self, default: str) -> str:
        raw = self.fields.get("model")
        if default and (raw is None or bytes(raw) == b"null"):
            return default
        if raw is None:
            raise _bad("The body needs the field model.", "model", "missing_required_parameter")
        try:
            model = _text.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _bad("The field model must be a string.", "model") from error
        if not model or len(model) > MAX_MODEL_LENGTH:
            raise _bad(f"The field model must have 1 to {MAX_MODEL_LENGTH} characters.", "model")
        return model

    def _stream(self) -> bool:
        raw = self.fields.get("stream")
        if raw is None:
            return False
        try:
            return bool(_flag.decode(raw))
        except msgspec.DecodeError as error:
            raise _bad("The field stream must be true or false.", "stream") from error

    def require(self, name: str) -> msgspec.Raw:
        """Return the raw member `name`; raises Invalid when it is missing."""
        raw = self.fields.get(name)
        if raw is None:
            raise _bad(f"The body needs the field {name}.", name, "missing_required_parameter")
        return raw

    def text(self, name: str) -> str:
        """Return the member `name` when it is a string, else an empty string."""
        raw = self.fields.get(name)
        if raw is None:
            return ""
        try:
            return _text.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""

    def with_fields(self, changes: dict[str, msgspec.Raw]) -> bytes:
        """Return the body with some members replaced or added; everything else keeps its bytes and place."""
        return _encode(self.fields | changes)


def raw_text(text: str) -> msgspec.Raw:
    """Return `text` as a raw JSON string."""
    return msgspec.Raw(_encode(text))
