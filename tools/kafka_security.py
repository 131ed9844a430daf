"""Logins, certificates and access rules for a local broker, to test clients against what real clusters ask for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

SCRAM = "SCRAM-SHA-256"
SASL = ("SASL_PLAINTEXT", "SASL_SSL")
TLS = ("SSL", "SASL_SSL")


@dataclass(frozen=True)
class Certificates:
    """PEM files of a made-up authority, of the broker (for localhost and 127.0.0.1) and of one client."""

    authority: Path
    server: Path
    client: Path
    client_key: Path

    @classmethod
    def make(cls, folder: Path, client_name: str = "orderflow") -> "Certificates":
        """Write new certificates into `folder`; to the broker the client is `User:<client_name>`."""
        folder.mkdir(parents=True, exist_ok=True)
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "client.pem", folder / "client-key.pem")
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(made.authority))
        server = authority.issue_cert("localhost", "127.0.0.1")
        client = authority.issue_cert(f"{client_name}.test", common_name=client_name)
        chain = b"".join(pem.bytes() for pem in server.cert_chain_pems)
        made.server.write_bytes(_pkcs8(server.private_key_pem.bytes()) + chain)
        made.client.write_bytes(b"".join(pem.bytes() for pem in client.cert_chain_pems))
        made.client_key.write_bytes(_pkcs8(client.private_key_pem.bytes()))
        return made


@dataclass(frozen=True)
class Security:
    """What the broker's further listeners ask for; its first listener stays open, for administration.

    `users` may log in by PLAIN and by SCRAM-SHA-256. `access_rules` switches on the authorizer: whoever comes through
    the open listener may do everything, all others what ACLs allow.
    """

    protocols: Sequence[str] = ("SASL_PLAINTEXT",)
    users: Mapping[str, str] = field(default_factory=dict)
    certificates: Certificates | None = None
    client_certificates: bool = False
    access_rules: bool = False

    def properties(self) -> dict[str, str]:
        """Return the broker properties that this adds; a listener is named as its protocol."""
        # Certificates name more than a user: the common name alone is the principal.
        properties = {"ssl.principal.mapping.rules": r"RULE:^.*CN=([^,]+).*$/$1/,DEFAULT"}
        if self.access_rules:
            properties["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
            properties["super.users"] = "User:ANONYMOUS"
        for protocol in self.protocols:
            prefix = f"listener.name.{protocol.lower()}."
            if protocol in SASL:
                logins = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
                module = "org.apache.kafka.common.security"
                properties |= {
                    f"{prefix}sasl.enabled.mechanisms": f"PLAIN,{SCRAM}",
                    f"{prefix}plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {logins};",
                    f"{prefix}{SCRAM.lower()}.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
                }
            if protocol in TLS:
                if self.certificates is None:
                    raise ValueError(f"{protocol} needs certificates")
                properties |= {
                    f"{prefix}ssl.keystore.type": "PEM",
                    f"{prefix}ssl.keystore.location": str(self.certificates.server),
                    f"{prefix}ssl.truststore.type": "PEM",
                    f"{prefix}ssl.truststore.location": str(self.certificates.authority),
                    f"{prefix}ssl.client.auth": "required" if self.client_certificates else "none",
                }
        return properties

    def format_arguments(self) -> list[str]:
        """Return what formatting the storage needs to know: SCRAM logins live in the metadata."""
        return [
            part
            for name, password in self.users.items()
            for part in ("--add-scram", f"{SCRAM}=[name={name},password={password}]")
        ]


def _pkcs8(key: bytes) -> bytes:
    """Return the key in the one form that Kafka reads."""
    return load_pem_private_key(key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
