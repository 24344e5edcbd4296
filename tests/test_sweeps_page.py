"""The sweeps' page: its address, where members stand, what is drawn, and what buttons start."""

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stand_in import StandIn, install
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from explorer.experiments.grid import expand, usual
from explorer.experiments.race import Race, normalized
from explorer.experiments.reference import reference
from explorer.figures import Ending, outcomes
from explorer.figures.outcomes import MOST_NAMED
from explorer.spec import SpecError, parse
from explorer.store import Store, StoreError, Sweep, this_process
from explorer.trace import Reading
from explorer.ui import sweeps
from explorer.ui.drawing import Screen
from explorer.ui.lab import lab
from explorer.ui.pages import page_files
from explorer.ui.server import ROUTES
from explorer.ui.state import TROUBLE
from explorer.ui.sweep_cells import ALONE, cells
from explorer.ui.sweeps_state import FIELDS, SweepChoice, read_sweeps, sweeps_url
from explorer.ui.sweeps_view import SweepsViews

PAGE = next(file for file in page_files() if file.stem.endswith("sweeps"))
BASE = "resnet-8,width=4,steps=10"
SMALL = read_sweeps({"base": BASE}, ["norm:batch,none", "lr:0.3,0.1,0.01"])
SCREEN = Screen(show=("outcomes",))


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def finish(store: Store, run: int, accuracy: float, state: Any = "done") -> None:
    """Write readings of a run at 10 steps, and its end."""
    curves = {"train_loss": 1 - accuracy, "train_accuracy": accuracy, "test_accuracy": accuracy / 2}
    for probe, value in curves.items():
        store.describe(run, probe, ("network",), "", False)
        read = [(run, Reading(probe, step, np.array([value], np.float32))) for step in range(10)]
        store.write(read, {run: 2.0})
    store.update(run, state=state, device="cpu")


def train(store: Store, sweep: Sweep, accuracy: Any) -> None:
    """End every member of a sweep with `accuracy(spec)`; diverged where that is NaN."""
    while (comparison := lab().sweeping.next()) is not None:
        found = store.comparison(comparison)
        assert found is not None
        reached = accuracy(found.runs[0].spec)
        gone = math.isnan(reached)
        finish(store, found.runs[0].id, 0.5 if gone else reached, "diverged" if gone else "done")
        lab().sweeping.ended(comparison)


def by_rate(spec: Any) -> float:
    """A made-up training: no norm diverges at 0.3; else the smaller the rate, the better."""
    if spec.network.norm == "none" and spec.recipe.lr == 0.3:
        return math.nan
    return 0.9 - spec.recipe.lr - 0.05 * spec.seed


@pytest.mark.parametrize(
    ("words", "grid"),
    [
        ({}, []),
        ({"base": "resnet-8,width=4"}, []),
        (
            {"base": BASE, "seeds": "3", "sweep": "abcd1234", "metric": "loss"},
            ["stages:3x4~3x8,9x4"],
        ),
        ({"base": "nonsense"}, ["lr:", "depth:20,21"]),
    ],
)
def test_an_address_says_the_same_when_it_is_written_again(
    words: dict[str, str], grid: list[str]
) -> None:
    choice = read_sweeps(words, grid)
    assert choice.query == {**words, **({"grid": grid} if grid else {})}
    assert read_sweeps(words, choice.query.get("grid", [])) == choice


def test_the_form_and_the_command_line_train_the_same_runs() -> None:
    values = {"norm": ("batch", "none"), "lr": (0.3, 0.1, 0.01)}
    assert SMALL.specs == expand(parse(BASE), values, 2)
    assert SweepChoice().refusal == ("", "")


@pytest.mark.parametrize(
    ("words", "grid", "said"),
    [
        ({"seeds": "11"}, [], "seeds: '11' is not allowed"),
        ({"metric": "speed"}, [], "metric: 'speed' is not allowed"),
        ({}, ["lr"], "grid: 'lr' is not allowed; write FIELD:VALUES"),
        ({}, ["seed:1,2"], "grid: 'seed' is not allowed"),
        ({}, [f"{field}:1" for field in FIELDS[:5]], "grid: '5 fields' is not allowed"),
    ],
)
def test_a_bad_address_is_one_line(
    words: dict[str, str], grid: list[str], said: str, executor: StandIn
) -> None:
    with pytest.raises(SpecError) as error:
        read_sweeps(words, grid)
    assert str(error.value).startswith(said)
    answer = client().get("/live/sweeps", params={**words, "grid": grid})
    assert (answer.status_code, answer.json()) == (400, {"error": str(error.value)})


