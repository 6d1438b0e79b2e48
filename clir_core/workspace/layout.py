"""Where everything lies: each path in a workspace and each file of a result, named here and nowhere else."""

from pathlib import Path

# an audit; audit.json last: where it is new, so is the rest
AUDIT, REPORT = "audit.json", "report.html"
RANKS, TOP, QUERIES = "ranks.parquet", "topk.parquet", "queries.parquet"
MTEB = "mteb"
SUMS = "SHA256SUMS"  # of all files of a result or a step
AUDIT_FILES = (MTEB, RANKS, TOP, QUERIES, REPORT, SUMS, AUDIT)

# an alignment, which holds an audit in `before` and one in `after`; align.json last, as above
ALIGNMENT, TRIPLES = "align.json", "triples.parquet"
BEFORE, AFTER, CHECKPOINT = "before", "after", "checkpoint"
ALIGNMENT_FILES = (BEFORE, AFTER, CHECKPOINT, TRIPLES, REPORT, SUMS, ALIGNMENT)

# a step
RESULT, LOCK = "result.json", ".lock"
EMBEDDED = "embedded.json"  # beside the ranks: which vectors they are of

# beside the models: hashes of the files that checkpoints are made of
HASHES = "hashes.sqlite"

# a training, which is a step
CLAIM, STEPS_LOG, EVALUATIONS_LOG = "run.txt", "steps.jsonl", "evaluations.jsonl"
WEIGHTS, STATES, TEACHER, JUDGED, RAY = "checkpoints", "states", "teacher", "judged", "ray"


def models(workspace: Path) -> Path:
    """Checkpoints that were unpacked or fetched."""
    return workspace / "models"


def fetched(workspace: Path) -> Path:
    """Those that a watch list names in an object store, one folder for every state of their files."""
    return models(workspace) / "fetched"


def vectors(workspace: Path) -> Path:
    """The LanceDB database of vectors."""
    return workspace / "lancedb"


def canaries(workspace: Path) -> Path:
    """How texts became the vectors that are kept."""
    return workspace / "canaries"


def proof(workspace: Path, vectors: str) -> Path:
    """How texts became vectors of this identity, and their canary."""
    return canaries(workspace) / f"{vectors[:32]}.json"


def steps(workspace: Path) -> Path:
    """Finished and unfinished steps."""
    return workspace / "steps"


def audits(workspace: Path) -> Path:
    """Results of audits that no other place was asked for."""
    return workspace / "audits"


def alignments(workspace: Path) -> Path:
    """Results of alignments that no other place was asked for."""
    return workspace / "alignments"


def corrections(workspace: Path) -> Path:
    """Corrected tables that no other place was asked for."""
    return workspace / "corrections"


def checkpoints(workspace: Path) -> Path:
    """Trained checkpoints, each under its name."""
    return workspace / "checkpoints"


def registry(workspace: Path) -> Path:
    """Facts about checkpoints."""
    return workspace / "registry"


def job(workspace: Path, name: str) -> Path:
    """What a job of a standing cluster is asked to do."""
    return workspace / "jobs" / f"{name}.json"


def prefect(workspace: Path) -> Path:
    """PREFECT_HOME of the workspace's servers."""
    return workspace / "prefect"


def login(workspace: Path) -> Path:
    """User and password of the workspace's Prefect server; the Makefile's `ui` reads it as well."""
    return prefect(workspace) / "auth"


def service(workspace: Path) -> Path:
    """Records, logs and the lock of the service."""
    return workspace / "service"


def service_settings(workspace: Path) -> Path:
    """What the service was started with."""
    return service(workspace) / "settings.json"


def supervisor_log(workspace: Path) -> Path:
    """What the supervisor of the service's parts did, and older ones beside it (.1, .2)."""
    return service(workspace) / "supervisor.log"


def health_seen(workspace: Path) -> Path:
    """When the service was looked at last."""
    return service(workspace) / "health.txt"
