"""Which variables say where an object store is and how it is reached; credentials are none."""

from __future__ import annotations

import re

__all__ = ["ANY", "settings_of"]

_S3 = (
    r"AWS_(REGION|DEFAULT_REGION|ENDPOINT(_URL(_S3)?)?|ALLOW_HTTP|VIRTUAL_HOSTED_STYLE_REQUEST"
    r"|REQUEST_PAYER|SKIP_SIGNATURE|UNSIGNED_PAYLOAD|CHECKSUM_ALGORITHM|CONDITIONAL_PUT"
    r"|COPY_IF_NOT_EXISTS|S3_EXPRESS|DISABLE_TAGGING|DISABLE_BULK_DELETE)"
)
_GOOGLE = r"GOOGLE_(BASE_URL|SKIP_SIGNATURE)"
_AZURE = (
    r"AZURE_((STORAGE_)?(ACCOUNT_NAME|ENDPOINT|AUTHORITY_HOST)|ALLOW_HTTP|STORAGE_USE_EMULATOR"
    r"|SKIP_SIGNATURE|DISABLE_TAGGING)"
)
_BY_SCHEME = {
    **dict.fromkeys(("s3", "s3a"), _S3),
    "gs": _GOOGLE,
    **dict.fromkeys(("az", "abfs", "abfss"), _AZURE),
}

ANY = re.compile("|".join(_BY_SCHEME.values()), re.ASCII)
"""Those of every store."""


def settings_of(uri: str) -> re.Pattern[str]:
    """The names of such variables for a URL; none for a folder."""
    return re.compile(_BY_SCHEME.get(uri.partition("://")[0], "(?!)"), re.ASCII)
