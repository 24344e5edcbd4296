"""The Playground in a browser: what a visitor sees, presses and changes."""

from collections.abc import Callable
from typing import Any

import pytest
from browser import LINES, PATIENCE, SMALL, Visit

from explorer.comparison import names
from explorer.experiments.arms import PRESETS

pytestmark = pytest.mark.e2e


def switches(visit: Visit) -> Any:
    return visit.page.get_by_role("switch", name="Skip connection of block")


def test_the_first_screen_shows_what_was_measured(visit: Visit) -> None:
    visit.open()
    assert visit.page.get_by_role("heading", level=1).inner_text() == (
        "Can a 56-layer network learn these digits?"
    )
    visit.see("exploding")
    visit.see("rule: above 100 x explodes, below 1/100 vanishes, between is healthy")
    visit.see("Held fixed: data, order of batches")
    visit.see("Differs: residual-56: shortcut none → zero_pad.")
    lines = {line["name"]: line["y"] for line in visit.lines("profile")}
    assert {"plain-56", "residual-56", "plain-56, predicted"} <= set(lines)
    assert len(lines["plain-56"]) == len(lines["residual-56"]) == 28  # the stem and 27 blocks
    assert lines["plain-56"][0] > 1000 * lines["plain-56"][-1]
    assert switches(visit).count() == 27
    for chart in visit.page.locator(".card:visible").all():
        assert chart.locator(".plot").inner_text().strip()


def test_a_skip_is_cut_and_restored_by_a_click(visit: Visit) -> None:
    visit.open()
    whole = visit.line("profile", "residual-56")
    skip = visit.page.get_by_role("switch", name="Skip connection of block 5 of residual-56")
    skip.locator(".hit").click()
    assert skip.get_attribute("aria-checked") == "false"
    visit.wait_for_url("skip")
    cut = visit.wait_for_change("profile", "residual-56", whole)
    assert cut[0] < whole[0] or cut[0] > whole[0]
    skip.locator(".hit").click()
    assert skip.get_attribute("aria-checked") == "true"
    visit.wait_for_change("profile", "residual-56", cut)
    assert visit.line("profile", "residual-56") == whole


def test_all_skips_of_an_arm_change_at_once(visit: Visit) -> None:
    visit.open("plain-8,width=4", "resnet-8,width=4")
    whole = visit.line("profile", "residual-8")
    plain = visit.line("profile", "plain-8")
    visit.page.get_by_test_id("skips-none-1").click()
    assert visit.wait_for_change("profile", "residual-8", whole) == plain
    visit.page.get_by_test_id("skips-every-other-1").click()
    visit.wait_for_change("profile", "residual-8", plain)
    on = [each.get_attribute("aria-checked") for each in switches(visit).all()]
    assert on == ["true", "false", "true"]
    visit.page.get_by_test_id("strength-1").fill("0.5")
    visit.wait_for_url("skip%3D0.5")
    assert visit.page.locator("output").inner_text() == "0.50"


def test_the_keyboard_reaches_every_skip_and_presses_nothing_else(visit: Visit) -> None:
    visit.open("plain-8,width=4", "resnet-8,width=4")
    visit.page.get_by_test_id("strength-1").focus()
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Space")
    visit.wait_for_url("skip")
    on = [each.get_attribute("aria-checked") for each in switches(visit).all()]
    assert on == ["true", "false", "true"]
    assert visit.run == ""
    assert visit.state in ("idle", "measuring")


def test_a_run_is_watched_changed_paused_and_stepped(visit: Visit) -> None:
    visit.open(*SMALL).play()
    visit.wait_for("running")
    before = len(visit.line("curves", "plain-8"))
    visit.reach(visit.step + 20)
    assert len(visit.line("curves", "plain-8")) > before
    rate = visit.page.get_by_role("slider", name="learning rate")
    rate.focus()
    rate.press("ArrowLeft")
    visit.wait_for_label("curves", "rate 0.05")
    visit.page.get_by_role("switch", name="Skip connection of block 2").locator(".hit").click()
    visit.wait_for_label("curves", "1 skip cut")
    visit.reach(visit.step + 5)
    visit.wait_for("running")
    visit.page.locator("h1").click()
    visit.page.keyboard.press("Space")
    visit.wait_for("paused")
    visit.settle()
    paused = visit.step
    visit.page.keyboard.press("ArrowRight")
    visit.see(f"paused at step {paused + 1} of 4000")
    visit.page.keyboard.press("Space")
    visit.reach(paused + 5)
    visit.press("stop")
    visit.wait_for("stopped")
    visit.press("reset")
    visit.wait_for_url(without="run=")
    visit.wait_for("idle")
    assert visit.step == 0


