"""The few requests that the tests need, authorised with a token."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request

FINAL = {"success", "failed", "skipped", "timeout"}
TASK_SECONDS_MAX = 180


class ApiError(Exception):
    """A refusal: status, code and message as the service told them."""

    def __init__(self, status, code, message):
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code = status, code


class Api:
    """A client for one project."""

    def __init__(self, service):
        self.service = service
        self.project = service.bootstrap["project_id"]
        self.token = None

    def request(self, method, path, body=None, **query):
        """Sends a request below the project and returns the JSON of its answer."""
        if query:
            path += "?" + urllib.parse.urlencode(query, doseq=True)
        _, answer = self.send(method, self.path(path), body, self.authorised())
        return answer

    def path(self, path):
        return path.replace("{project}", self.project)

    def authorised(self):
        if self.token is None:
            self.token = self.log_in()
        return {"X-Auth-Token": self.token}

    def send(self, method, path, body, headers):
        headers, text = self.exchange(method, path, body, headers)
        return headers, json.loads(text) if text else None

    def exchange(self, method, path, body, headers):
        """Sends a request; the answer's headers and bytes."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.service.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            raise refusal(error) from None

    def log_in(self):
        facts = self.service.bootstrap
        user = {"name": facts["user_name"], "password": facts["password"]}
        user["domain"] = {"name": facts["domain_name"]}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"id": self.project}}
        body = {"auth": {"identity": identity, "scope": scope}}
        headers, _ = self.send("POST", "/v3/auth/tokens", body, {})
        return headers["X-Subject-Token"]

    # --- vaults and disks

    def create_vault(self, name, size_gb=100):
        billing = {"object_type": "disk", "protect_type": "backup", "size": size_gb}
        billing |= {"consistent_level": "crash_consistent", "cloud_type": "public"}
        vault = {"name": name, "billing": billing, "resources": []}
        return self.request("POST", "/v3/{project}/vaults", {"vault": vault})["vault"]

    def bind(self, vault, volume):
        resource = {"id": volume, "type": "OS::Cinder::Volume"}
        path = f"/v3/{{project}}/vaults/{vault}/addresources"
        return self.request("POST", path, {"resources": [resource]})

    def volumes(self):
        return self.request("GET", "/v2/{project}/cloudvolumes/detail")["volumes"]

    # --- backups

    def back_up(self, vault, name):
        """Starts a backup of everything in the vault; returns the restore point."""
        body = {"checkpoint": {"vault_id": vault, "parameters": {"name": name}}}
        return self.request("POST", "/v3/{project}/checkpoints", body)["checkpoint"]

    def backups(self, **query):
        return self.request("GET", "/v3/{project}/backups", **query)["backups"]

    def backup(self, backup):
        return self.request("GET", f"/v3/{{project}}/backups/{backup}")["backup"]

    def restore(self, backup, volume):
        """Starts a restore; returns the id of its operation log."""
        body = {"restore": {"volume_id": volume}}
        path = f"/v3/{{project}}/backups/{backup}/restore"
        return self.request("POST", path, body)["job_id"]

    def delete_backup(self, backup):
        self.request("DELETE", f"/v3/{{project}}/backups/{backup}")

    def trash(self):
        """Deleted backups that can be taken back."""
        return self.request("GET", "/v3/{project}/x/trash")["trash"]

    # --- tasks

    def operations(self):
        return self.request("GET", "/v3/{project}/operation-logs", limit=1000)["operation_logs"]

    def operation(self, operation):
        return self.request("GET", f"/v3/{{project}}/operation-logs/{operation}")["operation_log"]

    def wait_for(self, operation):
        """Waits until a task has ended and returns its operation log."""
        return self._until(
            lambda: self.operation(operation), lambda log: log["status"] in FINAL, "the task"
        )

    def wait_for_all(self):
        """Waits until no task is left to do; returns all operation logs."""
        ended = lambda logs: all(log["status"] in FINAL for log in logs)
        return self._until(self.operations, ended, "a task")

    def _until(self, look, is_done, what):
        deadline = time.monotonic() + TASK_SECONDS_MAX
        while True:
            seen = look()
            if is_done(seen):
                return seen
            if time.monotonic() > deadline:
                text = json.dumps(seen, indent=1)[:4000]
                raise AssertionError(f"{what} is stuck: {text}\n{self.service.tail()}")
            time.sleep(0.05)


def refusal(error):
    """The error of an answer, in the shape of the contract or of Keystone."""
    text = error.read()
    try:
        body = json.loads(text)
    except ValueError:
        raise AssertionError(f"{error.code} without a JSON body: {text[:200]!r}") from None
    inner = body.get("error", {})
    code = body.get("error_code", inner.get("code"))
    return ApiError(error.code, code, body.get("error_msg", inner.get("message")))
