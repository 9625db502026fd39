"""Colours: two calm palettes, the terminal's own sixteen colours, and none at all.

Colours carry meaning through *roles* (`live`, `best`, `warn`, …); screens name roles, never colours. Data
colours begin with those of Okabe and Ito (2008), "Color Universal Design". The eight of several series are
searched for: any two stay apart, by 14 of CIEDE2000 at least, also for eyes that lack a kind of cone. Series
differ in a sign as well, so that colour is never the only difference. Roles are CSS variables too:
`color: $best;`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rich.style import Style
from textual.color import Color, ColorParseError
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.theme import Theme

from nexus_tui.tui.glyphs import Glyphs as Glyphs
from nexus_tui.tui.glyphs import glyphs as glyphs
from nexus_tui.tui.glyphs import spell as spell
from nexus_tui.tui.glyphs import use_ascii as use_ascii

if TYPE_CHECKING:
    from textual.app import App


@dataclass(frozen=True, eq=False)
class Palette:
    """Colour of every role, as Textual writes colours (`#rrggbb` or `ansi_…`), and of up to eight series.

    Roles: text, muted (secondary text), faint (axes, rules), ghost (grid), background, live, train, val,
    best, warn, error, good, rate (learning rate), forecast, cursor (crosshair), note.
    """

    name: str
    dark: bool
    roles: Mapping[str, str]
    series: tuple[str, ...]
    colorless: bool = False
    """Emphasis by attributes (bold, dim) only: NO_COLOR."""
    blends: bool = field(default=True)
    """Colours can be mixed (RGB); sixteen colours cannot, and dim instead."""


_NIGHT = "#0f1217"
_PAPER = "#fbfaf7"

DARK = Palette(
    "nexus-dark",
    True,
    {
        "text": "#d8dce2",
        "muted": "#87909c",
        "faint": "#4a525d",
        "ghost": "#262c34",
        "background": _NIGHT,
        "live": "#56b4e9",
        "train": "#56b4e9",
        "val": "#e69f00",
        "best": "#f0e442",
        "warn": "#e8743b",
        "error": "#ff5f5f",
        "good": "#2bb38a",
        "rate": "#2bb38a",
        "forecast": "#a8935a",
        "cursor": "#9aa4b1",
        "note": "#cc79a7",
    },
    ("#56b4e9", "#e69f00", "#458f64", "#b26c91", "#eaeaa3", "#d64417", "#7c63e5", "#95fbe7"),
)

LIGHT = Palette(
    "nexus-light",
    False,
    {
        "text": "#23282f",
        "muted": "#626b77",
        "faint": "#a9afb8",
        "ghost": "#e3e3df",
        "background": _PAPER,
        "live": "#0072b2",
        "train": "#0072b2",
        "val": "#b86e00",
        "best": "#8a6a00",
        "warn": "#c2410c",
        "error": "#c01c28",
        "good": "#00795a",
        "rate": "#00795a",
        "forecast": "#9a8340",
        "cursor": "#626b77",
        "note": "#a8437c",
    },
    ("#0072b2", "#b86e00", "#064936", "#84556d", "#a42e07", "#2c1e9d", "#799266", "#420b38"),
)

# Okabe–Ito merges on sixteen colours: the terminal's own 14, 11, 13, 15 and their neighbours stay apart.
ANSI = Palette(
    "nexus-ansi",
    True,
    {
        "text": "ansi_default",
        "muted": "ansi_default",
        "faint": "ansi_bright_black",
        "ghost": "ansi_bright_black",
        "background": "ansi_default",
        "live": "ansi_bright_cyan",
        "train": "ansi_bright_cyan",
        "val": "ansi_bright_yellow",
        "best": "ansi_bright_magenta",
        "warn": "ansi_bright_red",
        "error": "ansi_red",
        "good": "ansi_bright_green",
        "rate": "ansi_bright_green",
        "forecast": "ansi_yellow",
        "cursor": "ansi_default",
        "note": "ansi_magenta",
    },
    (
        "ansi_bright_cyan",
        "ansi_bright_yellow",
        "ansi_bright_magenta",
        "ansi_bright_green",
        "ansi_bright_white",
        "ansi_bright_red",
        "ansi_bright_blue",
        "ansi_yellow",
    ),
    blends=False,
)

# NO_COLOR: the terminal's default colour throughout; roles differ by attribute (see `style`).
PLAIN = Palette(
    "nexus-plain",
    True,
    dict.fromkeys(DARK.roles, "ansi_default"),
    ("ansi_default",) * 8,
    colorless=True,
    blends=False,
)

_BOLD = {"best", "val", "warn", "error", "live"}
_DIM = {"muted", "faint", "ghost", "forecast", "note"}


_TEXTUAL_NAMES = ("text", "background", "error")
"""Roles that Textual has variables for already."""


def _theme(palette: Palette, surface: str, panel: str) -> Theme:
    roles = palette.roles
    blends = palette.blends
    variables = {name: color for name, color in roles.items() if name not in _TEXTUAL_NAMES}
    variables |= {
        "footer-background": panel,
        "footer-key-foreground": roles["text"],
        "footer-description-foreground": roles["muted"],
        "footer-item-background": "transparent",
        "footer-key-background": "transparent",
        "border": roles["faint"],
        "border-blurred": roles["ghost"],
        "scrollbar": roles["faint"],
        "scrollbar-background": roles["background"],
        "scrollbar-background-hover": roles["background"],
        "scrollbar-background-active": roles["background"],
        "scrollbar-corner-color": roles["background"],
    }
    if blends:
        variables |= {
            "text-muted": roles["muted"],
            "block-cursor-background": Color.parse(panel).blend(Color.parse(roles["live"]), 0.22).hex,
            "block-cursor-foreground": roles["text"],
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": panel,
            "block-cursor-blurred-foreground": roles["text"],
            "input-selection-background": f"{roles['live']} 30%",
        }
    else:
        variables |= {
            "ansi-background": "ansi_black",
            "ansi-foreground": "ansi_white",
            "block-cursor-background": "ansi_default",
            "block-cursor-foreground": "ansi_default",
            "block-cursor-text-style": "bold reverse",
            "block-cursor-blurred-background": "ansi_default",
            "block-cursor-blurred-foreground": "ansi_default",
            "block-cursor-blurred-text-style": "underline",
            "input-cursor-text-style": "reverse",
        }
    return Theme(
        name=palette.name,
        primary=roles["live"],
        secondary=roles["rate"],
        accent=roles["best"],
        warning=roles["warn"],
        error=roles["error"],
        success=roles["good"],
        foreground=roles["text"],
        background=roles["background"],
        surface=surface,
        panel=panel,
        dark=palette.dark,
        ansi=not blends,
        variables=variables,
    )


PALETTES: dict[str, Palette] = {palette.name: palette for palette in (DARK, LIGHT, ANSI, PLAIN)}
THEMES: tuple[Theme, ...] = (
    _theme(DARK, "#151920", "#1b2028"),
    _theme(LIGHT, "#f4f2ed", "#ebe9e3"),
    _theme(ANSI, "ansi_default", "ansi_default"),
    _theme(PLAIN, "ansi_default", "ansi_default"),
)


def ansi_color() -> bool | None:
    """For `App(ansi_color=…)`: under NO_COLOR, Textual drops all colours only if ANSI from the start."""
    return True if "NO_COLOR" in os.environ else None


class _PlainScrollBar(ScrollBarRender):
    """A scroll bar whose ends are whole cells: the others are no ASCII."""

    VERTICAL_BARS = HORIZONTAL_BARS = [" "] * 8


def register(app: App[Any], name: str | None = None, kept: str = "") -> None:
    """Give `app` these themes and choose one; NO_COLOR always gets the one without colour.

    Args:
        app: what is coloured.
        name: the theme that is wanted; None: the one that was `kept`, if it still exists, else ours.
        kept: the one chosen last time.

    Raises:
        ValueError: no theme is called `name`.
    """
    ScrollBar.renderer = _PlainScrollBar if glyphs().ascii else ScrollBarRender
    for theme in THEMES:
        app.register_theme(theme)
    if app.no_color:
        app.theme = PLAIN.name
        return
    chosen = name or (kept if kept in app.available_themes else DARK.name)
    if chosen not in app.available_themes:
        raise ValueError(
            f"There is no theme {chosen!r}; there are {', '.join(sorted(app.available_themes))}."
        )
    app.theme = chosen


def variable_defaults(dark: bool = True) -> dict[str, str]:
    """CSS variables for themes that are not ours: return this from `App.get_theme_variable_defaults`."""
    roles = (DARK if dark else LIGHT).roles
    return {name: color for name, color in roles.items() if name not in _TEXTUAL_NAMES}


def palette(app: App[Any]) -> Palette:
    """The palette of the app's current theme; a theme that is not ours gets ours with its background."""
    if app.no_color:
        return PLAIN
    theme = app.current_theme
    if theme.name in PALETTES:
        return PALETTES[theme.name]
    if app.native_ansi_color:
        return ANSI
    return _adopted(theme.name, theme.dark, app.theme_variables.get("background", _NIGHT))


