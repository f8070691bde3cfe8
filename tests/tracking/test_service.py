import math
from datetime import timedelta
from pathlib import Path

import pytest

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.tracking import background, service
from penstock.tracking.model import DatasetInput, Metric, ModelStatus, ModelUse, Run, RunStatus, State


def _run(home: Home, actor: Actor, experiment: str = "speed", **values: object) -> Run:
    with home.begin() as uow:
        try:
            found = service.find_experiment(uow, actor, name=experiment)
        except NotFound:
            found = service.create_experiment(uow, actor, name=experiment)
        return service.create_run(uow, actor, experiment_id=found.id, **values)  # type: ignore[arg-type]


def _metrics(*values: float, key: str = "loss") -> list[Metric]:
    return [Metric(key=key, value=value, step=step, at_ms=1000 + step) for step, value in enumerate(values)]


def _search(
    home: Home, actor: Actor, filter: str = "", *order: str, state: State = State.ACTIVE
) -> list[str]:
    with home.read() as uow:
        found = service.search_runs(uow, actor, filter=filter, order_by=order, state=state)
    return [run.name for run in found.items]


def test_a_run_from_start_to_end(home: Home, actor: Actor) -> None:
    run = _run(home, actor, name="first", tags={"team": "mail"})
    with home.begin() as uow:
        service.log(uow, actor, run_id=run.id, metrics=_metrics(3.0, 2.0, 1.0), params={"lr": "0.1"})
        service.log(uow, actor, run_id=run.id, tags={"team": "search"})
        service.log_inputs(
            uow,
            actor,
            run_id=run.id,
            datasets=[DatasetInput(name="mail", digest="d1", tags={"mlflow.data.context": "training"})],
            models=[ModelUse(model_id="m-1", role="output", step=3)],
        )
        ended = service.change_run(uow, actor, id=run.id, status=RunStatus.FINISHED)
    assert ended.status is RunStatus.FINISHED
    assert ended.ended_at is not None
    with home.read() as uow:
        found = service.find_run(uow, actor, id=run.id)
        history = service.metric_history(uow, actor, run_id=run.id, key="loss")
    assert (found.params, found.tags) == ({"lr": "0.1"}, {"team": "search"})
    assert found.metrics["loss"] == Metric(key="loss", value=1.0, step=2, at_ms=1002)
    assert [metric.value for metric in history] == [3.0, 2.0, 1.0]
    assert [one.digest for one in found.inputs] == ["d1"]
    assert found.models == (ModelUse(model_id="m-1", role="output", step=3),)


def test_the_latest_value_is_the_one_of_the_last_step(home: Home, actor: Actor) -> None:
    run = _run(home, actor)
    for values in (
        [Metric(key="a", value=1, step=5), Metric(key="a", value=9, step=2)],
        [Metric(key="a", value=7, step=4)],
    ):
        with home.begin() as uow:
            service.log(uow, actor, run_id=run.id, metrics=values)
    with home.begin() as uow:  # sent again: nothing changes
        service.log(uow, actor, run_id=run.id, metrics=[Metric(key="a", value=7, step=4)])
    with home.read() as uow:
        assert service.find_run(uow, actor, id=run.id).metrics["a"].step == 5
        assert len(service.metric_history(uow, actor, run_id=run.id, key="a")) == 3


def test_values_that_are_no_numbers_survive(home: Home, actor: Actor) -> None:
    run = _run(home, actor)
    with home.begin() as uow:
        service.log(uow, actor, run_id=run.id, metrics=_metrics(math.nan, math.inf, -math.inf))
        service.log(uow, actor, run_id=run.id, metrics=[Metric(key="bad", value=math.nan)])
    with home.read() as uow:
        values = [one.value for one in service.metric_history(uow, actor, run_id=run.id, key="loss")]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]
    assert _search(home, actor, "metrics.bad != 1") == [run.name]
    assert _search(home, actor, "metrics.bad > -1") == []


