"""The official Python SDK of the monitoring service against the real binary, on both databases.

How full a vault is: list the metrics, read the values of one and of many.

    target/venv/bin/python -m unittest tests.sdk.test_monitoring
"""

import json
import time
import unittest

from huaweicloudsdkces import v1 as ces
from huaweicloudsdkcore.auth.credentials import BasicCredentials

from tests.harness import postgres
from tests.sdk.case import Case

NAMESPACE = "SYS.CBR"


class Monitoring(Case):
    disk_names = ("main",)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        facts = cls.service.bootstrap
        cls.credentials = BasicCredentials(facts["access_key"], facts["secret_key"], facts["project_id"])
        cls.ces = cls.client_for(ces.CesClient)

    @classmethod
    def client_for(cls, client):
        return client.new_builder().with_credentials(cls.credentials).with_endpoint(cls.service.url).build()

    def test_how_full_a_vault_is(self):
        """MON-01 to MON-05, contract F.6."""
        vault = self.create_vault("measured", size=1)
        self.bind(vault.id, self.disks["main"])
        self.back_up(vault.id, "one")
        dimension = f"instance_id,{vault.id}"

        listed = self.ces.list_metrics(ces.ListMetricsRequest(namespace=NAMESPACE, dim_0=dimension))
        self.assertEqual(listed.meta_data.total, 3)
        units = {metric.metric_name: metric.unit for metric in listed.metrics}
        self.assertEqual(units, {"used_vault_size": "GB", "vault_util": "%", "vault_util_raw": "%"})
        [of] = listed.metrics[0].dimensions
        self.assertEqual((of.name, of.value), ("instance_id", vault.id))

        def data(metric, kind="max", period=1):
            now = int(time.time() * 1000)
            request = ces.ShowMetricDataRequest(
                namespace=NAMESPACE,
                metric_name=metric,
                dim_0=dimension,
                filter=kind,
                period=period,
                _from=now - 3_600_000,
                to=now + 1000,
            )
            return self.ces.show_metric_data(request).datapoints or None

        points = self.poll(lambda: data("used_vault_size"))
        self.assertEqual(points[0].unit, "GB")
        self.assertEqual(points[0].timestamp % 900_000, 0, "a slot is a quarter of an hour")
        self.assertGreaterEqual(points[0].max, 0)
        [hour] = data("vault_util", "average", 3600)[-1:]
        self.assertEqual(hour.timestamp % 3_600_000, 0)
        self.assertTrue(0 <= hour.average <= 100, hour)

        now = int(time.time() * 1000)
        metrics = [
            ces.MetricInfo(
                namespace=NAMESPACE,
                metric_name=name,
                dimensions=[ces.MetricsDimension(name="instance_id", value=vault.id)],
            )
            for name in ("used_vault_size", "vault_util_raw")
        ]
        body = ces.BatchListMetricDataRequestBody(
            metrics=metrics, period="1", filter="min", _from=now - 3_600_000, to=now + 1000
        )
        batch = self.ces.batch_list_metric_data(ces.BatchListMetricDataRequest(body=body)).metrics
        self.assertEqual([one.metric_name for one in batch], ["used_vault_size", "vault_util_raw"])
        self.assertEqual(batch[0].unit, "GB")
        self.assertEqual(batch[0].datapoints[0].min, points[0].max)

        wrong = ces.ListMetricsRequest(namespace=NAMESPACE, limit=1001)
        self.refused("BackupService.9900", 400, lambda: self.ces.list_metrics(wrong))

        shown = self.cbr("vault", "metrics", "measured")
        self.assertEqual(shown[0]["timestamp"], points[0].timestamp)
        self.assertEqual(set(shown[0]), {"timestamp", "used_vault_size", "vault_util", "vault_util_raw"})

    def cbr(self, *words):
        """What the command line prints, as JSON."""
        place = ("--bootstrap-file", str(self.service.bootstrap_file), "--url", self.service.url)
        done = self.service.run("-o", "json", *words, *place)
        return json.loads(done.stdout) if done.stdout.strip() else None


class OnSqlite(Monitoring, unittest.TestCase):
    """On a file."""


@unittest.skipUnless(postgres.programs(), "PostgreSQL is not installed")
class OnPostgres(Monitoring, unittest.TestCase):
    """On a server."""

    @classmethod
    def setUpClass(cls):
        cluster = postgres.Postgres().start()
        cls.addClassCleanup(cluster.stop)
        cls.database_url = cluster.create_database("monitoring")
        super().setUpClass()