@lru_cache(8)
def _adopted(name: str, dark: bool, background: str) -> Palette:
    base = DARK if dark else LIGHT
    return Palette(name, dark, {**base.roles, "background": background}, base.series)


@lru_cache(512)
def style(
    palette: Palette, role: str, *, dim: bool = False, bold: bool = False, on: str | None = None
) -> Style:
    """Rich style of a role or colour (`#rrggbb`, `ansi_…` or any Textual colour name).

    Args:
        palette: whose colours.
        role: a role of the palette, or a colour.
        dim: blended towards the background (dim attribute where colours cannot be mixed).
        bold: heavier.
        on: background role or colour; left out where colours cannot be mixed.

    Raises:
        ValueError: `role` is neither a role nor a colour.
    """
    if palette.colorless:
        return Style(bold=(bold or role in _BOLD) and not dim, dim=dim or role in _DIM)
    color = color_of(palette, role)
    if dim and palette.blends:
        color = color_of(palette, "background").blend(color, 0.42 if palette.dark else 0.38)
    background = color_of(palette, on).rich_color if on and palette.blends else None
    weak = not palette.blends and (dim or role in ("muted", "ghost"))
    return Style(color=color.rich_color, bgcolor=background, bold=bold or None, dim=weak or None)


def color_of(palette: Palette, role: str) -> Color:
    """Textual colour of a role or colour name.

    Raises:
        ValueError: `role` is neither a role nor a colour.
    """
    try:
        return Color.parse(palette.roles.get(role, role))
    except ColorParseError:
        raise ValueError(f"{role!r} is neither a role ({', '.join(palette.roles)}) nor a colour.") from None


@dataclass(frozen=True)
class Series:
    """How one run of several is drawn: its colour and its sign."""

    color: str
    sign: str


def series(palette: Palette, index: int) -> Series:
    """Colour and sign of the run at `index`; the ninth has the colour of the first and another sign."""
    signs = glyphs().signs
    turn, place = divmod(index, len(palette.series))
    return Series(palette.series[place], signs[(place + 3 * turn) % len(signs)])