def test_a_run_outlives_a_reload_and_shows_in_every_tab(
    visit: Visit, tab: Callable[..., Visit]
) -> None:
    visit.open(*SMALL).play(step=5)
    run, step = visit.run, visit.step
    visit.page.reload()
    visit.ready().reach(step)
    assert visit.run == run
    second = tab().open(*SMALL, run=run).reach(step)
    assert second.run == run
    second.reach(second.step + 5)
    third = tab().open()
    third.see("plain-8 and residual-8 are training")
    third.page.get_by_role("button", name="Show").click()
    third.wait_for_url(f"run={run}")
    third.reach(step)
    assert third.line("curves", "plain-8")


def test_a_change_of_the_network_leaves_the_run_alone_and_offers_the_way_back(
    visit: Visit,
) -> None:
    visit.open(*SMALL).play()
    run = visit.run
    depth = visit.page.get_by_role("slider", name="depth")
    depth.focus()
    depth.press("ArrowRight")
    visit.wait_for_url("plain-14", without="run=")
    visit.wait_for("idle")
    visit.see("Can a 14-layer network learn these digits?")
    assert len(visit.line("profile", "plain-14")) == 7
    visit.see("plain-8 and residual-8 are training")
    visit.page.get_by_role("button", name="Show").click()
    visit.wait_for_url(f"run={run}", "plain-8")
    visit.wait_for("running")


def test_every_preset_sets_its_arms(visit: Visit) -> None:
    visit.open("plain-8,width=4", "resnet-8,width=4")
    for preset in PRESETS:
        visit.page.get_by_role("radio", name=preset.name, exact=True).click()
        visit.see(preset.look_at)
        visit.wait_for_url("56", without="plain-8")
        visit.page.wait_for_function(
            """(names) => JSON.stringify(names) === JSON.stringify(
              [...document.querySelectorAll('.arm-name')].map((name) => name.textContent))""",
            arg=names(preset.specs),
            timeout=PATIENCE,
        )
        for name in names(preset.specs):
            visit.see(f"{name}: the stem receives")


def test_of_the_twins_the_one_with_skips_learns(visit: Visit) -> None:
    visit.open("plain-56,width=8,steps=50", "resnet-56,width=8,steps=50").play()
    visit.wait_for("done")
    accuracy = {
        line["name"]: line["y"][-1] for line in visit.lines("curves") if len(line["y"]) < 10
    }
    assert accuracy["residual-56"] > accuracy["plain-56"] + 20
    visit.see("plain-56 stuck near chance")
    assert visit.page.locator("[data-chart=heatmap]").is_visible()


def test_an_arm_that_diverges_is_marked_and_the_other_goes_on(visit: Visit) -> None:
    arms = "plain-20,width=8,steps=30,norm=none,lr=0.5", "plain-20,width=8,steps=30,norm=none"
    visit.open(*arms).play()
    visit.see("The loss is no longer a finite number at step")
    visit.wait_for_label("curves", "diverged at step")
    visit.wait_for("done")
    visit.page.wait_for_function(
        f"""() => ({LINES})("curves").some(({{ name, y }}) => name === "plain-20, lr 0.1"
          && y.length === 30 && y.every(Number.isFinite))""",
        timeout=PATIENCE,
    )


def test_points_in_the_plane_show_the_boundary_as_it_moves(visit: Visit) -> None:
    arms = [f"mlp-8,width=16,data=spirals,steps=4000,shortcut={s}" for s in ("none", "zero_pad")]
    visit.open(*arms).play()
    visit.page.wait_for_selector("[data-chart=boundary] .plot .heatmaplayer", timeout=20_000)
    picture = "document.querySelector('[data-chart=boundary] .plot').data[0].z.bdata"
    before = visit.page.evaluate(picture)
    visit.page.wait_for_function(f"(before) => {picture} !== before", arg=before)
    visit.see("Can an 8-layer network tell these points apart?")
