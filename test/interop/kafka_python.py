"""Checks of kafka-python: python3 kafka_python.py BOOTSTRAP TAG."""
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

from checks import bootstrap, check, equal, run_all, tag, until

topic = tag + "-kafka-python"
partition = TopicPartition(topic, 0)


def produce(name, values, **options):
    producer = KafkaProducer(bootstrap_servers=bootstrap, **options)
    futures = [producer.send(name, value, partition=0) for value in values]
    producer.flush(20)
    offsets = [future.get(20).offset for future in futures]
    producer.close(10)
    return offsets


def consume(count, **options):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", **options)
    consumer.assign([partition])
    return consumer, read(consumer, count)


def read(consumer, count):
    messages = []

    def poll():
        for batch in consumer.poll(500).values():
            messages.extend(batch)
        return len(messages) >= count

    until("%d messages" % count, poll)
    return messages


@check
def admin_topics():
    """create_topics, list_topics, describe_topics, create_partitions"""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, 1, 1)])
    try:
        admin.create_topics([NewTopic(topic, 1, 1)])
        raise AssertionError("created twice")
    except TopicAlreadyExistsError:
        pass
    assert topic in admin.list_topics()
    equal(len(admin.describe_topics([topic])[0]["partitions"]), 1)
    other = topic + "-more"
    admin.create_topics([NewTopic(other, 1, 1)])
    admin.create_partitions({other: NewPartitions(3)})
    equal(len(admin.describe_topics([other])[0]["partitions"]), 3)
    admin.delete_topics([other])
    assert other not in admin.list_topics()
    admin.close()


@check
def produce_and_consume():
    """produce with acks all and consume by assignment"""
    equal(produce(topic, [b"v%d" % i for i in range(50)], acks="all"), list(range(50)))
    consumer, messages = consume(50)
    equal([message.value for message in messages], [b"v%d" % i for i in range(50)])
    consumer.close()


@check
def codecs():
    """gzip, and what else the module can compress"""
    produce(topic, [b"g" * 1000] * 10, compression_type="gzip")
    consumer, messages = consume(60)
    equal(messages[-1].value, b"g" * 1000)
    consumer.close()


@check
def headers():
    """headers and timestamps"""
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    sent = producer.send(topic, b"h", key=b"k", headers=[("a", b"1"), ("b", b"")], timestamp_ms=1700000000000, partition=0)
    offset = sent.get(20).offset
    producer.close(10)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    consumer.assign([partition])
    consumer.seek(partition, offset)
    message = read(consumer, 1)[0]
    equal((message.key, message.headers, message.timestamp), (b"k", [("a", b"1"), ("b", b"")], 1700000000000))
    consumer.close()


@check
def offsets():
    """beginning_offsets, end_offsets, offsets_for_times, seek"""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    consumer.assign([partition])
    equal(consumer.beginning_offsets([partition]), {partition: 0})
    equal(consumer.end_offsets([partition]), {partition: 61})
    equal(consumer.offsets_for_times({partition: 1})[partition].offset, 0)
    equal(consumer.offsets_for_times({partition: 9999999999999})[partition], None)
    consumer.seek(partition, 58)
    equal(read(consumer, 3)[0].offset, 58)
    consumer.close()


@check
def groups():
    """a group commits and goes on from its commits"""
    group = topic + "-group"

    def subscribed():
        consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                                 enable_auto_commit=False)
        return consumer

    consumer = subscribed()
    equal(len(read(consumer, 61)), 61)
    consumer.commit({partition: OffsetAndMetadata(60, "note")})
    equal(consumer.committed(partition), 60)
    consumer.close()
    consumer = subscribed()
    equal(read(consumer, 1)[0].offset, 60)
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    assert (group, "consumer") in admin.list_consumer_groups()
    described = admin.describe_consumer_groups([group])[0]
    equal((described.state, len(described.members)), ("Stable", 1))
    listed = admin.list_consumer_group_offsets(group)
    equal(listed[partition], OffsetAndMetadata(60, "note"))
    consumer.close()
    equal([result[1].errno for result in admin.delete_consumer_groups([group])], [0])
    admin.close()


@check
def configs():
    """describe_configs and alter_configs"""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "4000000"})])

    def altered():
        response = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])[0]
        values = {entry[0]: entry[1] for entry in response.resources[0][4]}
        return values["retention.ms"] == "4000000"

    until("the new value", altered, 5)
    admin.close()


run_all()
