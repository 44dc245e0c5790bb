"""Small plots for asset metadata: PNG below 50 kB, as Markdown, so that they stay in the event log."""

from __future__ import annotations

import base64
import io
import textwrap

import dagster as dg
import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

LARGEST_PLOT = 50_000
"""Bytes of a PNG; larger ones make the event log slow to read."""

mpl.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})


def as_markdown(figure: Figure, alternative_text: str) -> dg.MarkdownMetadataValue:
    """A figure as Markdown metadata.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What to show.
    alternative_text : str
        What it shows, for readers who cannot see it.

    Raises
    ------
    ValueError
        If the picture is larger than the event log should hold.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90, bbox_inches="tight", metadata={"Software": None})
    if buffer.tell() > LARGEST_PLOT:
        raise ValueError(f"the plot takes {buffer.tell():,} bytes; at most {LARGEST_PLOT:,} belong into metadata")
    encoded = base64.b64encode(buffer.getvalue()).decode()
    return dg.MetadataValue.md(f"![{alternative_text}](data:image/png;base64,{encoded})")


def rule_plot(rules: pd.DataFrame, most: int = 12) -> dg.MarkdownMetadataValue:
    """The strongest rules with the interval of their confidence beside the consequent's own share.

    Parameters
    ----------
    rules : pandas.DataFrame
        As published: columns ``antecedent``, ``consequent``, ``confidence``, ``confidence_lower``,
        ``confidence_upper``, ``consequent_count``, ``basket_count``, best rule first.
    most : int
        How many rules to draw.
    """
    shown = rules.head(most).iloc[::-1].reset_index(drop=True)
    figure = Figure(figsize=(6.4, 0.9 + 0.32 * len(shown)))
    axes = figure.subplots()
    places = range(len(shown))
    axes.hlines(places, shown["confidence_lower"], shown["confidence_upper"], color="#1f5a91", linewidth=2)
    axes.plot(shown["confidence"], places, "o", color="#1f5a91", markersize=4, label="confidence, 95 % interval")
    axes.plot(
        shown["consequent_count"] / shown["basket_count"],
        places,
        "|",
        color="#b3541e",
        markersize=9,
        label="share among all",
    )
    axes.set_yticks(
        list(places),
        [textwrap.shorten(f"{row.antecedent} → {row.consequent}", 60, placeholder="…") for row in shown.itertuples()],
    )
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of persons")
    figure.legend(loc="outside lower right", frameon=False, ncols=2)
    return as_markdown(figure, f"The {len(shown)} strongest association rules with their confidence")
