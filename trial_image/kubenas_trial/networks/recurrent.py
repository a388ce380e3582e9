"""Recurrent layers whose narrower versions are leading slices of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from kubenas_trial.networks.parts import paired


class Cell(NamedTuple):
    """A kind of cell.

    Attributes:
        gates: matrix products of the state's width in each step, both of the input and of the state.
        activations: for each value of the state in each step.
        drawn: torch's own layer, by which weights are initialized.
    """

    gates: int
    activations: int
    drawn: Callable[..., nn.RNNBase]


CELLS: Final[Mapping[str, Cell]] = {
    "rnn": Cell(1, 1, nn.RNN),
    "gru": Cell(3, 3, nn.GRU),
    "lstm": Cell(4, 5, nn.LSTM),
}


class Recurrent(nn.Module):
    """One layer: (batch, in_channels, steps) to its states, (batch, width times directions, steps).

    It computes the same as torch's own. There gates are concatenated in one matrix; here they have their own dimension,
    and the states of two directions are interleaved, so that leading slices of the weights are a narrower layer.

    Args:
        cell: one of `CELLS`.
        in_channels, width: as said.
        directions: 1, or 2 for another cell that goes backwards.
    """

    def __init__(self, cell: str, in_channels: int, width: int, directions: int = 1) -> None:
        super().__init__()
        self.cell, self.in_channels, self.width, self.directions = cell, in_channels, width, directions
        kind = CELLS[cell]
        drawn = kind.drawn(in_channels, width, bidirectional=directions == 2)
        for name, stacked in drawn.named_parameters():
            gates = torch.unflatten(stacked.detach().clone(), 0, (kind.gates, width))
            self.register_parameter(name.replace("_l0", ""), nn.Parameter(gates))

    def forward(self, inputs: Tensor) -> Tensor:
        """The state after each step."""
        series = inputs.transpose(1, 2)
        begin = series.new_zeros(self.directions, series.shape[0], self.width)
        stacked = [gates.flatten(0, 1) for gates in self.parameters()]
        options = True, 1, 0.0, self.training, self.directions == 2, True
        match self.cell:
            case "lstm":
                states = torch.lstm(series, (begin, begin), stacked, *options)[0]
            case "gru":
                states = torch.gru(series, begin, stacked, *options)[0]
            case _:
                states = torch.rnn_tanh(series, begin, stacked, *options)[0]
        channels = states.transpose(1, 2)
        return channels if self.directions == 1 else paired(*channels.chunk(2, dim=1))
