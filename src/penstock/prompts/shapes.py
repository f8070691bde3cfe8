"""Shapes of prompts over HTTP that several of their routers share."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.prompts.model import Body, Kind, Variable


class VariableModel(BaseModel):
    """A value that rendering needs."""

    model_config = ConfigDict(extra="forbid")

    name: str
    type: str = "string"
    required: bool = True
    default: Any = None
    description: str = ""


class BodyModel(BaseModel):
    """What a version says."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    text: str = ""
    messages: list[dict[str, Any]] = Field(default_factory=list)
    variables: list[VariableModel] = Field(default_factory=list)
    tools: list[dict[str, Any]] = Field(default_factory=list)
    output_schema: dict[str, Any] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def noun(self) -> Body:
        """Return the body as the service takes it."""
        return Body(
            kind=self.kind,
            text=self.text,
            messages=tuple(self.messages),
            variables=tuple(Variable(**variable.model_dump()) for variable in self.variables),
            tools=tuple(self.tools),
            output_schema=self.output_schema,
            settings=self.settings,
        )


class VersionModel(BaseModel):
    """An immutable version."""

    id: str
    prompt: str
    number: int
    ref: str
    body: BodyModel
    hash: str
    note: str
    author: str
    created_at: datetime
    includes: list[str]
    """Other prompts it includes, as it names them."""
