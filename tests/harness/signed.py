"""Requests to an S3 server that checks signatures (AWS signature, version 4)."""

import datetime
import hashlib
import hmac
import urllib.parse
import urllib.request

REGION = "us-east-1"


def request(method, url, access_key, secret_key):
    """A signed request without a body."""
    parts = urllib.parse.urlsplit(url)
    now = datetime.datetime.now(datetime.timezone.utc)
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    empty = hashlib.sha256(b"").hexdigest()
    headers = {"host": parts.netloc, "x-amz-content-sha256": empty, "x-amz-date": moment}
    pairs = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    query = "&".join(sorted(f"{_quote(name)}={_quote(value)}" for name, value in pairs))
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = "\n".join([method, parts.path, query, lines, names, empty])
    scope = f"{day}/{REGION}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashed}"
    key = f"AWS4{secret_key}".encode()
    for step in (day, REGION, "s3", "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    credential = f"Credential={access_key}/{scope}"
    del headers["host"]
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    )
    return urllib.request.Request(url, method=method, headers=headers)


def _quote(text):
    return urllib.parse.quote(text, safe="-_.~")
