"""The official Python SDK of the monitoring service against the real binary, on both databases.

How full a vault is: list the metrics, read the values of one and of many. Alarm rules of both versions of the interface, and topics with the
SDK of the notification service.

    target/venv/bin/python -m unittest tests.sdk.test_monitoring
"""

import json
import time
import unittest

from huaweicloudsdkces import v1 as ces
from huaweicloudsdkces import v2 as ces2
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions import exceptions
from huaweicloudsdksmn import v2 as smn

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

    def test_metrics_of_ones_own(self):
        """MON-05, contract F.6: published with the SDK, and shown by it."""
        now = int(time.time() * 1000)
        metric = ces.MetricInfo("Shop.orders", "per_minute", [ces.MetricsDimension("host", "web-1")])
        values = [
            ces.CreateMetricDataRequestBody(metric=metric, ttl=3600, collect_time=now, value=number, type="float")
            for number in (3.5,)
        ]
        self.ces.create_metric_data(ces.CreateMetricDataRequest(body=values))
        request = ces.ShowMetricDataRequest(
            namespace="Shop.orders",
            metric_name="per_minute",
            dim_0="host,web-1",
            filter="max",
            period=1,
            _from=now - 60_000,
            to=now + 60_000,
        )
        [point] = self.ces.show_metric_data(request).datapoints
        self.assertEqual(point.max, 3.5)
        metric.namespace = "SYS.CBR"
        with self.assertRaises(exceptions.ClientRequestException) as refused:
            self.ces.create_metric_data(ces.CreateMetricDataRequest(body=values))
        self.assertEqual(refused.exception.status_code, 400)

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

    def test_who_is_told(self):
        """MON-07: a topic, somebody who is asked, and a text that reaches nobody before they agree."""
        client = self.client_for(smn.SmnClient)
        wanted = smn.CreateTopicRequestBody(name="ops", display_name="cbr")
        topic = client.create_topic(smn.CreateTopicRequest(body=wanted)).topic_urn
        listed = client.list_topics(smn.ListTopicsRequest()).topics
        self.assertEqual([(one.name, one.topic_urn) for one in listed], [("ops", topic)])
        mail = smn.AddSubscriptionRequestBody(protocol="email", endpoint="a@example.org", remark="r")
        bad = smn.CreateTopicRequestBody(name="a b", display_name="")
        self.refused("BackupService.9900", 400, lambda: client.create_topic(smn.CreateTopicRequest(body=bad)))
        try:
            made = client.add_subscription(smn.AddSubscriptionRequest(topic_urn=topic, body=mail)).subscription_urn
        except exceptions.ClientRequestException as refused:
            # Without a mail server in the configuration nobody is asked by mail.
            self.assertEqual(refused.status_code, 400, refused)
        else:
            of_topic = client.list_subscriptions_by_topic(smn.ListSubscriptionsByTopicRequest(topic_urn=topic))
            self.assertEqual([(one.subscription_urn, one.status) for one in of_topic.subscriptions], [(made, 0)])
            client.cancel_subscription(smn.CancelSubscriptionRequest(subscription_urn=made))
        text = smn.PublishMessageRequestBody(subject="s", message="m")
        client.publish_message(smn.PublishMessageRequest(topic_urn=topic, body=text))
        client.delete_topic(smn.DeleteTopicRequest(topic_urn=topic))
        self.assertEqual(client.list_topics(smn.ListTopicsRequest()).topics, [])

    def test_alarm_rules(self):
        """MON-06, MON-08, contract F.6: a rule of version 1 and one of version 2, made, shown, switched off and removed."""
        vault = self.create_vault("watched", size=1)
        metric = ces.CreateAlarmMetric(
            namespace=NAMESPACE,
            metric_name="vault_util",
            dimensions=[ces.MetricsDimension(name="instance_id", value=vault.id)],
        )
        condition = ces.Condition(comparison_operator=">=", count=1, filter="average", period=1, value=80)
        body = ces.CreateAlarmRequestBody(alarm_name="full", metric=metric, condition=condition, alarm_enabled=True, alarm_action_enabled=False, alarm_level=2)
        made = self.ces.create_alarm(ces.CreateAlarmRequest(body=body)).alarm_id
        [shown] = self.ces.show_alarm(ces.ShowAlarmRequest(alarm_id=made)).metric_alarms
        self.assertEqual((shown.alarm_name, shown.metric.metric_name, shown.condition.value), ("full", "vault_util", 80))
        off = ces.UpdateAlarmActionRequestBody(alarm_enabled=False)
        self.ces.update_alarm_action(ces.UpdateAlarmActionRequest(alarm_id=made, body=off))
        [listed] = self.ces.list_alarms(ces.ListAlarmsRequest()).metric_alarms
        self.assertEqual((listed.alarm_id, listed.alarm_enabled), (made, False))
        body.condition = ces.Condition(comparison_operator=">=", count=0, filter="average", period=1, value=80)
        self.refused("BackupService.9900", 400, lambda: self.ces.create_alarm(ces.CreateAlarmRequest(body=body)))
        self.ces.delete_alarm(ces.DeleteAlarmRequest(alarm_id=made))
        self.assertEqual(self.ces.list_alarms(ces.ListAlarmsRequest()).metric_alarms, [])

        client = self.client_for(ces2.CesClient)
        policy = ces2.AlarmRulePolicy(metric_name="vault_util", period=1, filter="average", comparison_operator=">=", value=90, count=1, level=1)
        watched = [[ces2.Dimension(name="instance_id", value=vault.id)]]
        wanted = ces2.PostAlarmsReqV2(
            name="v2", namespace=NAMESPACE, resources=watched, policies=[policy], type="MULTI_INSTANCE", enabled=True, notification_enabled=False
        )
        made = client.create_alarm_rules(ces2.CreateAlarmRulesRequest(body=wanted)).alarm_id
        listed = client.list_alarm_rules(ces2.ListAlarmRulesRequest())
        self.assertEqual((listed.count, listed.alarms[0].alarm_id, listed.alarms[0].name), (1, made, "v2"))
        switch = ces2.BatchEnableAlarmsRequestBody(alarm_ids=[made], alarm_enabled=False)
        self.assertEqual(client.batch_enable_alarm_rules(ces2.BatchEnableAlarmRulesRequest(body=switch)).alarm_ids, [made])
        gone = ces2.BatchDeleteAlarmsRequestBody(alarm_ids=[made])
        self.assertEqual(client.batch_delete_alarm_rules(ces2.BatchDeleteAlarmRulesRequest(body=gone)).alarm_ids, [made])
        self.assertEqual(client.list_alarm_rules(ces2.ListAlarmRulesRequest()).count, 0)
        self.assertEqual(client.list_alarm_histories(ces2.ListAlarmHistoriesRequest()).count, 0)

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
