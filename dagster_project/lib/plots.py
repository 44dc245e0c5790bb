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


def rule_heatmap(rules: pd.DataFrame, most: int = 12) -> dg.MarkdownMetadataValue:
    """Lift of the rules: what is held by rows, what goes with it by columns.

    Parameters
    ----------
    rules : pandas.DataFrame
        As published: columns ``antecedent``, ``consequent``, ``lift``.
    most : int
        Rows and columns to draw: those with the highest lift.
    """
    wide = rules.pivot_table(index="antecedent", columns="consequent", values="lift", aggfunc="max")
    rows = wide.max(axis=1).sort_values(ascending=False, kind="stable").index[:most]
    columns = wide.max().sort_values(ascending=False, kind="stable").index[:most]
    shown = wide.loc[rows, columns]
    figure = Figure(figsize=(7.2, 1.4 + 0.26 * len(shown)))
    axes = figure.subplots()
    image = axes.imshow(shown.to_numpy(), cmap="viridis", vmin=1, aspect="auto")
    axes.set_yticks(range(len(rows)), [textwrap.shorten(str(name), 48, placeholder="…") for name in rows])
    axes.set_xticks(
        range(len(columns)),
        [textwrap.shorten(str(name), 24, placeholder="…") for name in columns],
        rotation=30,
        ha="right",
    )
    figure.colorbar(image, label="lift")
    return as_markdown(figure, f"Lift of {len(shown)} combinations of products and what goes with them")


def segment_plot(segments: pd.DataFrame, profile: pd.DataFrame, most: int = 12) -> dg.MarkdownMetadataValue:
    """How far each segment is from all customers, column by column, in standard deviations.

    Parameters
    ----------
    segments : pandas.DataFrame
        Columns ``segment_id``, ``name_en``.
    profile : pandas.DataFrame
        Columns ``segment_id``, ``column_name``, ``z_score``.
    most : int
        Columns to draw: those that set segments apart most.
    """
    wide = profile.pivot_table(index="segment_id", columns="column_name", values="z_score")
    shown = wide[wide.abs().max().sort_values(ascending=False).index[:most]]
    figure = Figure(figsize=(7.2, 0.9 + 0.3 * len(shown)))
    axes = figure.subplots()
    image = axes.imshow(shown.to_numpy(), cmap="RdBu_r", vmin=-2, vmax=2, aspect="auto")
    names = segments.set_index("segment_id")["name_en"]
    axes.set_yticks(range(len(shown)), [textwrap.shorten(str(names[i]), 44, placeholder="…") for i in shown.index])
    axes.set_xticks(range(len(shown.columns)), list(shown.columns), rotation=40, ha="right")
    figure.colorbar(image, label="standard deviations from all customers")
    return as_markdown(figure, f"{len(shown)} segments against all customers")


def retention_plot(retention: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Next-period retention by decile of the loyalty index, with Wilson intervals.

    Parameters
    ----------
    retention : pandas.DataFrame
        Columns ``loyalty_decile``, ``retention_ratio``, ``lower``, ``upper``.
    """
    figure = Figure(figsize=(5.6, 2.6))
    axes = figure.subplots()
    axes.vlines(retention["loyalty_decile"], retention["lower"], retention["upper"], color="#1f5a91")
    axes.plot(retention["loyalty_decile"], retention["retention_ratio"], "o-", color="#1f5a91", markersize=4)
    axes.set_xlabel("decile of the loyalty index (10 = most loyal)")
    axes.set_ylabel("stayed in the next period")
    return as_markdown(figure, "Retention by decile of the loyalty index, with intervals")


def gain_plot(gain: pd.DataFrame, calibration: pd.DataFrame) -> dg.MarkdownMetadataValue:
    """Leavers reached by share contacted, and probability told against rate seen.

    Parameters
    ----------
    gain : pandas.DataFrame
        Columns ``subject``, ``contacted_ratio``, ``leavers_reached_ratio``.
    calibration : pandas.DataFrame
        Columns ``mean_probability``, ``observed_ratio``, ``lower``, ``upper``.
    """
    figure = Figure(figsize=(8, 3))
    left, right = figure.subplots(1, 2)
    for subject, rows in gain.groupby("subject", sort=True):
        left.plot(rows["contacted_ratio"], rows["leavers_reached_ratio"], label=str(subject), linewidth=1.2)
    left.plot([0, 1], [0, 1], ":", color="grey")
    left.set_xlabel("share of customers contacted")
    left.set_ylabel("share of leavers reached")
    left.legend(frameon=False, fontsize=7)
    right.vlines(calibration["mean_probability"], calibration["lower"], calibration["upper"], color="#1f5a91")
    right.plot(calibration["mean_probability"], calibration["observed_ratio"], "o", color="#1f5a91", markersize=4)
    top = float(max(calibration["mean_probability"].max(), calibration["upper"].max()))
    right.plot([0, top], [0, top], ":", color="grey")
    right.set_xlabel("probability told")
    right.set_ylabel("share that left")
    figure.tight_layout()
    return as_markdown(figure, "Gain of the churn model against its baselines, and its calibration")
