"""Checks of confluent-kafka: python3 confluent.py BOOTSTRAP TAG."""
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from checks import bootstrap, check, equal, run_all, tag, until

topic = tag + "-confluent"


def produce(count, **options):
    delivered = []
    producer = Producer({"bootstrap.servers": bootstrap, **options})
    for i in range(count):
        producer.produce(topic, b"v%d" % i, key=b"k%d" % i, partition=0, headers=[("n", b"%d" % i)],
                         on_delivery=lambda error, message: delivered.append((error, message.offset())))
        producer.poll(0)
    producer.flush(30)
    equal([error for error, _ in delivered], [None] * count)
    return [offset for _, offset in delivered]


def consumer_of(group, **options):
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, **options})


def read(consumer, count):
    messages = []

    def poll():
        message = consumer.poll(1)
        while message is not None:
            if message.error() is None:
                messages.append(message)
            if len(messages) >= count:
                return True
            message = consumer.poll(0.1)
        return len(messages) >= count

    until("%d messages" % count, poll, 30)
    return messages


@check
def admin_topics():
    """create_topics, list_topics, create_partitions, delete_topics"""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for name in (topic, topic + "-more"):
        admin.create_topics([NewTopic(name, 1, 1)])[name].result(20)
    try:
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
        raise AssertionError("created twice")
    except KafkaException as error:
        equal(error.args[0].name(), "TOPIC_ALREADY_EXISTS")
    other = topic + "-more"
    admin.create_partitions([NewPartitions(other, 4)])[other].result(20)
    until("four partitions", lambda: len(admin.list_topics(other, 10).topics[other].partitions) == 4)
    admin.delete_topics([other])[other].result(20)
    until("the topic is gone", lambda: other not in admin.list_topics(timeout=10).topics)


@check
def admin_configs():
    """describe_configs and alter_configs"""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    resource = ConfigResource("topic", topic, set_config={"retention.ms": "5000000"})
    admin.alter_configs([resource])[resource].result(20)

    def altered():
        asked = ConfigResource("topic", topic)
        return admin.describe_configs([asked])[asked].result(20)["retention.ms"].value == "5000000"

    until("the new value", altered, 5)
    broker = ConfigResource("broker", str(next(iter(admin.list_topics(timeout=10).brokers))))
    equal(admin.describe_configs([broker])[broker].result(20)["num.partitions"].value, "2")


@check
def producing():
    """produce with every codec and idempotence"""
    equal(produce(100), list(range(100)))
    for i, codec in enumerate(("gzip", "snappy", "lz4", "zstd")):
        equal(produce(100, **{"compression.type": codec, "linger.ms": 50})[0], 100 * (i + 1))
    equal(produce(100, **{"enable.idempotence": True})[-1], 599)


@check
def consuming():
    """subscribe, commit, restart from the commit, seek"""
    group = topic + "-group"
    consumer = consumer_of(group)
    consumer.subscribe([topic])
    messages = read(consumer, 600)
    equal([message.offset() for message in messages], list(range(600)))
    equal(messages[42].headers(), [("n", b"42")])
    consumer.commit(offsets=[TopicPartition(topic, 0, 500)], asynchronous=False)
    consumer.close()
    consumer = consumer_of(group)
    equal(consumer.committed([TopicPartition(topic, 0)], 10)[0].offset, 500)
    consumer.subscribe([topic])
    equal(read(consumer, 1)[0].offset(), 500)
    consumer.seek(TopicPartition(topic, 0, 7))
    equal(read(consumer, 1)[0].offset(), 7)
    consumer.close()


@check
def watermarks():
    """get_watermark_offsets and offsets_for_times"""
    consumer = consumer_of(topic + "-marks")
    equal(consumer.get_watermark_offsets(TopicPartition(topic, 0), 10), (0, 600))
    equal(consumer.offsets_for_times([TopicPartition(topic, 0, 1)], 10)[0].offset, 0)
    consumer.close()


@check
def sharing():
    """two members share two partitions, cooperative-sticky"""
    name = topic + "-shared"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(20)
    members = [consumer_of(name, **{"partition.assignment.strategy": "cooperative-sticky"}) for _ in range(2)]
    for member in members:
        member.subscribe([name])

    def settled():
        for member in members:
            member.poll(0.2)
        return [len(member.assignment()) for member in members] == [1, 1]

    until("one partition each", settled, 30)
    groups = admin.list_groups(name, 10)
    equal((groups[0].state, len(groups[0].members)), ("Stable", 2))
    for member in members:
        member.close()


run_all()