@pytest.mark.parametrize(
    ("base", "grid", "where", "said"),
    [
        ("plain-20,widht=8", [], "base", "write key=value"),
        (BASE, ["lr:0.1,fast"], "grid", "lr: 'fast' is not allowed"),
        (BASE, ["depth:8,9"], "grid", "depth: '9' is not allowed"),
        (BASE, ["lr:0.1", "lr:0.2"], "grid", "a field is varied once"),
        (BASE, ["width:"], "grid", "one value or more"),
        (BASE, ["steps:" + ",".join(map(str, range(1, 1002)))], "grid", "at most 2000"),
    ],
)
def test_a_grid_that_cannot_be_trained_says_why_and_stays(
    base: str, grid: list[str], where: str, said: str, executor: StandIn
) -> None:
    choice = read_sweeps({"base": base}, grid)
    assert choice.refusal[0] == where
    assert said in choice.refusal[1]
    view = SweepsViews(lab()).view(choice, SCREEN)
    assert not view["controls"]["play"]
    page = opened(base=base, grid=grid)
    assert any(said in re.sub(r"\\(.)", r"\1", line.value) for line in page.markdown)
    assert page.text_input(key="sweep_base").value == base


def client() -> TestClient:
    return TestClient(Starlette(routes=ROUTES))


def opened(**words: Any) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=30)
    for name, value in words.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def choice_of(page: AppTest) -> SweepChoice:
    words = {name: page.query_params[name] for name in page.query_params}
    flat = {n: v[0] if isinstance(v, list) else v for n, v in words.items()}
    grid = words.get("grid", [])
    return read_sweeps(flat, grid if isinstance(grid, list) else [grid])


def test_controls_write_the_grid_into_the_address(executor: StandIn) -> None:
    page = opened()
    page.text_input(key="sweep_base").set_value("resnet-8,width=4").run()
    page.select_slider(key="sweep_seeds").set_value(3).run()
    page.selectbox(key="sweep_field_2").set_value("depth").run()
    assert choice_of(page).grid[2] == ("depth", "8")
    page.text_input(key="sweep_values_2").set_value("8, 14").run()
    page.selectbox(key="sweep_field_0").set_value(None).run()
    choice = choice_of(page)
    assert (choice.base, choice.seeds) == ("resnet-8,width=4", 3)
    assert choice.grid == (("lr", "0.3,0.1,0.01"), ("depth", "8, 14"))
    assert {spec.network.depth for spec in choice.specs} == {8, 14}
    page.segmented_control(key="sweep_metric").set_value("loss").run()
    assert choice_of(page).metric == "loss"


@given(
    st.lists(st.sampled_from([8, 14, 20]), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from([0.3, 0.1, 0.01, 0.001]), min_size=1, max_size=4, unique=True),
    st.lists(st.sampled_from(["batch", "none"]), min_size=1, max_size=2, unique=True),
    st.integers(1, 2),
)
def test_every_combination_has_a_cell_of_its_own(
    depths: list[int], rates: list[float], norms: list[str], seeds: int
) -> None:
    grid = {"depth": depths, "lr": rates, "norm": norms}
    specs = expand(parse(BASE), grid, seeds)
    layout = cells(specs)
    places = set(layout.places)
    assert len(places) == len(depths) * len(rates) * len(norms) == len(specs) // seeds
    assert len(places) == len(layout.columns) * len(layout.rows)
    longest = max(len(values) for values in grid.values())
    assert len(layout.columns) == longest if longest > 1 else layout.rows == (ALONE,)
    if layout.field == "lr":
        assert layout.columns == tuple(f"{rate:g}" for rate in rates)


def test_a_field_that_another_decides_is_not_told_twice() -> None:
    race = Race(depths=(8, 20), seeds=1)
    layout = cells([*race.specs, *normalized(race.specs)])
    assert {layout.field, *layout.others} == {"depth", "shortcut", "lr"}
    assert (layout.columns, layout.rows[0]) == (("0.1", "0.003"), "depth 8, shortcut none")
    assert layout.plain[0]