def test_a_parameter_does_not_change(home: Home, actor: Actor) -> None:
    run = _run(home, actor)
    with home.begin() as uow:
        service.log(uow, actor, run_id=run.id, params={"lr": "1"})
    with pytest.raises(Invalid, match="'1' already"), home.begin() as uow:
        service.log(uow, actor, run_id=run.id, params={"lr": "2"}, tags={"x": "y"})
    with home.begin() as uow:
        service.log(uow, actor, run_id=run.id, params={"lr": "1"})
        assert service.find_run(uow, actor, id=run.id).tags == {}


def test_search_by_everything(home: Home, actor: Actor) -> None:
    start = clock.now()
    for number, (loss, team) in enumerate([(0.5, "Mail"), (0.1, "mail"), (0.9, "search")]):
        moment = start + timedelta(seconds=number)
        run = _run(home, actor, name=f"r{number}", started_at=moment, tags={"team": team})
        with home.begin() as uow:
            metrics = [Metric(key="val loss", value=loss)]
            service.log(uow, actor, run_id=run.id, metrics=metrics, params={"lr": str(number)})
            if number == 2:
                service.change_run(uow, actor, id=run.id, status=RunStatus.FAILED)
                data = DatasetInput(name="mail", digest="d", tags={"mlflow.data.context": "eval"})
                service.log_inputs(uow, actor, run_id=run.id, datasets=[data])
    assert _search(home, actor) == ["r2", "r1", "r0"]
    assert _search(home, actor, "metrics.`val loss` < 0.6", "metrics.`val loss` ASC") == ["r1", "r0"]
    assert _search(home, actor, "tags.team LIKE 'mai%'") == ["r1"]
    assert _search(home, actor, "tags.team ILIKE 'mai%'") == ["r1", "r0"]
    assert _search(home, actor, "params.lr = '2' AND status = 'FAILED'") == ["r2"]
    assert _search(home, actor, "params.lr = 2") == ["r2"]
    assert _search(home, actor, "status != 'FAILED' AND run_name IN ('r0', 'r2')") == ["r0"]
    assert _search(home, actor, "dataset.name = 'mail' AND dataset.context = 'eval'") == ["r2"]
    assert _search(home, actor, "tags.absent IS NULL AND params.lr IS NOT NULL", "params.lr") == [
        "r0", "r1", "r2",
    ]  # fmt: skip
    later = clock.to_ns(start) // 1_000_000 + 1500
    assert _search(home, actor, f"attributes.start_time > {later}") == ["r2"]
    assert _search(home, actor, "", "metrics.absent DESC", "start_time ASC") == ["r0", "r1", "r2"]
    for wrong in ("metrics.a LIKE 'x'", "metrics.a < 'x'", "attributes.colour = 'red'", "tags.a < 'x'"):
        with pytest.raises(Invalid):
            _search(home, actor, wrong)


def test_pages(home: Home, actor: Actor) -> None:
    for number in range(5):
        _run(home, actor, name=f"r{number}")
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        with home.read() as uow:
            page = service.search_runs(uow, actor, order_by=["run_name ASC"], offset=offset, limit=2)
        seen += [run.name for run in page.items]
        offset = page.next
    assert seen == ["r0", "r1", "r2", "r3", "r4"]


def test_delete_and_restore(home: Home, actor: Actor) -> None:
    run = _run(home, actor, name="r")
    with home.begin() as uow:
        service.set_run_state(uow, actor, id=run.id, state=State.DELETED)
    assert _search(home, actor) == []
    assert _search(home, actor, state=State.DELETED) == ["r"]
    with pytest.raises(Invalid, match="deleted"), home.begin() as uow:
        service.log(uow, actor, run_id=run.id, tags={"a": "b"})
    with home.begin() as uow:
        service.set_run_state(uow, actor, id=run.id, state=State.ACTIVE)
        service.set_experiment_state(uow, actor, id=run.experiment_id, state=State.DELETED)
    assert _search(home, actor) == []
    with pytest.raises(Conflict), home.begin() as uow:
        service.create_experiment(uow, actor, name="speed")
    with home.begin() as uow:
        service.set_experiment_state(uow, actor, id=run.experiment_id, state=State.ACTIVE)
    assert _search(home, actor) == ["r"]


