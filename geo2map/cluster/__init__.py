"""Past one process: shards rendered anywhere into parts, parts merged into what one process would have made."""

from geo2map.cluster.jobfile import JobFile
from geo2map.cluster.merge import merge_parts
from geo2map.cluster.parts import PartFolder, ShardRecord
from geo2map.cluster.planning import JobSummary, plan_job, summarise
from geo2map.cluster.work import render_shard, render_slice

__all__ = [
    "JobFile",
    "JobSummary",
    "PartFolder",
    "ShardRecord",
    "merge_parts",
    "plan_job",
    "render_shard",
    "render_slice",
    "summarise",
]
