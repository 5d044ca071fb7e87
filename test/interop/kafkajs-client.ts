// The kafkajs client as the suites use it: a quiet client of the broker under test, and one call each to create a topic,
// to send and to read.
import { type Consumer, Kafka, type KafkaMessage, logLevel, type Message } from 'kafkajs'
import type { Target } from './suite.ts'
import { until } from './suite.ts'

export function kafkaOf(target: Pick<Target, 'bootstrap'>): Kafka {
  return new Kafka({ clientId: 'interop', brokers: target.bootstrap.split(','), logLevel: logLevel.NOTHING })
}

export async function createTopic(kafka: Kafka, topic: string, numPartitions: number): Promise<void> {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1 }], waitForLeaders: true })
  await admin.disconnect()
}

/** Sends with a producer of its own. */
export async function send(kafka: Kafka, topic: string, messages: Message[], options = {}): Promise<void> {
  const producer = kafka.producer()
  await producer.connect()
  try {
    await producer.send({ topic, messages, ...options })
  } finally {
    await producer.disconnect()
  }
}

export type Read = KafkaMessage & { partition: number }

/** Reads so many messages as a new group, from the beginning; `started` may seek. */
export async function read(
  kafka: Kafka,
  topic: string,
  count: number,
  options: { groupId?: string; fromBeginning?: boolean; started?: (consumer: Consumer) => void } = {}
): Promise<Read[]> {
  const groupId = options.groupId ?? `${topic}-read-${Math.random().toString(36).slice(2)}`
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: 200 })
  const messages: Read[] = []
  await consumer.connect()
  try {
    await consumer.subscribe({ topic, fromBeginning: options.fromBeginning ?? true })
    await consumer.run({
      eachMessage: async ({ partition, message }) => {
        messages.push({ ...message, partition })
      }
    })
    options.started?.(consumer)
    await until(`${count} messages of ${topic}`, 30_000, () => (messages.length >= count ? true : undefined))
    return messages
  } finally {
    await consumer.disconnect()
  }
}