def test_experiments_are_searched_renamed_and_tagged(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        one = service.create_experiment(uow, actor, name="One", tags={"team": "a"})
        service.create_experiment(uow, actor, name="two")
        service.tag_experiment(uow, actor, id=one.id, tags={"team": "b"})
        renamed = service.rename_experiment(uow, actor, id=one.id, name="uno")
        assert (renamed.name, renamed.tags) == ("uno", {"team": "b"})
        found = service.search_experiments(uow, actor, filter="tags.team = 'b' AND name LIKE 'u%'")
        assert [experiment.id for experiment in found.items] == [one.id]
        service.tag_experiment(uow, actor, id=one.id, remove=["team"])
        with pytest.raises(NotFound):
            service.tag_experiment(uow, actor, id=one.id, remove=["team"])
        with pytest.raises(Conflict):
            service.rename_experiment(uow, actor, id=one.id, name="two")


def test_another_project_sees_nothing(home: Home, actor: Actor) -> None:
    run = _run(home, actor)
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
    stranger = actor.within("other")
    assert _search(home, stranger) == []
    for verb in (service.find_run, service.change_run):
        with pytest.raises(NotFound), home.begin() as uow:
            verb(uow, stranger, id=run.id)
    with pytest.raises(NotFound), home.begin() as uow:
        service.log(uow, stranger, run_id=run.id, tags={"a": "b"})
    with pytest.raises(NotFound), home.begin() as uow:
        service.create_run(uow, stranger, experiment_id=run.experiment_id)


def test_artifacts(home: Home, actor: Actor, tmp_path: Path) -> None:
    run = _run(home, actor)
    for path in ("a.txt", "dir/b.txt", "dir/sub/c.txt", "dirt.txt", "100%/_.txt", "1000/x"):
        (tmp_path / "file").write_text(path)
        service.put_artifact(home, actor, root=run.id, path=path, source=tmp_path / "file")
    with home.begin() as uow:
        top = service.list_artifacts(uow, actor, root=run.id)
        assert [(one.path, one.is_dir) for one in top] == [
            ("100%", True),
            ("1000", True),
            ("a.txt", False),
            ("dir", True),
            ("dirt.txt", False),
        ]
        assert [one.path for one in service.list_artifacts(uow, actor, root=run.id, path="dir")] == [
            "dir/b.txt",
            "dir/sub",
        ]
        assert [one.path for one in service.tree_of(uow, actor, root=run.id, path="100%")] == ["100%/_.txt"]
        file = service.get_artifact(uow, actor, root=run.id, path="dir/sub/c.txt")
        assert home.blobs.read(file.sha256) == b"dir/sub/c.txt"
        assert service.remove_artifacts(uow, actor, root=run.id, path="dir") == 2
        with pytest.raises(NotFound):
            service.get_artifact(uow, actor, root=run.id, path="dir/b.txt")
    for wrong in ("../x", "/x", "a//b", "a/../b", "a\\b", "a\0", ""):
        with pytest.raises(Invalid):
            service.put_artifact(home, actor, root=run.id, path=wrong, source=tmp_path / "file")


def test_logged_models(home: Home, actor: Actor) -> None:
    run = _run(home, actor)
    with home.begin() as uow:
        model = service.create_model(
            uow, actor, experiment_id=run.experiment_id, name="net", run_id=run.id, params={"depth": "3"}
        )
        assert model.status is ModelStatus.PENDING
        service.change_model(uow, actor, id=model.id, status=ModelStatus.READY)
        values = [Metric(key="acc", value=0.3 + step / 5, step=step, run_id=run.id) for step in (1, 2)]
        service.add_model_facts(uow, actor, id=model.id, tags={"a": "b"}, metrics=values)
        found = service.search_models(uow, actor, filter="params.depth = '3' AND metrics.acc > 0.6")
        assert [one.id for one in found.items] == [model.id]
        assert [metric.value for metric in found.items[0].metrics] == [0.7]
        assert len(service.model_history(uow, actor, id=model.id, key="acc")) == 2
        service.delete_model(uow, actor, id=model.id)
        with pytest.raises(NotFound):
            service.find_model(uow, actor, id=model.id)


@pytest.mark.parametrize(
    "facts",
    [
        {"params": {"": "x"}},
        {"params": {"k" * 251: "x"}},
        {"tags": {"a\nb": "x"}},
        {"params": {"a": "x" * 9000}},
        {"metrics": [Metric(key="a", value=1, step=1 << 63)]},
        {"metrics": [Metric(key="", value=1)]},
        {"params": {str(number): "x" for number in range(1001)}},
    ],
)
def test_what_does_not_fit_is_refused(home: Home, actor: Actor, facts: dict[str, object]) -> None:
    run = _run(home, actor)
    with pytest.raises(Invalid), home.begin() as uow:
        service.log(uow, actor, run_id=run.id, **facts)  # type: ignore[arg-type]


def _heard(home: Home, actor: Actor, run: Run) -> None:
    with home.begin() as uow:
        service.heartbeat(uow, actor, id=run.id)


def test_a_run_that_promised_a_heartbeat_and_is_silent_fails_and_says_why(home: Home, actor: Actor) -> None:
    start = clock.now()
    silent, heard, promised_nothing = (_run(home, actor, name=name) for name in ("silent", "heard", "mlflow"))
    with clock.frozen(start):
        _heard(home, actor, silent)
    later = start + timedelta(minutes=11)
    with clock.frozen(later):
        _heard(home, actor, heard)
        assert background.tick(home, since=later - timedelta(minutes=9)) == 0, "the server was away itself"
        assert background.tick(home, since=start) == 1
        assert background.tick(home, since=start) == 0
    with home.read() as uow:
        failed = service.find_run(uow, actor, id=silent.id)
        others = [service.find_run(uow, actor, id=one.id).status for one in (heard, promised_nothing)]
    assert (failed.status, failed.ended_at) == (RunStatus.FAILED, start)
    assert failed.tags["penstock.silent"].startswith("Nothing was heard of the run's program for 10 minutes")
    assert others == [RunStatus.RUNNING, RunStatus.RUNNING]
    _heard(home, actor, silent)
    with home.read() as uow:
        again = service.find_run(uow, actor, id=silent.id)
    assert (again.status, again.ended_at, "penstock.silent" in again.tags) == (RunStatus.RUNNING, None, False)


def test_what_a_run_says_of_its_end_counts_more_than_its_silence(home: Home, actor: Actor) -> None:
    start, run = clock.now(), _run(home, actor)
    with clock.frozen(start):
        _heard(home, actor, run)
    with clock.frozen(start + timedelta(hours=1)):
        assert background.tick(home, since=start) == 1
        with home.begin() as uow:
            ended = service.change_run(uow, actor, id=run.id, status=RunStatus.FINISHED)
            assert (ended.status, "penstock.silent" in ended.tags) == (RunStatus.FINISHED, False)
            service.heartbeat(uow, actor, id=run.id)
            assert service.find_run(uow, actor, id=run.id).status is RunStatus.FINISHED
        with home.begin() as uow:
            service.change_run(uow, actor, id=run.id, status=RunStatus.FAILED)
            service.heartbeat(uow, actor, id=run.id)
            assert service.find_run(uow, actor, id=run.id).status is RunStatus.FAILED
        assert background.tick(home, since=start) == 0
