"""The page for every eye and hand: phone and desk, light and dark, contrast, labels, the keyboard's way."""

import pytest

from fleet.hub.actions.devices import do_note_state
from fleet.hub.ports import ChainView
from fleet.protocol.messages import State
from fleet.protocol.topics import WORK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}

CONTRAST = """() => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 })
    .getContext("2d", { willReadFrequently: true });
  const channels = (color) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = color;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(channels(getComputedStyle(at).backgroundColor));
    return layers.reduce((under, top) => over(top, under), [255, 255, 255, 1]);
  };
  const luminance = (color) => [0.2126, 0.7152, 0.0722].reduce((sum, weight, i) => {
    const c = color[i] / 255;
    return sum + weight * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const ratio = (text, behind) => {
    const [dark, light] = [luminance(text), luminance(behind)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = [];
  const measure = (node, style, text) => {
    let opacity = 1;
    for (let at = node; at; at = at.parentElement) opacity *= getComputedStyle(at).opacity;
    const behind = ground(node), [r, g, b, a] = channels(style.color);
    found.push([Math.round(100 * ratio(over([r, g, b, a * opacity], behind), behind)) / 100, text, style.color]);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode.textContent.trim(), node = texts.currentNode.parentElement;
    if (text && node.checkVisibility() && !node.closest("noscript")) measure(node, getComputedStyle(node), text);
  }
  for (const input of document.querySelectorAll("input[placeholder]")) {
    measure(input, getComputedStyle(input, "::placeholder"), input.placeholder);
  }
  return found;
}"""

OVERHANGING = """() => {
  const loose = [];
  for (const card of document.querySelectorAll(".card, .top, .headline")) {
    const edge = card.getBoundingClientRect().right;
    const texts = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const node = texts.currentNode, parent = node.parentElement;
      if (!node.data.trim() || parent.closest("[data-scroll], pre, .table") || !parent.checkVisibility()) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      let right = range.getBoundingClientRect().right;
      for (let at = parent; at !== card; at = at.parentElement) { // cut off with an ellipsis is not overhanging
        if (getComputedStyle(at).overflowX !== "visible") right = Math.min(right, at.getBoundingClientRect().right);
      }
      if (right > edge + 1) loose.push([node.data.trim(), right - edge]);
    }
  }
  return loose;
}"""

UNLABELLED = """() => [...document.querySelectorAll("input, select, textarea, button, a[href], summary")]
  .filter((node) => {
    const labels = [...(node.labels ?? [])].map((label) => label.textContent).join("");
    return !(labels + (node.ariaLabel ?? "") + (node.matches("input") ? "" : node.textContent)).trim();
  }).map((node) => node.outerHTML)"""


def window_of(viewport, scheme):
    return {
        "viewport": viewport,
        "color_scheme": scheme,
        "reduced_motion": "reduce",
        "is_mobile": viewport is PHONE,
        "has_touch": viewport is PHONE,
    }


