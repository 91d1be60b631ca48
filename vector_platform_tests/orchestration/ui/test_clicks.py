"""Three jobs are launched by clicks in a browser, from the list of jobs to the end of the run."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from vector_platform.lake.decisions import Decisions
from vector_platform_tests.orchestration.ui import browser
from vector_platform_tests.orchestration.ui.deployment import Deployment

# A page of the UI, on a machine that does much else.
PAGE_MS = 90_000
REASON = "clicked in a test"


@pytest.fixture(scope="module")
def page(deployment: Deployment) -> Iterator[Page]:
    with browser.opened() as opened:
        # The list of jobs draws what there is room for.
        page = opened.new_page(viewport={"width": 1500, "height": 2000})
        page.set_default_timeout(PAGE_MS)
        expect.set_options(timeout=PAGE_MS)
        page.goto(deployment.server.address)
        yield page


def launchpad(page: Page, job: str) -> None:
    """From the list of jobs to the launchpad of one."""
    page.locator('a[href="/jobs"]').first.click()
    page.locator(f'a[href$="/jobs/{job}"]').first.click()
    page.get_by_role("tab", name="Launchpad").click()
    expect(editor(page)).to_contain_text("config:")


def editor(page: Page) -> Locator:
    return page.locator(".CodeMirror").first


def text(page: Page) -> str:
    """What is in the editor, whatever of it is drawn."""
    value: str = editor(page).evaluate("one => one.CodeMirror.getValue()")
    return value


def write_reason(page: Page) -> None:
    """What is missing is filled in by a click, and the reason typed between its quotes."""
    page.get_by_role("button", name="Scaffold missing config").click()
    page.get_by_role("button", name="Confirm").click()
    expect(editor(page)).to_contain_text("reason: ''")
    editor(page).evaluate(
        """one => {
            const all = one.CodeMirror.getValue().split("\\n");
            const line = all.findIndex(each => each.includes("reason: ''"));
            one.CodeMirror.focus();
            one.CodeMirror.setCursor({line, ch: all[line].length - 1});
        }"""
    )
    page.keyboard.type(REASON)
    assert f"reason: '{REASON}'" in text(page)


def launch(page: Page, deployment: Deployment) -> str:
    """Click, and wait for the end of the run whose page that opens."""
    button = page.get_by_role("button", name="Launch Run")
    expect(button).to_be_enabled()
    button.click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
    (run_id,) = re.findall(r"/runs/([0-9a-f-]{36})", page.url)
    ended = deployment.ended(run_id)
    assert ended == "SUCCESS", ended
    expect(page.get_by_text("Success", exact=True).first).to_be_visible()
    return str(run_id)


def test_a_machine_without_a_browser_is_told_so_and_skips_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    with pytest.raises(browser.NoBrowser, match=r"make browser.*set CHROMIUM"), browser.opened():
        pass


@pytest.mark.deep
@pytest.mark.integration
def test_an_index_is_verified_as_the_launchpad_opens(page: Page, deployment: Deployment) -> None:
    launchpad(page, "verify_index")
    expect(page.get_by_text("No errors")).to_be_visible()
    launch(page, deployment)


@pytest.mark.deep
@pytest.mark.integration
@pytest.mark.parametrize("job", ["reindex", "roll_back"])
def test_what_is_answered_for_waits_for_a_reason_and_then_works(
    job: str, page: Page, deployment: Deployment
) -> None:
    launchpad(page, job)
    expect(page.get_by_text('Missing required config entry "reason"')).to_be_visible()
    expect(page.get_by_role("button", name="Launch Run")).to_be_disabled()
    write_reason(page)
    run_id = launch(page, deployment)
    kept = [one for one in Decisions(deployment.lake, run_id="").about() if one.run_id == run_id]
    assert kept and {one.why for one in kept} == {REASON}, kept
