"""The engine of a job, kept for as long as one shard after another needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from geo2map.api import as_engine
from geo2map.cluster.jobfile import JobFile
from geo2map.files.closing import Closing
from geo2map.model import ModelOptions

if TYPE_CHECKING:
    from geo2map.engine import Engine


class JobEngine(Closing):
    """Loads the engine of a job when it is first needed, and keeps it until another job needs one."""

    def __init__(self) -> None:
        self._loaded: tuple[str, ModelOptions, Engine] | None = None

    def of(self, order: JobFile) -> Engine | None:
        """The engine of a job, of the kind of device and the number format that the job has; None where tiles are
        only cut.

        Raises:
            ModelFileError: not a model.
            DeviceError: the device is not there.
        """
        if order.model is None:
            return None
        job = order.job
        device = order.model.device if order.model.device.split(":")[0] == job.device else job.device
        options = replace(order.model, device=device, precision=job.precision)  # type: ignore[arg-type]  # a job's is one
        if self._loaded is None or self._loaded[:2] != (job.plan.model, options):
            self.close()
            self._loaded = (job.plan.model, options, as_engine(options))
        return self._loaded[2]

    def close(self) -> None:
        if self._loaded is not None:
            self._loaded[2].close()
            self._loaded = None