def test_what_the_store_has_of_the_grid_stands_there_before_it_is_trained(
    executor: StandIn,
) -> None:
    views = SweepsViews(lab())
    before = views.view(SMALL, SCREEN)
    assert before["words"]["play"] == "Train 12 runs"
    assert {member["state"] for member in before["members"]} == {"queued"}
    made = executor.store.add_comparison([("mine", SMALL.specs[4])], "me").runs[0]
    finish(executor.store, made.id, 0.75)
    view = views.view(SMALL, SCREEN)
    assert view["words"]["play"] == "Train 11 runs"
    (mark,) = [member for member in view["members"] if member["state"] == "done"]
    assert (mark["row"], mark["column"], mark["seed"]) == ("norm none", "0.1", 0)
    assert view["members_link"]["href"] == mark["link"] == f"/runs?ids={made.id}"
    assert (
        heading(view["figures"]["outcomes"])
        == "So far, training error: norm none, lr 0.1: 25 % (1 seed)"
    )


def test_a_grid_that_nobody_trained_here_shows_what_the_program_has_recorded(
    executor: StandIn,
) -> None:
    view = SweepsViews(lab()).view(read_sweeps({}, []), SCREEN)
    assert [member["state"] for member in view["members"]] == ["recorded"] * 12
    assert reference().where in str(view["figures"]["outcomes"])
    assert heading(view["figures"]["outcomes"]).startswith("Lowest training error: ")
    run = reference().runs[usual()[0].key]
    value = 100 * (1 - run.traces["train_accuracy"].values[-run.spec.steps_per_epoch :, 0].mean())
    drawn = [dot for trace in view["figures"]["outcomes"]["data"] for dot in trace.get("y", ())]
    assert min(abs(dot - value) for dot in drawn if dot is not None) < 1e-4


def heading(figure: Any) -> str:
    title = (
        figure["layout"]["title"]["text"] if isinstance(figure, dict) else figure.layout.title.text
    )
    bold = re.findall("<b>(.*?)</b>", title)
    return " ".join(bold).replace("\u00a0", " ")


def test_a_sweep_on_show_says_how_far_it_is_and_what_came_of_it(executor: StandIn) -> None:
    views = SweepsViews(lab())
    sweep = lab().sweeping.start(SMALL.name, SMALL.specs)
    attached = read_sweeps({"sweep": sweep.id}, [])
    waiting = views.view(attached, SCREEN)
    assert (waiting["state"], waiting["controls"]["stop"]) == ("running", True)
    assert waiting["progress"].startswith("0 of 12 runs done, 0 training")
    train(executor.store, sweep, by_rate)
    done = views.view(attached, SCREEN)
    assert (done["state"], done["progress"]) == ("done", "12 of 12 runs done")
    assert done["step"] == done["steps"]
    assert heading(done["figures"]["outcomes"]) == (
        "Lowest training error: norm batch, lr 0.01 and 1 more: 14 % (mean of 2 seeds); "
        "highest: norm none, lr 0.3: 90 % (mean of 2 seeds, 2 diverged)"
    )
    views.lists.made.clear()
    (line,) = views.listed()
    assert (line["name"], line["state"], line["done"], line["all"]) == (SMALL.name, "done", 12, 12)


@pytest.mark.parametrize(
    ("metric", "finished", "gone"),
    [("train_error", 25.0, 90.0), ("test_error", 62.5, 90.0), ("loss", 0.25, math.log(10))],
)
def test_dots_are_what_the_runs_ended_with(
    metric: str, finished: float, gone: float, executor: StandIn
) -> None:
    sweep = lab().sweeping.start("s", [parse(BASE), parse(f"{BASE},lr=0.3")])
    train(executor.store, sweep, lambda spec: math.nan if spec.recipe.lr == 0.3 else 0.75)
    choice = read_sweeps({"sweep": sweep.id, "metric": metric}, [])
    view = SweepsViews(lab())
    shown = view._shown(choice, executor.store.sweeps.get(sweep.id))
    layout = view.layout(shown.specs)
    ends = view._endings(shown, layout, choice.metric)
    scale = 1 if metric == "loss" else 100
    assert [scale * end.value for end in ends] == pytest.approx([finished, gone])
    figure = outcomes(ends, layout.columns, layout.field, choice.metric, rows=layout.rows)
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert list(dots[0].y) == pytest.approx([finished, gone])
    assert list(dots[0].marker.symbol) == ["circle", "x"]


