"""Stands in for boto3: presigned addresses, and nothing else.

As in the real one the signature is of the old kind unless the client is made with
Config(signature_version='s3v4'), and signing asks nobody whether the bucket exists.
"""

import datetime
import hashlib
import os
import pathlib
import urllib.parse

_WORLD = pathlib.Path(os.environ.get("STANDIN_AWS") or pathlib.Path(__file__).parent.parent / "world")
_METHODS = {"put_object": "PUT", "get_object": "GET", "delete_object": "DELETE"}


def _read(name):
    return (_WORLD / name).read_text().strip()


class _S3:
    def __init__(self, config):
        self._v4 = getattr(config, "signature_version", None) == "s3v4"

    def generate_presigned_url(self, ClientMethod, Params=None, ExpiresIn=3600, HttpMethod=None):
        path = "/%s/%s" % (Params["Bucket"], Params["Key"])
        method = HttpMethod or _METHODS[ClientMethod]
        now = int(_read("clock"))
        if not self._v4:
            query = {"AWSAccessKeyId": _read("key_id"), "Signature": "b2xk", "Expires": now + ExpiresIn}
        else:
            date = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
            signed = "".join(line + "\n" for line in (_read("secret"), method, path, date, str(ExpiresIn)))
            query = {
                "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
                "X-Amz-Credential": "%s/%s/us-east-1/s3/aws4_request" % (_read("key_id"), date[:8]),
                "X-Amz-Date": date,
                "X-Amz-Expires": ExpiresIn,
                "X-Amz-SignedHeaders": "host",
                "X-Amz-Signature": hashlib.sha256(signed.encode()).hexdigest(),
            }
        return _read("s3.url") + urllib.parse.quote(path) + "?" + urllib.parse.urlencode(query)


def client(service_name, region_name=None, config=None, **_):
    if service_name != "s3":
        raise NotImplementedError("the stand-in knows s3 alone")
    return _S3(config)
