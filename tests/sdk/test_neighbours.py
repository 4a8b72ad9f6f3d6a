"""The official SDKs of the neighbour services look after images, disks and servers of the real binary.

    target/venv/bin/python -m unittest tests.sdk.test_neighbours
"""

import json
import stat
import unittest

from huaweicloudsdkcbr import v1 as cbr
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcts import v3 as cts
from huaweicloudsdkecs import v2 as ecs
from huaweicloudsdkevs import v2 as evs
from huaweicloudsdkims import v2 as ims
from huaweicloudsdksfsturbo import v1 as sfsturbo

from tests.harness import postgres
from tests.harness.service import be_client
from tests.sdk.case import ABSENT, Case

# Servers whose power states are files, by their names: what `virsh` would be asked. What a server is started with
# is noted.
POWER = """#!/bin/sh
verb=$1 server=$2
shift 2
cd {folder}
case $verb in
  start) echo running > "$server.state"; echo "$@" > "$server.disks" ;;
  stop) echo stopped > "$server.state" ;;
  status) cat "$server.state" 2>/dev/null || echo stopped ;;
esac
"""


class NeighboursCase(Case):
    """The tests; a class below says on which database."""

    disk_names = ("root", "data", "alone")

    @classmethod
    def configuration(cls):
        script, states = cls.folder / "power", cls.folder / "states"
        states.mkdir()
        script.write_text(POWER.format(folder=states))
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

        def commands(*server):
            words = {"start": server, "stop": server[:1], "status": server[:1]}
            return "".join(f"{verb} = {json.dumps([str(script), verb, *more])}\n" for verb, more in words.items())

        return (
            f'[[local.servers]]\nname = "web"\nvolumes = ["root.raw", "data.raw"]\n{commands("web")}'
            '[[local.servers]]\nname = "group"\nvolumes = ["alone.raw"]\n'
            f'[local.made_servers]\n{commands("{id}", "{disks}")}'
        )

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        facts = cls.service.bootstrap
        keys = facts["access_key"], facts["secret_key"], facts["project_id"]
        credentials = BasicCredentials(*keys)

        def client(kind):
            return kind.new_builder().with_credentials(credentials).with_endpoint(cls.service.url).build()

        cls.ims, cls.evs = client(ims.ImsClient), client(evs.EvsClient)
        cls.ecs, cls.cts = client(ecs.EcsClient), client(cts.CtsClient)
        cls.turbo = client(sfsturbo.SFSTurboClient)
        found = cls.ecs.list_servers_details(ecs.ListServersDetailsRequest(name="web")).servers
        cls.server = found[0].id

    def test_the_life_of_an_image(self):
        """IMG-01, IMG-05, IMG-06, RET-12, contract F.2: as Terraform does it, and what it holds."""
        vault = self.create_server_vault("sdk-images")
        resource = cbr.ResourceCreate(id=self.server, type="OS::Nova::Server", name="web")
        body = cbr.VaultAddResourceReq(resources=[resource])
        self.client.add_vault_resource(cbr.AddVaultResourceRequest(vault_id=vault, body=body))
        backup = self.back_up(vault, "sdk-web")
        body = ims.CreateWholeImageRequestBody(
            name="sdk-golden",
            backup_id=backup.id,
            whole_image_type="CBR",
            image_tags=[ims.TagKeyValue(key="env", value="lab")],
        )
        job = self.ims.create_whole_image(ims.CreateWholeImageRequest(body=body)).job_id
        image = self.job(self.ims.show_job, ims.ShowJobRequest(job_id=job)).entities.image_id
        [found] = self.ims.list_images(ims.ListImagesRequest(id=image, imagetype="private")).images
        self.assertEqual((found.name, found.status, found.backup_id), ("sdk-golden", "active", backup.id))
        self.assertEqual((found.min_disk, found.max_ram, found.tags), (1, "", ["env.lab"]))
        data = self.show_backup(backup.id).extend_info.os_images_data
        self.assertEqual([one.image_id for one in data], [image])

        self.refused("BackupService.6210", 400, lambda: self.ims.create_whole_image(
            ims.CreateWholeImageRequest(body=ims.CreateWholeImageRequestBody(
                name="sdk-second", backup_id=backup.id, whole_image_type="CBR"))))
        delete = cbr.DeleteBackupRequest(backup_id=backup.id)
        self.refused("BackupService.6204", 400, lambda: self.client.delete_backup(delete))
        self.check_servers_of(image)
        if self.database_url is None:  # It does not depend on the database.
            self.check_the_command_line(image)
        change = [ims.UpdateImageRequestBody(op="replace", path="/name", value="sdk-silver")]
        changed = self.ims.update_image(ims.UpdateImageRequest(image_id=image, body=change))
        self.assertEqual(changed.name, "sdk-silver")
        tags = self.ims.list_image_tags(ims.ListImageTagsRequest(image_id=image)).tags
        self.assertEqual([(tag.key, tag.value) for tag in tags], [("env", "lab")])

        both = ims.GlanceDeleteImageRequestBody(delete_backup=True)
        self.ims.glance_delete_image(ims.GlanceDeleteImageRequest(image_id=image, body=both))
        self.assertEqual(self.ims.list_images(ims.ListImagesRequest(id=image)).images, [])
        self.wait_until_gone(lambda: self.show_backup(backup.id), "BackupService.6200")
        self.refused("CBRX.0040", 404, lambda: self.ims.glance_delete_image(
            ims.GlanceDeleteImageRequest(image_id=image)))
        traces = self.cts.list_traces(cts.ListTracesRequest(trace_type="system", service_type="IMS"))
        names = [trace.trace_name for trace in traces.traces]
        for name in ("createWholeImage", "updateImage", "deleteImage"):
            self.assertIn(name, names)

    def test_disks(self):
        """NEW-01, NEW-06, contract F.3: a disk is made, listed and deleted; jobs say how far it is."""
        volume = evs.CreateVolumeOption(
            availability_zone="local", volume_type="pool", size=1, name="sdk-disk", count=1
        )
        request = evs.CreateVolumeRequest(body=evs.CreateVolumeRequestBody(volume=volume))
        made = self.evs.create_volume(request)
        job = self.job(self.evs.show_job, evs.ShowJobRequest(job_id=made.job_id))
        self.assertEqual((job.job_type, job.entities.volume_id), ("createVolume", made.volume_ids[0]))
        shown = self.evs.show_volume(evs.ShowVolumeRequest(volume_id=made.volume_ids[0])).volume
        self.assertEqual((shown.name, shown.status, shown.size), ("sdk-disk", "available", 1))
        listed = self.evs.list_volumes(evs.ListVolumesRequest(name="sdk-disk"))
        self.assertEqual(listed.count, 1)
        project = self.service.bootstrap["project_id"]
        quotas = self.evs.cinder_list_quotas(
            evs.CinderListQuotasRequest(target_project_id=project, usage="True")
        ).quota_set
        self.assertEqual((quotas.volumes.in_use, quotas.volumes.limit), (4, -1))
        gone = self.evs.delete_volume(evs.DeleteVolumeRequest(volume_id=made.volume_ids[0]))
        self.job(self.evs.show_job, evs.ShowJobRequest(job_id=gone.job_id))
        self.refused("BackupService.7000", 404, lambda: self.evs.show_volume(
            evs.ShowVolumeRequest(volume_id=made.volume_ids[0])))
        attached = evs.DeleteVolumeRequest(volume_id=self.disks["root"].id)
        self.refused("CBRX.0002", 409, lambda: self.evs.delete_volume(attached))

    def test_servers_are_started_and_stopped(self):
        """Contract F.4: by the operator's commands, or not at all."""
        [disk, _] = self.ecs.list_server_block_devices(
            ecs.ListServerBlockDevicesRequest(server_id=self.server)
        ).volume_attachments
        self.assertEqual((disk.volume_id, disk.boot_index), (self.disks["root"].id, 0))
        state = self.folder / "states" / "web.state"
        for verb, status in (("start", "ACTIVE"), ("stop", "SHUTOFF")):
            job = self.power(verb, [self.server])
            self.assertEqual(self.ecs_job(job).job_type, f"{verb}Server")
            shown = self.ecs.show_server(ecs.ShowServerRequest(server_id=self.server)).server
            self.assertEqual(shown.status, status)
        self.assertEqual(state.read_text(), "stopped\n")
        self.refused("BackupService.7100", 404, lambda: self.power("start", [ABSENT]))
        [group] = self.ecs.list_servers_details(ecs.ListServersDetailsRequest(name="group")).servers
        self.refused("CBRX.0050", 409, lambda: self.power("start", [group.id]))

    def test_file_systems_are_not_pretended(self):
        """Contract F.5: without a provider of them there are none, and making one is refused."""
        self.assertEqual(self.turbo.list_shares(sfsturbo.ListSharesRequest()).count, 0)
        share = sfsturbo.Share(
            name="home", share_proto="NFS", share_type="STANDARD", size=500, availability_zone="local",
            vpc_id=ABSENT, subnet_id=ABSENT, security_group_id=ABSENT,
        )
        body = sfsturbo.CreateShareRequestBody(share=share)
        self.refused("CBRX.0054", 400, lambda: self.turbo.create_share(
            sfsturbo.CreateShareRequest(body=body)))
        self.refused("CBRX.0055", 404, lambda: self.turbo.show_share(
            sfsturbo.ShowShareRequest(share_id=ABSENT)))

    # --- pieces

    def check_servers_of(self, image):
        """IMG-01, IMG-11, NEW-11, contract F.4: a server of the image has its disks, is started by the commands
        for such, gets another disk and goes."""
        option = ecs.PostPaidServer(
            name="sdk-copy", image_ref=image, flavor_ref="any", vpcid=ABSENT,
            nics=[ecs.PostPaidServerNic(subnet_id=ABSENT)],
            root_volume=ecs.PostPaidServerRootVolume(volumetype="SSD"),
        )
        body = ecs.CreatePostPaidServersRequestBody(server=option)
        made = self.ecs.create_post_paid_servers(ecs.CreatePostPaidServersRequest(body=body))
        [server] = made.server_ids
        self.assertEqual(self.ecs_job(made.job_id).entities.sub_jobs[0].entities.server_id, server)
        disks = self.disks_of(server)
        paths = [self.service.pool / f"{disk}.raw" for disk in disks]
        for name, path in zip(("root", "data"), paths, strict=True):
            original = (self.service.pool / f"{name}.raw").read_bytes()
            with path.open("rb") as copy:
                self.assertEqual(copy.read(len(original)), original, f"{name} of the copy differs")
        self.ecs_job(self.power("start", [server]))
        noted = (self.folder / "states" / f"{server}.disks").read_text()
        self.assertEqual(noted, " ".join(map(str, paths)) + "\n")

        volume = evs.CreateVolumeOption(
            availability_zone="local", volume_type="pool", size=1, name="sdk-more", count=1
        )
        request = evs.CreateVolumeRequest(body=evs.CreateVolumeRequestBody(volume=volume))
        more = self.evs.create_volume(request)
        self.job(self.evs.show_job, evs.ShowJobRequest(job_id=more.job_id))
        [more] = more.volume_ids
        self.refused("CBRX.0052", 409, lambda: self.attach(server, ABSENT))
        self.ecs_job(self.power("stop", [server]))
        self.ecs_job(self.attach(server, more).job_id)
        self.assertEqual(self.disks_of(server), [*disks, more])
        detach = ecs.DetachServerVolumeRequest(server_id=server, volume_id=more)
        self.ecs_job(self.ecs.detach_server_volume(detach).job_id)
        self.assertEqual(self.disks_of(server), disks)

        both = ecs.DeleteServersRequestBody(servers=[ecs.ServerId(id=server)], delete_volume=True)
        self.ecs_job(self.ecs.delete_servers(ecs.DeleteServersRequest(body=both)).job_id)
        self.assertEqual([path.exists() for path in paths], [False, False])
        self.refused("BackupService.7100", 404, lambda: self.ecs.show_server(
            ecs.ShowServerRequest(server_id=server)))
        gone = self.evs.delete_volume(evs.DeleteVolumeRequest(volume_id=more))
        self.job(self.evs.show_job, evs.ShowJobRequest(job_id=gone.job_id))

    def check_the_command_line(self, image):
        """`cbr server create | start | stop | attach | detach | delete`: the same by hand."""
        be_client(self, self.service)

        def run(*arguments):
            return json.loads(self.service.run(*arguments, "-o", "json").stdout)

        made = run("server", "create", "sdk-cli", "--image", image, "--root-size", "2")
        self.assertEqual((made["name"], made["status"]), ("sdk-cli", "SHUTOFF"))
        disks = self.disks_of(made["id"])
        self.assertEqual(self.evs.show_volume(evs.ShowVolumeRequest(volume_id=disks[0])).volume.size, 2)
        run("volume", "create", "sdk-cli-more", "--size", "1")
        attached = run("server", "attach", "sdk-cli", "sdk-cli-more")
        self.assertEqual(len(attached["os-extended-volumes:volumes_attached"]), 3)
        run("server", "detach", "sdk-cli", "sdk-cli-more")
        self.assertEqual(run("server", "start", "sdk-cli")["status"], "ACTIVE")
        self.assertEqual(run("server", "stop", "sdk-cli")["status"], "SHUTOFF")
        run("server", "delete", "sdk-cli", "--with-volumes", "--yes")
        run("volume", "delete", "sdk-cli-more", "--yes")
        self.assertEqual(run("server", "list", "--name", "sdk-cli"), [])

    def attach(self, server, volume):
        body = ecs.AttachServerVolumeRequestBody(ecs.AttachServerVolumeOption(volume_id=volume))
        return self.ecs.attach_server_volume(ecs.AttachServerVolumeRequest(server_id=server, body=body))

    def disks_of(self, server):
        request = ecs.ListServerBlockDevicesRequest(server_id=server)
        return [disk.volume_id for disk in self.ecs.list_server_block_devices(request).volume_attachments]

    def create_server_vault(self, name):
        billing = cbr.BillingCreate(
            object_type="server", protect_type="backup", consistent_level="crash_consistent", size=100
        )
        body = cbr.VaultCreateReq(cbr.VaultCreate(name=name, billing=billing, resources=[]))
        return self.client.create_vault(cbr.CreateVaultRequest(body=body)).vault.id

    def power(self, verb, servers):
        ids = [ecs.ServerId(id=server) for server in servers]
        if verb == "start":
            body = ecs.BatchStartServersRequestBody(os_start=ecs.BatchStartServersOption(servers=ids))
            return self.ecs.batch_start_servers(ecs.BatchStartServersRequest(body=body)).job_id
        option = ecs.BatchStopServersOption(servers=ids, type="SOFT")
        body = ecs.BatchStopServersRequestBody(os_stop=option)
        return self.ecs.batch_stop_servers(ecs.BatchStopServersRequest(body=body)).job_id

    def ecs_job(self, job):
        return self.job(self.ecs.show_job, ecs.ShowJobRequest(job_id=job))

    def job(self, show, request):
        """Polls a job until it has ended well."""

        def look():
            job = show(request)
            return job if job.status in ("SUCCESS", "FAIL") else None

        job = self.poll(look)
        self.assertEqual(job.status, "SUCCESS", f"{job}\n{self.service.tail()}")
        return job


class OnSqlite(NeighboursCase, unittest.TestCase):
    """On the embedded default."""


@unittest.skipUnless(postgres.programs(), "skipped: PostgreSQL is not installed (apt: postgresql)")
class OnPostgres(NeighboursCase, unittest.TestCase):
    """On a PostgreSQL cluster of its own."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("sdk_neighbours")
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