@pytest.fixture(
    params=[(DESK, "light"), (DESK, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["desk-light", "desk-dark", "phone-light", "phone-dark"],
)
def window(request):
    return window_of(*request.param)


@pytest.fixture
def everything(hub, machine):
    """A fleet with all that the page can say: six GPUs, a machine that left, refusals, money, a chain that is away."""
    rig = machine(hostname="a-machine-with-quite-a-long-name-in-the-basement", gpus=6)
    lost = machine(seed=2, hostname="gone")
    rig.prove(6)
    rig.prove(6, gpu="GPU-0a2b0c3d", rate=150 * 10**12)
    rig.prove(6, gpu="GPU-1a2b1c3d", code="pog_wrong")
    hub.pay(3, **{rig.owner: "1234.5678"})
    hub.pay(4, **{rig.owner: "0.0000001"})
    (record,) = rig.work()
    lost.say(WORK, record)
    lost.say(WORK, b"nonsense")
    do_note_state(hub.desk, lost.topic, State(online=False, reason="lwt"))
    hub.services.shown = ChainView(height=4711, problem="no node answers at http://127.0.0.1:26657/status")
    return rig


async def opened(screen):
    """The page when all of it has come, the box unfolded."""
    page = await screen.open()
    await page.wait_for_selector(".refusals li >> nth=1")
    await page.wait_for_selector(".machine.off")
    await page.click("summary")
    return page


async def test_nothing_hangs_over_and_nobody_scrolls_sideways(screen, everything):
    page = await opened(screen)
    assert await page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert await page.evaluate("innerWidth") == page.viewport_size["width"], "a phone did not have to zoom out"
    assert await page.evaluate(OVERHANGING) == []


async def test_every_text_stands_out_from_its_ground(screen, everything):
    page = await opened(screen)
    ordinary = await page.evaluate(CONTRAST)
    await page.evaluate("""() => {
      showLink("lost", "hub away");
      answer.className = "answer bad"; answer.textContent = "bad news";
      command.hidden = false; command.firstElementChild.textContent = "dccn agent run";
    }""")
    troubled = await page.evaluate(CONTRAST)
    await page.evaluate("answer.className = 'answer good'")
    pleased = await page.evaluate(CONTRAST)
    assert len(ordinary) > 100 and {"hub away", "bad news", "dccn agent run"} <= {text for _, text, _ in troubled}
    assert [line for line in ordinary + troubled + pleased if line[0] < 4.5] == []


async def test_every_control_has_a_name(screen, everything):
    page = await opened(screen)
    assert await page.evaluate(UNLABELLED) == []
    assert await page.get_by_label("Claim code").count() == await page.get_by_label("Admin secret").count() == 1


@pytest.mark.parametrize("window", [window_of(DESK, "light")], ids=["desk"])
async def test_the_keyboard_reaches_the_form_in_reading_order_and_shows_where_it_is(screen, everything):
    page = await screen.open()
    stops = []
    for _ in range(14):
        await page.keyboard.press("Tab")
        stop = await page.evaluate("""() => {
          const node = document.activeElement;
          return [node.id || node.ariaLabel || node.textContent.trim(), getComputedStyle(node).outlineStyle];
        }""")
        stops.append(tuple(stop))
        if stop[0] == "API description":
            break
    names = [name for name, _ in stops]
    form = ["code", "secret", "Let it join", "token", "How does a machine get here?"]
    assert names == [
        "Skip to the machines", "dccn, fleet home", "theme", *form,
        "Newest first", "overview as JSON", "audit log", "API description",
    ]  # fmt: skip
    assert [name for name, outline in stops if outline == "none"] == []


@pytest.mark.parametrize("window", [window_of(DESK, "light"), window_of(DESK, "dark")], ids=["light", "dark"])
async def test_the_theme_follows_the_system_until_somebody_chooses(screen, window):
    page = await screen.open()
    ground = "getComputedStyle(document.body).backgroundColor"
    systems = await page.evaluate(ground)
    assert (int(systems.removeprefix("rgb(").split(",")[0]) < 128) == (window["color_scheme"] == "dark")
    await page.get_by_role("button", name="Change between light and dark").click()
    chosen = await page.evaluate(ground)
    assert chosen != systems
    await page.reload(wait_until="domcontentloaded")
    await page.wait_for_selector('#link[data-state="live"]')
    assert await page.evaluate(ground) == chosen, "and it is remembered"


@pytest.mark.parametrize("window", [window_of(DESK, "light")], ids=["desk"])
async def test_who_copies_from_the_page_keeps_the_selection(screen, everything):
    page = await opened(screen)
    await page.evaluate("getSelection().selectAllChildren(document.querySelector('.machine h3'))")
    before = await page.inner_text('[data-k="records"]')
    everything.work(4)
    await page.wait_for_function("text => document.querySelector('[data-k=records]').textContent !== text", arg=before)
    assert await page.evaluate("String(getSelection())") == "a-machine-with-quite-a-long-name-in-the-basement"


@pytest.mark.parametrize("window", [{**window_of(DESK, "light"), "java_script_enabled": False}], ids=["no script"])
async def test_without_scripts_the_page_is_whole_and_says_that_it_stands_still(screen, everything):
    await screen.page.goto(screen.hub.url)
    text = await screen.page.inner_text("body")
    assert "a-machine-with-quite-a-long-name" in text and "load it again" in text
