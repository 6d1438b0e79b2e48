"""The training's curves: the held-out pool, the loss and its parts, the rate, each a small figure over the steps."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clir_core.align.result import Trained
from clir_core.report.alignment_charts import Panel
from clir_core.report.charts import COLOURS, INK, PAPER, QUIET, RULE, STYLE, as_element

LINE, BEST = COLOURS[0], COLOURS[1]
SMOOTHED = 30  # steps from which on a loss is shown as a mean of its neighbours, its own points faint behind
POINTS = 600  # of one line: more cannot be told apart


def training_curves(trained: Trained) -> tuple[Panel, ...]:
    """Panels of what was recorded, those that judge the model first; none where no step was made."""
    if not trained.steps:
        return ()
    at = [step.step for step in trained.steps]
    parts = sorted({name for step in trained.steps for name in step.parts})
    lines = [("loss, weighted sum", [step.loss for step in trained.steps])]
    lines += [(f"{name}, unweighted", [step.parts.get(name, np.nan) for step in trained.steps]) for name in parts]
    lines += [("gradient before clipping", [step.gradient for step in trained.steps])]
    of_steps = [_panel(title, at, values, noisy=True) for title, values in lines]
    return (*_held_out(trained), *of_steps, _panel("learning rate", at, [step.rate for step in trained.steps]))


def _held_out(trained: Trained) -> Sequence[Panel]:
    at = [one.step for one in trained.evaluations]
    if not at:
        return []
    lines = [
        ("held-out max_at_r_norm, percent", [one.max_at_r_norm for one in trained.evaluations]),
        ("held-out mono acc@1", [one.mono_acc for one in trained.evaluations]),
    ]
    return [_panel(title, at, values, best=trained.best_step) for title, values in lines]


def _panel(
    title: str, at: Sequence[int], values: Sequence[float], noisy: bool = False, best: int | None = None
) -> Panel:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(2.6, 1.75), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        axes.set_xlim(0, max(*at, 1))
        axes.grid(axis="y", color=RULE, linewidth=0.8)
        axes.tick_params(length=0)
        axes.locator_params(axis="y", nbins=5)
        axes.locator_params(axis="x", nbins=5, integer=True)
        axes.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
        if noisy:
            _draw_noisy(axes, at, values)
        else:
            axes.plot(at, values, color=LINE, linewidth=1.8, clip_on=False)
        if best is not None:
            _mark(axes, at, values, best)
        return Panel(title, as_element(figure, f"{title}, by step"))


def _draw_noisy(axes: Axes, at: Sequence[int], values: Sequence[float]) -> None:
    stride = -(-len(at) // POINTS)
    many = len(at) >= SMOOTHED
    axes.plot(at[::stride], values[::stride], color=LINE, alpha=0.35 if many else 1, linewidth=0.8 if many else 1.8)
    if many:
        axes.plot(at[::stride], _smooth(np.asarray(values), max(3, len(at) // 12))[::stride], color=LINE, linewidth=1.8)


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """The mean of up to `width` neighbours; fewer at the ends."""
    window, known = np.ones(width), np.isfinite(values)
    with np.errstate(invalid="ignore"):
        sums = np.convolve(np.where(known, values, 0.0), window, "same")
        return sums / np.convolve(known, window, "same")


def _mark(axes: Axes, at: Sequence[int], values: Sequence[float], best: int) -> None:
    """Every evaluation a ring, the best one filled, named, and on a line of its own."""
    axes.plot(at, values, "o", markersize=4.5, color=PAPER, markeredgecolor=LINE, markeredgewidth=1.3, clip_on=False)
    for step, value in zip(at, values, strict=True):
        if step == best:
            axes.axvline(step, color=QUIET, linewidth=0.9, linestyle=(0, (3, 2)))
            axes.plot(step, value, "o", markersize=7, color=BEST, markeredgewidth=0, clip_on=False)
            right = step > 0.6 * max(at)
            axes.annotate(
                f"best, step {step}", (step, axes.get_ylim()[0]), (-4 if right else 4, 3), textcoords="offset points",
                ha="right" if right else "left", color=INK, fontsize=9,
            )  # fmt: skip
