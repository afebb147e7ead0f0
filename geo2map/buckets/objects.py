"""Buckets (S3, Google Cloud Storage, Azure): addresses, objects, errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.files.address import redact

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

LOCK = ".geo2map.lock"
JOB = "geo2map-job"
"""Metadata key of the object that completes an output: a digest of the job, sixteen hex digits."""
CONTENT_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".pbf": "application/vnd.mapbox-vector-tile",
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".parquet": "application/vnd.apache.parquet",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".pmtiles": "application/vnd.pmtiles",
    ".mbtiles": "application/vnd.sqlite3",
}
CACHE = "public, max-age=3600"
SENDERS = 16
ADVICE = (
    'for browsers, allow other origins on the bucket: CORS with methods GET and HEAD, headers "range" and "if-match", '
    'exposed "etag"; and add a lifecycle rule that aborts incomplete uploads, which are billed until then'
)
NO_BUCKET_CODES = {"NoSuchBucket", "ContainerNotFound"}
"""Error codes of S3 and Google, and of Azure."""
_BUCKET = re.compile(r"(s3a?|gs|az|adl|azure|abfss?)://[^/]+/(.*)", re.IGNORECASE)
_ANSWER = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<\n]+)")


def is_bucket(address: str | Path) -> bool:
    """Whether an address is in a bucket."""
    return _BUCKET.fullmatch(str(address)) is not None


def open_bucket(address: str, client: ClientConfig | None = None) -> tuple[ObjectStore, str]:
    """The bucket of an address, and the object name or prefix. Credentials and endpoint come from the usual environment
    variables.

    Args:
        client: options of the HTTP client such as timeouts and proxies.

    Raises:
        PlanError: the extra is not installed.
        OutputError: not an address in a bucket, or invalid variables.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise PlanError(missing_extra("writing to buckets", "cloud")) from error
    if not (found := _BUCKET.fullmatch(address)) or not found[2].strip("/"):
        raise OutputError(f"{redact(address)}: not an address in a bucket; give e.g. s3://bucket/map/", option="out")
    try:
        return from_url(address[: len(address) - len(found[2])].rstrip("/"), client_options=client), found[2]
    except (BaseError, ValueError) as error:
        raise OutputError(
            f"{redact(address)}: cannot be opened ({_first_line(error)}); check the address",
            option="out",
        ) from error


def take_lock(store: ObjectStore, lock: str, identity: str, address: str) -> bool:
    """Lock an output; True if it was free, False if an earlier run of the same job left its lock.

    Raises:
        OutputError: another output is being written there.
    """
    from obstore.exceptions import AlreadyExistsError, GenericError

    for last in (False, False, True):
        try:
            store.put(lock, identity.encode(), mode="create")
            return True
        except AlreadyExistsError as error:
            if bytes(store.get(lock).bytes()).decode() != identity:
                raise OutputError(
                    f"{address}: locked by another run, running or stopped; wait for it, or delete {lock} if none is "
                    "running"
                ) from error
            return False
        except GenericError:  # obstore does not retry, since the request may have succeeded
            if last:
                raise
    raise AssertionError("the last attempt returns or raises")


def object_attributes(name: str, job: str = "") -> dict[str, str]:
    """Headers and metadata of an object.

    Args:
        job: digest of the job, on the object that completes an output; see `JOB`.
    """
    kind = CONTENT_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    return {"Content-Type": kind, "Cache-Control": CACHE} | ({JOB: job} if job else {})


def job_of(store: ObjectStore, name: str) -> str:
    """Job digest of the output that an object completes; "" without the object or the digest."""
    with suppress(FileNotFoundError):
        return str(store.get(name, options={"head": True}).attributes.get(JOB, ""))
    return ""


def find_object(store: ObjectStore, name: str) -> Any:
    """Metadata of an object, None if it does not exist."""
    with suppress(FileNotFoundError):
        return store.head(name)
    return None


def list_objects(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """The objects below a prefix."""
    for some in store.list(prefix.rstrip("/")):
        yield from (item for item in some if item["path"].startswith(prefix))


@contextmanager
def bucket_errors(address: str) -> Iterator[None]:
    """Turn errors of the bucket or the network into OutputError."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except OutputError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise OutputError(f"{redact(address)}: access denied; check credentials and permissions") from error
    except (BaseError, FileNotFoundError) as error:
        answer = _ANSWER.search(str(error))
        if answer and answer[1] in NO_BUCKET_CODES:
            raise OutputError(f"{redact(address)}: the bucket does not exist; create it, or fix the name") from error
        said = redact(f"{answer[1]}: {answer[2]}") if answer else _first_line(error)
        raise OutputError(f"{redact(address)}: the bucket rejected the upload ({said}); run again to resume") from error


def _first_line(error: Exception) -> str:
    return redact(str(error).strip().splitlines()[0][:200]) if str(error).strip() else type(error).__name__
