"""Which files hold secrets by their names: where a tool keeps its own, and what people call them.

Source code is never one: `tokens.py` is about tokens.
"""

from __future__ import annotations

import fnmatch
import re
from pathlib import PurePosixPath

__all__ = ["is_secret_file"]

_FOLDERS = frozenset(
    {
        *(".aws", ".azure", ".boto", ".databricks", ".dbt", ".docker", ".gcloud", ".gnupg"),
        *(".huggingface", ".kaggle", ".kube", ".oci", ".ray", ".secrets", ".snowflake"),
        *(".snowsql", ".ssh", ".terraform", ".terraform.d", ".password-store"),
    }
)
"""Folders where tools keep credentials, and nothing that a job is made of."""

_NAMES = (
    # environments: `.env`, `.env.local`, `prod.env`, `.envrc`
    *(".env", ".env.*", "*.env", "*.env.*", ".envrc", ".flaskenv"),
    # of programs, each in its own file
    *(".netrc", "_netrc", ".git-credentials", ".npmrc", ".yarnrc", ".yarnrc.yml", ".pypirc"),
    *("pip.conf", "pip.ini", ".condarc", ".dockercfg", ".dockerconfigjson", ".htpasswd"),
    *(".pgpass", "pgpass.conf", ".pg_service.conf", ".my.cnf", ".mylogin.cnf", ".odbc.ini"),
    *(".boto", ".s3cfg", ".passwd-s3fs", "rclone.conf", ".databrickscfg", ".bigqueryrc"),
    *("kubeconfig", "kubeconfig.*", "kubeconfig-*", "*.kubeconfig", "*-kubeconfig", "*_kubeconfig"),
    *("*kubeconfig*.yaml", "*kubeconfig*.yml", "*kubeconfig*.json"),
    *("kaggle.json", ".modal.toml", ".vault-token", ".terraformrc", "terraform.rc"),
    *("*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", "auth_token", "token", "tokens"),
    # keys and stores of keys
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pk8", "*.ppk", "*.jks", "*.jceks"),
    *("*.keystore", "*.truststore", "*.kdb", "*.kdbx", "*.gpg", "*.pgp", "*.asc", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ed25519*", "id_ecdsa*", "*_rsa", "*_ed25519", "*_ecdsa"),
    # of clouds, as they are downloaded
    *("service-account*.json", "service_account*.json", "*credentials.json", "adc.json"),
    *("gha-creds-*.json", "client_secret*.json", "*accesskey*.csv", "rootkey.csv"),
    *("credentials", "*.credentials", "*-credentials", "*_credentials"),
    *("secrets", "passwords", "*.secret", "*.secrets", "*.password", "*.passwd", "*.token"),
)

_SAID = (
    r"(.*[-_.])?(tokens?|secrets?|passwords?|passwd|credentials?|creds|api_?keys?)"
    r"\.(json|txt|ya?ml|toml|ini|cfg|conf|properties|csv|xml)\Z"
)
_SECRET = re.compile("|".join([*map(fnmatch.translate, _NAMES), _SAID]))


def is_secret_file(path: PurePosixPath) -> bool:
    """Whether a file is to stay here: by its own name, or by that of a folder that it is in."""
    *folders, name = (part.lower() for part in path.parts)
    if not _FOLDERS.isdisjoint(folders) or {".config", "gcloud"} <= set(folders):
        return True
    return not name.endswith((".py", ".pyi")) and _SECRET.match(name) is not None
