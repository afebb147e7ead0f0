"""Buckets (S3, Google Cloud Storage, Azure): their addresses, their objects, what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geo2map.errors import OutputError, PlanError, missing_extra
from geo2map.files.address import redact

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LOCK = ".geo2map.lock"
JOB = "geo2map-job"
"""Metadata of the object that completes an output: what the output was made of, as sixteen hex digits."""
CONTENT_TYPES = {
    ".png": "image/png",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".pmtiles": "application/vnd.pmtiles",
    ".mbtiles": "application/vnd.sqlite3",
}
CACHE = "public, max-age=3600"
SENDERS = 16
CORS_ADVICE = (
    'for browsers, let the bucket answer other sites: CORS with methods GET and HEAD, headers "range" and "if-match", '
    'exposed "etag"; and let a lifecycle rule remove uploads that were given up, which cost until then'
)
NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
"""Codes of answers, S3's and Google's, and Azure's."""
_BUCKET = re.compile(r"(s3a?|gs|az|adl|azure|abfss?)://[^/]+/(.*)", re.IGNORECASE)
_ANSWER = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<\n]+)")


def is_bucket(address: str | Path) -> bool:
    """Whether an output is to lie in a bucket."""
    return _BUCKET.fullmatch(str(address)) is not None


def open_bucket(address: str, **settings: Any) -> tuple[ObjectStore, str]:
    """The bucket of an address, and the name in it. Credentials and endpoint come from the usual variables.

    Args:
        settings: of `obstore.store.from_url`, e.g. retry_config.

    Raises:
        PlanError: the extra is not installed.
        OutputError: no such address, or settings that make no sense.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import from_url
    except ImportError as error:
        raise PlanError(missing_extra("writing to buckets", "cloud")) from error
    if not (found := _BUCKET.fullmatch(address)) or not found[2].strip("/"):
        raise OutputError(f"{redact(address)} names no place in a bucket: give e.g. s3://bucket/map/", option="out")
    try:
        return from_url(address[: len(address) - len(found[2])].rstrip("/"), **settings), found[2]
    except (BaseError, ValueError) as error:
        raise OutputError(f"{redact(address)} cannot be opened: {_first_line(error)}", option="out") from error


def take_lock(store: ObjectStore, lock: str, identity: str, address: str) -> bool:
    """Takes the lock for an output; whether it was free, and not left by an earlier run of the same.

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
                    f"{address} is being written by another geo2map, or one was stopped there: wait for it, or remove "
                    f"{lock} if nobody is at work"
                ) from error
            return False
        except GenericError:  # it may have arrived or not, so obstore does not repeat it
            if last:
                raise
    raise AssertionError("the last try returns or raises")


def object_attributes(name: str, job: str = "") -> dict[str, str]:
    """Headers and metadata of an object.

    Args:
        job: what the output was made of, on the object that completes it; see `JOB`.
    """
    kind = CONTENT_TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    return {"Content-Type": kind, "Cache-Control": CACHE} | ({JOB: job} if job else {})


def job_of(store: ObjectStore, name: str) -> str:
    """What the output that an object completes was made of; "" where that is not recorded, or there is no object."""
    with suppress(FileNotFoundError):
        return str(store.get(name, options={"head": True}).attributes.get(JOB, ""))
    return ""


def find_object(store: ObjectStore, name: str) -> Any:
    """What is known of an object, None where there is none."""
    with suppress(FileNotFoundError):
        return store.head(name)
    return None


def list_objects(store: ObjectStore, prefix: str) -> Iterator[Any]:
    """The objects below a prefix."""
    for some in store.list(prefix.rstrip("/")):
        yield from (item for item in some if item["path"].startswith(prefix))


@contextmanager
def bucket_errors(address: str) -> Iterator[None]:
    """
    Raises:
        OutputError: in place of what the bucket or the network says.
    """
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    try:
        yield
    except OutputError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise OutputError(f"{redact(address)} is not open to you: check credentials and rights") from error
    except (BaseError, FileNotFoundError) as error:
        answer = _ANSWER.search(str(error))
        if answer and answer[1] in NO_BUCKET:
            raise OutputError(f"there is no bucket for {redact(address)}: make it first, or mend its name") from error
        said = redact(f"{answer[1]}: {answer[2]}") if answer else _first_line(error)
        raise OutputError(f"{redact(address)} does not take it ({said}): run again to go on") from error


def _first_line(error: Exception) -> str:
    return redact(str(error).strip().splitlines()[0][:200]) if str(error).strip() else type(error).__name__
