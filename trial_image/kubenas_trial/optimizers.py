"""Optimizers that do not import torch's compiler."""

from __future__ import annotations

import inspect

import torch


class SGD(torch.optim.SGD):
    """`torch.optim.SGD` without torch's compiler.

    torch wraps these methods in a guard against its compiler, which imports the compiler at the first call: seconds
    of every trial, since each is a process of its own, for something that is not used here.
    """

    add_param_group = inspect.unwrap(torch.optim.SGD.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))
    state_dict = inspect.unwrap(torch.optim.SGD.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.SGD.load_state_dict)


class AdamW(torch.optim.AdamW):
    """`torch.optim.AdamW` (Loshchilov and Hutter, ICLR 2019) without torch's compiler."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    state_dict = inspect.unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.AdamW.load_state_dict)


class Adam(torch.optim.Adam):
    """`torch.optim.Adam` (Kingma and Ba, ICLR 2015) without torch's compiler."""

    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
