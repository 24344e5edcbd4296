"""What visitors of the gradient laboratory type and press: networks, presets, steps, sliders."""

import re

import pytest
from stand_in import StandIn, install
from streamlit.testing.v1 import AppTest
from test_inside_pages import opened, run, words_of

from explorer.experiments.arms import PRESETS
from explorer.spec import short_form
from explorer.ui.gradients import factors
from explorer.ui.inside.state import InsideChoice

FORMS = ("gradient_profile", "jacobians", "gradient_by_depth")  # where networks are typed
SMALL = ("plain-8,width=4@0", "resnet-8,width=4@0")


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    return install(monkeypatch)


def typed(made: AppTest, index: int, text: str) -> AppTest:
    made.text_input(key=f"lab_net_{index}").set_value(text)
    return run(made)


def nets_of(made: AppTest) -> list[str]:
    nets = words_of(made).get("net", [])
    return [nets] if isinstance(nets, str) else nets


@pytest.mark.parametrize("page", FORMS)
def test_networks_are_typed_and_a_bad_one_changes_nothing(page: str, executor: StandIn) -> None:
    usual = InsideChoice().nets_on(page)
    made = typed(opened(page), 0, "  plain-8,width=4 ")
    assert nets_of(made) == ["plain-8,width=4@0", usual[1]]
    for wrong, said in (
        ("resnet-9", "depth: '9' is not allowed"),
        ("nonsense", "network: 'nonsense' is not allowed"),
        ("999", "run: '999' is not in the store"),
        ("resnet-8,width=4@5", "step: '5' is not allowed"),
    ):
        made = typed(made, 1, wrong)
        (line,) = made.error
        assert re.sub(r"\\(.)", r"\1", line.value).startswith(said)
        assert nets_of(made) == ["plain-8,width=4@0", usual[1]]
        assert made.text_input(key="lab_net_1").value == wrong  # to be mended
    assert not typed(made, 1, "resnet-14,width=4").error
    assert nets_of(made) == ["plain-8,width=4@0", "resnet-14,width=4@0"]


def test_gates_that_differ_have_no_depths_and_that_is_said_where_they_are_typed(
    executor: StandIn,
) -> None:
    made = typed(opened("gradient_by_depth"), 1, "resnet-8,skip=1~0~1")
    assert made.error[0].value.startswith("skip\\: 'several gates'")
    assert words_of(made) == {}


@pytest.mark.parametrize("page", FORMS)
def test_a_preset_a_network_more_and_a_network_less(page: str, executor: StandIn) -> None:
    made = opened(page)
    assert made.segmented_control(key="lab_preset").value == PRESETS[3].name
    made.segmented_control(key="lab_preset").set_value(PRESETS[0].name)
    expected = [f"{short_form(spec)}@0" for spec in PRESETS[0].specs]
    assert nets_of(run(made)) == expected
    made.button(key="remove_net").click()
    assert nets_of(run(made)) == expected[:1]
    assert [button.key for button in made.button if button.key == "remove_net"] == []
    made.button(key="add_net").click()
    assert nets_of(run(made)) == expected  # the twin of the one that was left
    room = 4 if page == "gradient_profile" else 2
    for count in range(3, room + 1):
        made.button(key="add_net").click()
        assert len(set(nets_of(run(made)))) == count
    assert [button.key for button in made.button if button.key == "add_net"] == []


@pytest.mark.parametrize("page", ["gradient_profile", "jacobians"])
def test_steps_are_chosen_and_typed(page: str, executor: StandIn) -> None:
    made = opened(page)
    plain, residual = InsideChoice().nets_on(page)
    made.select_slider(key="lab_step_1").set_value(300)
    later = residual.replace("@0", "@300")
    assert nets_of(run(made)) == [plain, later]
    assert made.select_slider(key="lab_step_1").value == 300
    assert nets_of(typed(made, 1, "resnet-8,width=4")) == [plain, "resnet-8,width=4@0"]
    assert nets_of(typed(made, 1, later)) == [plain, later]
    shallow = "resnet-20,width=8,steps=300"
    assert nets_of(typed(made, 1, shallow)) == [plain, f"{shallow}@300"]  # it has that step too


def test_no_seeds_are_offered_where_every_network_is_trained(executor: StandIn) -> None:
    later = [net.replace("@0", "@300") for net in InsideChoice().nets_on("gradient_profile")]
    assert "word_seeds" in [c.key for c in opened("gradient_profile").segmented_control]
    made = opened("gradient_profile", net=later)
    assert "word_seeds" not in [control.key for control in made.segmented_control]


def test_sliders_of_factors_write_into_the_address(executor: StandIn) -> None:
    made = opened("product_of_factors", layers="7")
    assert made.select_slider(key="factors_layers").value == 7
    for name, value in (("variance", "25/9"), ("layers", 100), ("width", 32)):
        made.select_slider(key=f"factors_{name}").set_value(value)
        run(made)
    made.segmented_control(key="word_activation").set_value("tanh")
    said = {"variance": "25/9", "layers": "100", "width": "32", "activation": "tanh"}
    assert words_of(run(made)) == said
    # Whatever the sliders say together, the library agrees to.
    assert max(factors.LAYERS) * max(factors.WIDTHS) ** 2 < 50_000_000


def test_links_lead_to_pages_of_networks_alone(executor: StandIn) -> None:
    for page in ("paths", *FORMS):
        links = [html.proto.body for html in opened(page, net=list(SMALL)).get("html")]
        named = [re.findall('href="/?([a-z_]*)[?]([^"]*)', link) for link in links]
        pages = {name: query for found in named for name, query in found}
        assert len(pages) > 5
        assert not pages.keys() & {"product_of_factors", "shattering", page}
        assert {query.count("net=resnet-8") for query in pages.values()} == {1}
