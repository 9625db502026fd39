"""The chart in a running app: what is repainted, what the keys and the mouse reach, themes."""

import numpy as np
import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from nexus_tui.tui import format as fmt
from nexus_tui.tui import theme
from nexus_tui.tui.chart import Chart, Curve, Mark


@pytest.fixture(autouse=True)
def unicode_glyphs():
    theme.use_ascii(False)
    yield
    theme.use_ascii(None)


STEP = np.arange(3000, dtype=float)
LOSS = 1.2 + 1.3 * np.exp(-STEP / 300) + np.random.default_rng(0).normal(0, 0.05, 3000)


def train(count):
    return [Curve("train", STEP[:count], LOSS[:count])]


class Bench(App[None]):
    CSS = "Chart { padding: 1 2; }"

    def __init__(self) -> None:
        super().__init__(ansi_color=theme.ansi_color())
        self.pointed: list[float] = []
        self.zoomed: list[int] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme.variable_defaults()

    def on_mount(self) -> None:
        theme.register(self)

    def compose(self) -> ComposeResult:
        yield Chart("loss", "nats/byte", format=fmt.loss, smoothing=0.9, id="loss")

    def on_chart_pointed(self, event: Chart.Pointed) -> None:
        self.pointed.append(event.x)

    def on_chart_zoomed(self, event: Chart.Zoomed) -> None:
        self.zoomed.append(event.steps)


def screen_text(app):
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips(app.size))


def watch_refreshes(chart, monkeypatch):
    seen: list[Region] = []
    original = chart.refresh

    def refresh(*regions, **options):
        seen.extend(regions or [Region(0, 0, *chart.size)])
        return original(*regions, **options)

    monkeypatch.setattr(chart, "refresh", refresh)
    return seen


async def test_a_live_curve_repaints_what_changed_and_nothing_else(monkeypatch):
    app = Bench()
    async with app.run_test(size=(104, 26)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000))
        await pilot.pause()
        refreshed = watch_refreshes(chart, monkeypatch)
        chart.show(train(1500), x_range=(0, 2000))
        assert refreshed == []
        for count in range(1501, 1541):
            chart.show(train(count), x_range=(0, 2000))
        cells = sum(region.area for region in refreshed)
        assert 0 < cells <= 40 * 20  # of 40 × 2,400
        await pilot.pause()
        # What was repainted in pieces is what a whole repaint would show.
        pieces = screen_text(app)
        chart._repaint_all()
        await pilot.pause()
        assert screen_text(app) == pieces
        assert fmt.loss(chart._plot._readers["train"].smoothed[-1]) in pieces


async def test_options_redraw_and_give_the_curve_back():
    app = Bench()
    async with app.run_test(size=(100, 30)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000), marks=[Mark(800, "resumed", "resume")])
        await pilot.pause()
        before = screen_text(app)
        chart.log_y = True
        await pilot.pause()
        assert screen_text(app) != before
        chart.log_y = False
        await pilot.pause()
        assert chart.smoother(+1) == 0.95
        assert chart.smoother(-1) == 0.9
        assert chart.smoother(0) == 0.0
        await pilot.pause()
        assert screen_text(app) != before
        chart.smoothing = 0.9
        chart.crosshair = 700.0
        await pilot.pause()
        assert f"raw {fmt.loss(LOSS[700])}" in screen_text(app)
        assert [reading.raw for reading in chart.readings()] == [LOSS[700]]
        chart.crosshair = None
        await pilot.pause()
        assert "@700" not in screen_text(app)


async def test_resizing_draws_anew_and_keeps_everything():
    app = Bench()
    async with app.run_test(size=(120, 36)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000))
        chart.crosshair = 700.0
        await pilot.pause()
        before = screen_text(app)
        for width, height in ((60, 20), (22, 6), (300, 90), (120, 36)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            lines = screen_text(app).splitlines()
            assert len(lines) == height
            assert "loss" in lines[1]
        assert screen_text(app) == before


async def test_what_is_hidden_is_drawn_when_it_shows():
    app = Bench()
    async with app.run_test(size=(100, 30)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(500), x_range=(0, 2000))
        await pilot.pause()
        chart.display = False
        await pilot.pause()
        chart.show(train(1500), x_range=(0, 2000))
        chart.display = True
        await pilot.pause()
        newest = chart._plot._readers["train"].smoothed
        assert len(newest) == 1500
        assert fmt.loss(newest[-1]) in screen_text(app)


async def test_the_mouse_points_and_zooms():
    app = Bench()
    async with app.run_test(size=(104, 26)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000))
        await pilot.pause()
        await pilot.click(chart, offset=(52, 10))
        await pilot.pause()
        assert app.pointed == [chart.x_at(50)]  # two cells of padding
        assert 800 < app.pointed[0] < 1200
        await pilot.click(chart, offset=(3, 10))  # on the labels
        assert len(app.pointed) == 1
        assert chart.x_view == (0, 2000)
        assert 15 < chart.x_step() < 30


async def test_every_theme_draws_in_its_own_colours():
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000))
        seen = set()
        for name in (*theme.PALETTES, "nord"):
            app.theme = name
            await pilot.pause()
            assert "loss" in screen_text(app)
            strips = [chart.render_line(y) for y in range(chart.size.height)]
            seen.add(frozenset(str(segment.style) for strip in strips for segment in strip))
        assert len(seen) == len(theme.PALETTES) + 1


async def test_no_color_uses_attributes_only(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    app = Bench()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.query_one(Chart)
        chart.show(train(1500), x_range=(0, 2000))
        await pilot.pause()
        assert app.theme == "nexus-plain"
        styles = [
            s.style for strip in app.screen._compositor.render_strips(app.size) for s in strip if s.style
        ]
        named = {style.color.name for style in styles if style.color}
        behind = {style.bgcolor.name for style in styles if style.bgcolor}
        assert named | behind <= {"default"}
        assert any(style.dim for style in styles)


def test_a_theme_that_does_not_exist_is_named():
    app = Bench()
    with pytest.raises(ValueError, match=r"no theme 'mauve'.*nexus-dark"):
        theme.register(app, "mauve")


def test_a_colour_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match="'blurple' is neither a role"):
        theme.style(theme.DARK, "blurple")


def _ratio(a, b):
    """Contrast of two colours, WCAG 2.1."""

    def luminance(color):
        parts = [c / 255 for c in (color.r, color.g, color.b)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [theme.DARK, theme.LIGHT], ids=lambda p: p.name)
def test_text_and_series_can_be_read(palette):
    behind = theme.color_of(palette, "background")
    for role in ("text", "muted", "live", "train", "val", "best", "warn", "error", "good", "note", "cursor"):
        least = 4.5 if role in ("text", "muted", "error") else 3.0
        assert _ratio(theme.color_of(palette, role), behind) >= least, role
    for color in palette.series:
        assert _ratio(theme.color_of(palette, color), behind) >= 3.0, color
