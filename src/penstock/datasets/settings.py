"""Settings of datasets."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetsSettings:
    """Section `[datasets]`: limits on what is read."""

    max_line_mb: int = 16
    """Longest record, in megabytes; longer ones count as malformed."""
    max_source_mb: int = 20480
    """Most bytes read from one source after decompression, in megabytes."""
    inline_upload_mb: int = 2
    """Uploads up to this size, in megabytes, are ingested before the answer; larger ones as a job."""
    profile_rows: int = 20000
    """Rows sampled for the costly parts of a profile: languages, personal data, near duplicates."""
    connections: dict[str, str] = field(default_factory=dict)
    """Databases that owners may pull rows from: name → SQLAlchemy URL, or `env:NAME` for the variable that has it."""
    pull_folders: list[str] = field(default_factory=list)
    """Folders of the server that owners may pull documents from over HTTP; the command line reads any."""