@pytest.mark.parametrize(("columns", "rows"), [(60, 1), (1, 60), (45, 44)])
@pytest.mark.parametrize("narrow", [False, True])
def test_large_grids_are_thinned_in_words_and_not_in_dots(
    columns: int, rows: int, narrow: bool
) -> None:
    across, down = [f"<b>{i}" for i in range(columns)], [f"norm {i}" for i in range(rows)]
    ends = [
        Ending(c, r, 0, 0.01 * (i + j)) for i, c in enumerate(across) for j, r in enumerate(down)
    ]
    figure = outcomes(ends, across, "lr", rows=down, asked=len(ends), narrow=narrow)
    dots = [trace for trace in figure.data if trace.mode == "markers"]
    assert sum(len(trace.x) for trace in dots) == columns * rows
    assert sum(bool(trace.showlegend) for trace in dots) <= MOST_NAMED
    assert len(figure.layout.xaxis.ticktext) <= 12
    places = sorted(x for trace in dots for x in trace.x)
    assert np.diff(places).min() > 1e-3
    assert not any("<b>" in tick for tick in figure.layout.xaxis.ticktext)
    figure.__class__(figure.to_dict())  # Plotly's own check


def test_an_unknown_sweep_is_said(executor: StandIn) -> None:
    view = SweepsViews(lab()).view(read_sweeps({"sweep": "nowhere1"}, []), SCREEN)
    assert "not on this machine" in view["message"]


def test_the_route_answers_once_for_what_has_not_changed(executor: StandIn) -> None:
    address = sweeps_url(SMALL, ("outcomes",))
    first = client().get(address)
    again = {"If-None-Match": first.headers["etag"]}
    assert first.status_code == 200
    assert client().get(address, headers=again).status_code == 304
    executor.store.add_comparison([("new", parse("resnet-8"))], "me")
    assert client().get(address, headers=again).status_code == 200


def test_train_cancel_and_resume_go_through_the_address(executor: StandIn) -> None:
    def pressed(name: str, **words: Any) -> AppTest:
        def script(name: str) -> None:
            from explorer.ui import sweeps

            sweeps.command(name)

        page = AppTest.from_function(script, default_timeout=30, kwargs={"name": name})
        for key, value in words.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception
        return page

    grid = ["norm:batch,none"]
    started = choice_of(pressed("play", base=BASE, grid=grid)).sweep
    assert started
    sweep = executor.store.sweeps.get(started)
    assert sweep is not None
    assert [m.spec for m in sweep.members] == list(read_sweeps({"base": BASE}, grid).specs)
    pressed("stop", sweep=started)
    assert executor.store.sweeps.state(started) == "cancelled"
    pressed("resume", sweep=started)
    assert executor.store.sweeps.state(started) == "running"
    assert choice_of(pressed("reset", base=BASE, sweep=started)).sweep is None


def test_a_sweep_of_another_program_is_cancelled_but_not_taken_over(executor: StandIn) -> None:
    import psutil

    parent = psutil.Process().parent()
    assert parent is not None
    owner = f"{parent.pid}:{parent.create_time():.2f}"
    sweep = executor.store.sweeps.add("theirs", SMALL.specs, owner)
    with pytest.raises(StoreError, match="is trained by another program"):
        lab().sweeping.resume(sweep.id)
    page = opened()

    def script(name: str) -> None:
        from explorer.ui import sweeps

        sweeps.attach(name)
        sweeps.command("resume")

    page = AppTest.from_function(script, default_timeout=30, kwargs={"name": sweep.id}).run()
    assert choice_of(page).sweep == sweep.id
    assert "trained by another program" in page.session_state[TROUBLE]
    lab().sweeping.cancel(sweep.id)
    views = SweepsViews(lab())
    assert views.view(read_sweeps({"sweep": sweep.id}, []), SCREEN)["state"] == "stopped"
    assert views.listed()[0]["state"] == "stopped"


def test_a_sweep_that_is_not_the_forms_is_named(executor: StandIn) -> None:
    sweep = executor.store.sweeps.add("depths from a terminal", [parse(BASE)], this_process())
    page = opened(sweep=sweep.id)
    assert any("depths from a terminal" in line.value for line in page.markdown)
    assert not any("On show" in line.value for line in opened().markdown)


def test_every_field_can_be_added_to_a_grid(executor: StandIn) -> None:
    for field in FIELDS:
        present = sweeps._present("resnet-8,width=4", field)
        choice = SweepChoice(base="resnet-8,width=4", grid=((field, present),), seeds=1)
        where, why = choice.refusal
        assert not where or field in why, field
        assert bool(present) == (not where), field
