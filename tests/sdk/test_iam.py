"""The official SDK of identity and access against the real binary: from a user without rights to one who
only reads, keys that follow one another, temporary keys, a second factor, and an agency's refusals.

    target/venv/bin/python -m unittest tests.sdk.test_iam
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import time
import unittest

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials, GlobalCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkiam import v3 as iam

from tests.harness import postgres
from tests.harness.service import BINARY, Service

PASSWORD = "Cloud-7-Storm"


class IamCase:
    """The tests; a class below says on which database."""

    database_url = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="cbr-iam-"))
        cls.service = Service(cls.folder, cls.database_url)
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.addClassCleanup(cls.service.end)
        cls.service.start()
        cls.facts = cls.service.bootstrap
        cls.admin = cls.iam_of(cls.facts["access_key"], cls.facts["secret_key"])

    # --- clients

    @classmethod
    def iam_of(cls, access_key, secret_key, token=None):
        credentials = GlobalCredentials(access_key, secret_key, cls.facts["domain_id"])
        if token:
            credentials = credentials.with_security_token(token)
        builder = iam.IamClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(cls.service.url).build()

    @classmethod
    def cbr_of(cls, access_key, secret_key, token=None):
        credentials = BasicCredentials(access_key, secret_key, cls.facts["project_id"])
        if token:
            credentials = credentials.with_security_token(token)
        builder = cbr.CbrClient.new_builder().with_credentials(credentials)
        return builder.with_endpoint(cls.service.url).build()

    # --- the acceptance of the guide

    def test_who_only_reads_cannot_create_a_vault(self):
        """IAM-01, IAM-05, IAM-07: group with ReadOnlyAccess → user → creating a vault is refused."""
        user, keys = self.user_with_keys("sdk-reader")
        client = self.cbr_of(*keys)
        self.refused("BackupService.0403", 403, lambda: client.list_vault(cbr.ListVaultRequest()))
        group = self.group_of("sdk-readers", user)
        role = self.role("CBR ReadOnlyAccess")
        project = self.facts["project_id"]
        grant = dict(project_id=project, group_id=group, role_id=role)
        self.admin.keystone_associate_group_with_project_permission(
            iam.KeystoneAssociateGroupWithProjectPermissionRequest(**grant)
        )
        self.admin.keystone_check_project_permission_for_group(
            iam.KeystoneCheckProjectPermissionForGroupRequest(**grant)
        )
        listed = self.admin.keystone_list_project_permissions_for_group(
            iam.KeystoneListProjectPermissionsForGroupRequest(project_id=project, group_id=group)
        )
        self.assertEqual([found.id for found in listed.roles], [role])

        self.assertIsInstance(client.list_vault(cbr.ListVaultRequest()).count, int)
        self.refused("BackupService.0403", 403, lambda: self.create_vault(client, "sdk-refused"))
        self.admin.keystone_remove_project_permission_from_group(
            iam.KeystoneRemoveProjectPermissionFromGroupRequest(**grant)
        )
        time.sleep(1)
        self.refused("BackupService.0403", 403, lambda: client.list_vault(cbr.ListVaultRequest()))

    def test_a_custom_policy_denies_what_full_access_allows(self):
        """IAM-08, IAM-09, IAM-11: FullAccess and a Deny: everything but deleting vaults."""
        statement = iam.ServiceStatement(action=["cbr:vaults:delete"], effect="Deny")
        option = iam.ServicePolicyRoleOption(
            display_name="sdk-no-deleting",
            type="XA",
            description="vaults stay",
            policy=iam.ServicePolicy(version="1.1", statement=[statement]),
        )
        body = iam.CreateCloudServiceCustomPolicyRequestBody(role=option)
        made = self.admin.create_cloud_service_custom_policy(
            iam.CreateCloudServiceCustomPolicyRequest(body=body)
        ).role
        self.assertEqual(made.policy.statement[0].effect, "Deny")
        user, keys = self.user_with_keys("sdk-operator")
        group = self.group_of("sdk-operators", user)
        for role in (self.role("CBR FullAccess"), made.id):
            self.admin.update_domain_group_inherit_role(
                iam.UpdateDomainGroupInheritRoleRequest(
                    domain_id=self.facts["domain_id"], group_id=group, role_id=role
                )
            )
        client = self.cbr_of(*keys)
        vault = self.create_vault(client, "sdk-kept").vault.id
        request = cbr.DeleteVaultRequest(vault_id=vault)
        self.refused("BackupService.0403", 403, lambda: client.delete_vault(request))
        self.refused(
            "IAM.0009",
            409,
            lambda: self.admin.delete_custom_policy(iam.DeleteCustomPolicyRequest(role_id=made.id)),
        )
        self.cbr_of(self.facts["access_key"], self.facts["secret_key"]).delete_vault(request)

    # --- users and their credentials

    def test_users_are_found_changed_and_removed(self):
        """Contract F.1: the calls of the SDK about users and groups."""
        user = self.user("sdk-alice")
        shown = self.admin.keystone_show_user(iam.KeystoneShowUserRequest(user_id=user)).user
        self.assertEqual((shown.name, shown.enabled), ("sdk-alice", True))
        group = self.group_of("sdk-alices", user)
        groups = self.admin.keystone_list_groups_for_user(
            iam.KeystoneListGroupsForUserRequest(user_id=user)
        ).groups
        self.assertEqual([found.id for found in groups], [group])
        members = self.admin.keystone_list_users_for_group_by_admin(
            iam.KeystoneListUsersForGroupByAdminRequest(group_id=group)
        ).users
        self.assertEqual([found.id for found in members], [user])
        change = iam.KeystoneUpdateUserOption(description="by night")
        body = iam.KeystoneUpdateUserByAdminRequestBody(user=change)
        after = self.admin.keystone_update_user_by_admin(
            iam.KeystoneUpdateUserByAdminRequest(user_id=user, body=body)
        ).user
        self.assertEqual(after.description, "by night")
        self.admin.keystone_delete_user(iam.KeystoneDeleteUserRequest(user_id=user))
        with self.assertRaises(ClientRequestException) as caught:
            self.admin.keystone_show_user(iam.KeystoneShowUserRequest(user_id=user))
        self.assertEqual(caught.exception.status_code, 404)

    def test_keys_follow_one_another_and_temporary_ones_end_with_their_user(self):
        """Contract F.1: at most two keys; X-Security-Token; P27: a barred user is out at once."""
        user, (first, secret) = self.user_with_keys("sdk-keys")
        second = self.make_key(user)
        self.refused("IAM.0008", 409, lambda: self.make_key(user, "third"))
        own = self.iam_of(first, secret)
        shown = own.show_permanent_access_key(iam.ShowPermanentAccessKeyRequest(access_key=first))
        self.assertTrue(shown.credential.last_use_time)
        made, temporary = self.temporary_of(own)
        request = iam.KeystoneShowUserRequest(user_id=user)
        self.assertEqual(temporary.keystone_show_user(request).user.id, user)
        bare = self.iam_of(made.access, made.secret)
        self.refused(None, 401, lambda: bare.keystone_show_user(request))
        change = iam.UpdateCredentialOption(status="inactive")
        own.update_permanent_access_key(
            iam.UpdatePermanentAccessKeyRequest(
                access_key=first, body=iam.UpdatePermanentAccessKeyRequestBody(credential=change)
            )
        )
        self.refused(None, 401, lambda: own.keystone_show_user(request))
        self.refused(None, 401, lambda: temporary.keystone_show_user(request))
        _, temporary = self.temporary_of(self.iam_of(*second))
        self.assertEqual(temporary.keystone_show_user(request).user.id, user)
        barred = iam.KeystoneUpdateUserByAdminRequestBody(iam.KeystoneUpdateUserOption(enabled=False))
        self.admin.keystone_update_user_by_admin(
            iam.KeystoneUpdateUserByAdminRequest(user_id=user, body=barred)
        )
        time.sleep(1)
        self.refused(None, 401, lambda: temporary.keystone_show_user(request))

    def test_a_second_factor_is_bound_and_asked_for(self):
        """TOTP: two codes bind a device; a password alone is refused then; each code counts once."""
        user, keys = self.user_with_keys("sdk-careful")
        own = self.iam_of(*keys)
        wanted = iam.CreateMfaDevice(name="phone", user_id=user)
        made = own.create_mfa_device(
            iam.CreateMfaDeviceRequest(body=iam.CreateMfaDeviceReq(virtual_mfa_device=wanted))
        ).virtual_mfa_device
        now = time.time()
        bind = iam.BindMfaDevice(
            user_id=user,
            serial_number=made.serial_number,
            authentication_code_first=code(made.base32_string_seed, now - 30),
            authentication_code_second=code(made.base32_string_seed, now),
        )
        # A key does not show that its holder knows the password: who manages users binds it.
        request = iam.CreateBindingDeviceRequest(body=bind)
        self.refused("BackupService.9900", 400, lambda: own.create_binding_device(request))
        self.admin.create_binding_device(request)
        self.refused(None, 401, lambda: self.log_in("sdk-careful", None))
        # The next step is within the tolerance and after the codes that were used.
        fresh = code(made.base32_string_seed, now + 30)
        answer = self.log_in("sdk-careful", fresh)
        self.assertEqual(answer.token.methods, ["password", "totp"])
        self.assertTrue(answer.x_subject_token)
        self.refused(None, 401, lambda: self.log_in("sdk-careful", fresh))

    def test_agencies_trust_accounts_that_exist(self):
        """IAM-13: an agency names another account of this installation."""
        option = iam.CreateAgencyOption(
            name="sdk-agency", domain_id=self.facts["domain_id"], trust_domain_name="nowhere"
        )
        request = iam.CreateAgencyRequest(body=iam.CreateAgencyRequestBody(agency=option))
        self.refused("BackupService.9900", 400, lambda: self.admin.create_agency(request))
        listed = self.admin.list_agencies(iam.ListAgenciesRequest(domain_id=self.facts["domain_id"]))
        self.assertEqual(listed.agencies, [])
        branch = self.run_cbr("iam", "account", "create", "sdk-branch")["administrator"]
        option.trust_domain_name = "sdk-branch"
        agency = self.admin.create_agency(request).agency
        listed = self.admin.list_agencies(iam.ListAgenciesRequest(domain_id=self.facts["domain_id"]))
        self.assertEqual([one.trust_domain_name for one in listed.agencies], ["sdk-branch"])
        role = self.role("CBR ReadOnlyAccess")
        self.admin.associate_agency_with_all_projects_permission(
            iam.AssociateAgencyWithAllProjectsPermissionRequest(
                domain_id=self.facts["domain_id"], agency_id=agency.id, role_id=role
            )
        )
        # The other account takes a temporary key of this one, and looks at its vaults.
        theirs = self.iam_of(branch["access_key"], branch["secret_key"])
        assume = iam.IdentityAssumerole(
            agency_name="sdk-agency", domain_name=self.facts["domain_name"], duration_seconds=900
        )
        identity = iam.AgencyAuthIdentity(methods=["assume_role"], assume_role=assume)
        body = iam.CreateTemporaryAccessKeyByAgencyRequestBody(iam.AgencyAuth(identity))
        made = theirs.create_temporary_access_key_by_agency(
            iam.CreateTemporaryAccessKeyByAgencyRequest(body=body)
        ).credential
        client = self.cbr_of(made.access, made.secret, made.securitytoken)
        self.assertIsInstance(client.list_vault(cbr.ListVaultRequest()).count, int)
        self.refused("BackupService.0403", 403, lambda: self.create_vault(client, "sdk-theirs"))

    def test_an_account_that_was_guessed_at_is_locked(self):
        """P27: five wrong passwords lock the user, also for the right one."""
        self.user("sdk-guessed")
        for _ in range(5):
            self.refused(None, 401, lambda: self.log_in("sdk-guessed", None, "Wrong-0-Guess"))
        self.refused(None, 401, lambda: self.log_in("sdk-guessed", None))

    # --- the commands

    def test_the_commands_do_the_same(self):
        """`cbr iam …`: from a user to a grant and a key, and what the key may do."""
        self.run_cbr("iam", "group", "create", "cli-readers")
        made = self.run_cbr("iam", "user", "create", "cli-bob", "--group", "cli-readers")
        self.assertEqual(made["name"], "cli-bob")
        key = self.run_cbr("iam", "key", "create", "--user", "cli-bob")
        reader = {"CBR_ACCESS_KEY": key["access"], "CBR_SECRET_KEY": key["secret"]}
        reader |= {"CBR_PROJECT_ID": self.facts["project_id"], "CBR_BOOTSTRAP_FILE": ""}
        self.assertEqual(self.run_cbr("vault", "list", env=reader, fails=6), None)
        project = self.facts["project_name"]
        self.run_cbr("iam", "grant", "add", "cli-readers", "CBR ReadOnlyAccess", "--in", project)
        self.assertIsInstance(self.run_cbr("vault", "list", env=reader), list)
        create = ["vault", "create", "cli-refused", "--type", "disk", "--size", "10"]
        self.run_cbr(*create, env=reader, fails=6)
        [grant] = self.run_cbr("iam", "grant", "list", "cli-readers")
        self.assertEqual((grant["policy"], grant["place"]), ("CBR ReadOnlyAccess", "project"))
        policy = self.folder / "policy.json"
        allow = {"Effect": "Allow", "Action": ["cbr:vaults:create"]}
        policy.write_text(json.dumps({"Version": "1.1", "Statement": [allow]}))
        self.run_cbr("iam", "policy", "create", "cli-makes-vaults", "--file", str(policy))
        self.run_cbr("iam", "grant", "add", "cli-readers", "cli-makes-vaults", "--all-projects")
        self.run_cbr(*create, env=reader)
        self.run_cbr("iam", "key", "disable", key["access"])
        self.run_cbr("vault", "list", env=reader, fails=6)
        self.run_cbr("iam", "user", "show", "nobody", fails=3)
        members = self.run_cbr("iam", "group", "members", "cli-readers")
        self.assertEqual([member["name"] for member in members], ["cli-bob"])
        self.run_cbr("iam", "user", "delete", "cli-bob", "--yes")

    def test_zz_no_secret_is_in_the_log(self):
        """P32: passwords, secret keys, tokens and seeds that went through are not in the log."""
        log = self.service.log.read_text(errors="replace")
        self.assertNotIn(PASSWORD, log)
        self.assertNotIn(self.facts["secret_key"], log)

    def test_the_command_line_looks_after_what_is_of_the_account(self):
        """IAM-13, contract C45: agencies, enterprise projects and organization policies; a second factor is reset on the machine."""
        other = self.run_cbr("iam", "account", "create", "cli-friends")["domain"]
        agency = self.run_cbr("iam", "agency", "create", "cli-agency", "--trust", "cli-friends", "--days", "30")
        self.assertEqual((agency["trust_domain_id"], agency["duration"]), (other["id"], "720"))
        self.run_cbr("iam", "agency", "grant", "cli-agency", "CBR ReadOnlyAccess", "--all-projects")
        [grant] = self.run_cbr("iam", "agency", "grants", "cli-agency")
        self.assertEqual((grant["policy"], grant["place"]), ("CBR ReadOnlyAccess", "all_projects"))
        self.run_cbr("iam", "agency", "revoke", "cli-agency", "CBR ReadOnlyAccess", "--all-projects")
        self.assertEqual(self.run_cbr("iam", "agency", "grants", "cli-agency"), [])
        changed = self.run_cbr("iam", "agency", "update", "cli-agency", "--forever", "--description", "d")
        self.assertEqual((changed["duration"], changed["description"]), ("FOREVER", "d"))
        self.run_cbr("iam", "agency", "delete", "cli-agency", "--yes")
        self.run_cbr("iam", "agency", "show", "cli-agency", fails=3)

        made = self.run_cbr("iam", "enterprise-project", "create", "cli-finance")
        self.run_cbr("iam", "enterprise-project", "disable", "cli-finance")
        changed = self.run_cbr("iam", "enterprise-project", "update", "cli-finance", "--description", "d")
        self.assertEqual((changed["id"], changed["name"], changed["status"]), (made["id"], "cli-finance", 2))
        self.run_cbr("iam", "enterprise-project", "enable", "cli-finance")
        self.assertEqual(self.run_cbr("iam", "enterprise-project", "show", "cli-finance")["status"], 1)

        organization = ("policy", "organization")
        made = self.run_cbr(*organization, "create", "cli-all", "--at", "02:00", "--keep", "5", "--policy-name", "copy")
        self.assertEqual((made["policy_name"], made["policy_enabled"]), ("copy", True))
        changed = self.run_cbr(*organization, "update", "cli-all", "--keep", "7", "--enabled", "false")
        self.assertEqual(changed["policy_operation_definition"]["max_backups"], 7)
        self.assertEqual(changed["policy_trigger"]["properties"]["pattern"], made["policy_trigger"]["properties"]["pattern"])
        shown = self.run_cbr(*organization, "show", made["id"])
        self.assertEqual((shown["policy_enabled"], len(shown["copies"])), (False, 1))
        self.run_cbr(*organization, "delete", "cli-all", "--yes")
        self.assertEqual(self.run_cbr(*organization, "list"), [])

        place = [str(argument) for argument in self.service.place()]
        if self.database_url is None:
            # One process at a time has the embedded database.
            self.run_cbr("iam", "mfa", "reset", "admin", *place, fails=1)
        self.service.stop()
        self.addCleanup(self.service.start)
        self.run_cbr("iam", "mfa", "reset", "admin", *place, fails=3)

    # --- pieces

    def run_cbr(self, *arguments, env=None, fails=0):
        environment = {**os.environ, "CBR_BOOTSTRAP_FILE": str(self.service.bootstrap_file)}
        environment |= {"CBR_URL": self.service.url, **(env or {})}
        environment = {name: value for name, value in environment.items() if value}
        done = subprocess.run(
            [BINARY, "-o", "json", *arguments], capture_output=True, text=True, env=environment
        )
        self.assertEqual(done.returncode, fails, f"{arguments}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def user(self, name):
        option = iam.KeystoneCreateUserOption(name=name, password=PASSWORD)
        body = iam.KeystoneCreateUserRequestBody(user=option)
        made = self.admin.keystone_create_user(iam.KeystoneCreateUserRequest(body=body)).user
        self.assertEqual(made.domain_id, self.facts["domain_id"])
        return made.id

    def make_key(self, user, description="sdk"):
        option = iam.CreateCredentialOption(user_id=user, description=description)
        body = iam.CreatePermanentAccessKeyRequestBody(credential=option)
        request = iam.CreatePermanentAccessKeyRequest(body=body)
        made = self.admin.create_permanent_access_key(request).credential
        # A signature is good once (P27), and says the second.
        time.sleep(1)
        return made.access, made.secret

    def temporary_of(self, own):
        """A temporary key made with `own`'s key: what was answered, and a client that signs with it."""
        token = iam.IdentityToken(duration_seconds=900)
        identity = iam.TokenAuthIdentity(methods=["token"], token=token)
        body = iam.CreateTemporaryAccessKeyByTokenRequestBody(iam.TokenAuth(identity))
        request = iam.CreateTemporaryAccessKeyByTokenRequest(body=body)
        made = own.create_temporary_access_key_by_token(request).credential
        return made, self.iam_of(made.access, made.secret, made.securitytoken)

    def user_with_keys(self, name):
        user = self.user(name)
        return user, self.make_key(user, name)

    def group_of(self, name, user):
        option = iam.KeystoneCreateGroupOption(name=name)
        body = iam.KeystoneCreateGroupRequestBody(group=option)
        group = self.admin.keystone_create_group(iam.KeystoneCreateGroupRequest(body=body)).group.id
        member = dict(group_id=group, user_id=user)
        self.admin.keystone_add_user_to_group(iam.KeystoneAddUserToGroupRequest(**member))
        self.admin.keystone_check_user_in_group(iam.KeystoneCheckUserInGroupRequest(**member))
        return group

    def role(self, name):
        listed = self.admin.keystone_list_permissions(
            iam.KeystoneListPermissionsRequest(display_name=name)
        ).roles
        [found] = [role for role in listed if role.display_name == name]
        return found.id

    def create_vault(self, client, name):
        billing = cbr.BillingCreate(
            object_type="disk",
            protect_type="backup",
            consistent_level="crash_consistent",
            charging_mode="post_paid",
            cloud_type="public",
            size=10,
        )
        body = cbr.VaultCreateReq(cbr.VaultCreate(name=name, billing=billing, resources=[]))
        return client.create_vault(cbr.CreateVaultRequest(body=body))

    def log_in(self, name, passcode, password=PASSWORD):
        domain = iam.PwdPasswordUserDomain(name=self.facts["domain_name"])
        user = iam.PwdPasswordUser(domain=domain, name=name, password=password)
        # Logging in is signed by the SDK like everything: each attempt needs its own second.
        time.sleep(1)
        if passcode is None:
            identity = iam.PwdIdentity(methods=["password"], password=iam.PwdPassword(user=user))
            body = iam.KeystoneCreateUserTokenByPasswordRequestBody(iam.PwdAuth(identity=identity))
            request = iam.KeystoneCreateUserTokenByPasswordRequest(body=body)
            return self.admin.keystone_create_user_token_by_password(request)
        totp = iam.MfaTotp(user=iam.MfaTotpUser(id="ignored", passcode=passcode))
        identity = iam.MfaIdentity(
            methods=["password", "totp"], password=iam.PwdPassword(user=user), totp=totp
        )
        body = iam.KeystoneCreateUserTokenByPasswordAndMfaRequestBody(iam.MfaAuth(identity=identity))
        request = iam.KeystoneCreateUserTokenByPasswordAndMfaRequest(body=body)
        return self.admin.keystone_create_user_token_by_password_and_mfa(request)

    def refused(self, error_code, status, call):
        with self.assertRaises(ClientRequestException) as caught:
            call()
        error = caught.exception
        self.assertEqual(error.status_code, status, error.error_msg)
        if error_code:
            self.assertEqual(error.error_code, error_code, error.error_msg)
        self.assertTrue(error.request_id, "a refusal has no X-Request-Id")


def code(seed, at):
    """The code of an authenticator at a time (RFC 6238), written without a line of the code under test."""
    key = base64.b32decode(seed + "=" * (-len(seed) % 8))
    mac = hmac.digest(key, struct.pack(">Q", int(at) // 30), hashlib.sha1)
    offset = mac[-1] & 15
    number = struct.unpack(">I", mac[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class OnSqlite(IamCase, unittest.TestCase):
    """On the embedded default."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(IamCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("iam")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
