"""HTTP of pulls, under /api/v1/datasets/{name}/pull."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, HomeDep
from penstock.datasets import pulls

router = APIRouter()


class SqlSource(BaseModel):
    """Rows of a query."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(description="Name in [datasets] connections")
    query: str
    key: str | None = Field(
        None, description="Column that identifies a row: a cut-off pull goes on where it was"
    )


class HubSource(BaseModel):
    """A data set of the Hugging Face hub."""

    model_config = ConfigDict(extra="forbid")

    repository: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None


class FolderSource(BaseModel):
    """Documents in a folder of the server."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="In one of [datasets] pull_folders")
    pattern: str = "**/*"


class NewPull(BaseModel):
    """What to pull (exactly one of sql, hf and folder), and how to ingest it."""

    model_config = ConfigDict(extra="forbid")

    sql: SqlSource | None = None
    hf: HubSource | None = None
    folder: FolderSource | None = None
    on_bad_rows: Literal["fail", "quarantine"] = "fail"
    recipe: list[dict[str, Any]] | None = Field(None, description="Recipe: a list of steps")
    splits: dict[str, float] | None = None
    stratify_by: str | None = None
    group_by: str | None = None
    time_by: str | None = None
    seed: int = 0
    key: str | None = Field(None, description="Column that identifies a row")
    append: bool = False
    description: str = ""


class PullQueued(BaseModel):
    """The job that makes the version."""

    job: str


@router.post("/{name}/pull", status_code=202)
def pull(
    home: HomeDep,
    actor: CurrentActor,
    name: Annotated[str, Path(description="The dataset's name")],
    new: NewPull,
) -> PullQueued:
    """Pull rows from a database, the Hugging Face hub or a folder of the server, as a job. Owners only."""
    plain = {field: value for field, value in new.model_dump().items() if value is not None}
    return PullQueued(job=pulls.start(home, actor, pulls.parse({**plain, "dataset": name})).id)
