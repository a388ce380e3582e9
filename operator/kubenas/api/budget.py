"""What a search may spend, and what its pods cost."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from kubenas.api.base import Duration, Model

ResourceName = Annotated[str, Field(max_length=316)]
DeviceShare = Annotated[float, Field(ge=0, le=1024)]
# As Name, whose pattern would leave the map without a schema that rules can read.
PriceClass = Annotated[str, Field(max_length=63)]
Price = Annotated[float, Field(ge=0, le=1e6)]

MAX_PRICES: Final = 16


class Budget(Model):
    """When to stop, whatever has been found."""

    gpu_hours: float | None = Field(
        default=None,
        gt=0,
        le=1e9,
        description="GPU hours of all attempts and measurements on devices together, running ones included; a GPU hour "
        "is one device's hour.",
    )
    device_shares: dict[ResourceName, DeviceShare] = Field(
        default_factory=dict,
        max_length=16,
        description="GPU hours that an hour of one device counts, by its resource, or by its claim's name in the pod's "
        "resourceClaims; 1 if absent. For example nvidia.com/gpu.shared: 0.25, or rdma/hca: 0.",
    )
    cost: float | None = Field(
        default=None,
        gt=0,
        le=1e12,
        description="What the hours of all attempts and measurements on devices together may cost by prices, running "
        "ones included.",
    )
    prices: dict[PriceClass, Price] = Field(
        default_factory=dict,
        max_length=MAX_PRICES,
        description="What an hour of one pod costs, by the priceClass of trialTemplate or of measuredOn, in the "
        "currency of cost. For example spot: 0.9, on-demand: 2.5.",
    )
    wall_clock: Duration | None = Field(default=None, description="Time since the start, for example 24h.")
