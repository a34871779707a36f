"""A certificate authority for one run, and one certificate from it."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def certificate_for(names, folder):
    """Writes the files and returns the paths of the authority, the certificate for `names`, and its key."""
    issuer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peers test authority")])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    ca = _sign(authority, issuer.public_key(), authority, issuer, x509.BasicConstraints(ca=True, path_length=0))
    leaf = _sign(subject, key.public_key(), authority, issuer, alternatives)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files = {"ca.pem": ca.public_bytes(plain[0]), "server.pem": leaf.public_bytes(plain[0]), "server.key": key.private_bytes(*plain)}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return tuple(str(folder / name) for name in files)


def _sign(subject, public_key, issuer, issuer_key, extension):
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number(), now - day, now + day)
    return builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints)).sign(issuer_key, hashes.SHA256())
