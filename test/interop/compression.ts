// Batches of every codec cross between kafkajs and Kafka's Java clients, both ways, through the broker. kafkajs has gzip
// alone built in; the other codecs are the project's own, so this also proves them against Java's. Then the broker
// compresses itself: a topic whose compression.type is not the producer's.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import kafkajsModule, { CompressionTypes } from 'kafkajs'
import type { Codec } from '../../protocol/records/batch.ts'
import { compress, decompress, prepareCompression } from '../../protocol/records/compression.ts'
import { callOf, javaSettings, lines, noTools } from './java-tools.ts'
import { createTopic, kafkaOf, read, send } from './kafkajs-client.ts'
import type { Checks, Suite, Target } from './suite.ts'
import type { Tools } from './tools.ts'

const { CompressionCodecs } = kafkajsModule // CommonJS, and this name is not seen by Node's lexer.
const codecs = { gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' } as const
type CodecName = keyof typeof codecs

export const compression: Suite = {
  name: 'compression',
  settings: javaSettings,
  async run(target, checks) {
    await prepareCompression()
    register()
    for (const codec of Object.keys(codecs) as CodecName[]) {
      await checkItself(target, codec, checks)
      if (target.tools === undefined) checks.skip(`${codec}: Java`, noTools)
      else await checkJava(target, target.tools, codec, checks)
      await checkTopic(target, codec, checks)
    }
  }
}

function register(): void {
  for (const codec of ['snappy', 'lz4', 'zstd'] as Codec[] & CodecName[]) {
    CompressionCodecs[CompressionTypes[codecs[codec]]] = () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => compress(codec, buffer),
      decompress: async (buffer: Buffer) => decompress(codec, buffer, 100_000_000)
    })
  }
}

/** Some compress well, some not at all, and one is longer than a block of lz4 and of snappy's framing. */
function valuesOf(codec: CodecName): string[] {
  const noise = Array.from({ length: 4000 }, (_, i) => Math.sin(i + 1).toString(36)).join('')
  return [codec, codec.repeat(1000), noise, noise.repeat(3), '']
}

async function sendAll(target: Target, topic: string, codec: CodecName): Promise<void> {
  const messages = valuesOf(codec).map((value, i) => ({ key: `key-${i}`, value, headers: { codec } }))
  await send(kafkaOf(target), topic, messages, { compression: CompressionTypes[codecs[codec]] })
}

async function checkItself(target: Target, codec: CodecName, checks: Checks): Promise<void> {
  await checks.check(`${codec}: kafkajs to kafkajs`, async () => {
    const kafka = kafkaOf(target)
    const topic = `${target.tag}-${codec}-js`
    await createTopic(kafka, topic, 1)
    await sendAll(target, topic, codec)
    const messages = await read(kafka, topic, 5)
    assert.deepEqual(
      messages.map(message => String(message.value)),
      valuesOf(codec)
    )
    assert.equal(String(messages[0]?.headers?.codec), codec)
  })
}

async function checkJava(target: Target, tools: Tools, codec: CodecName, checks: Checks): Promise<void> {
  const call = callOf(target, tools)
  const kafka = kafkaOf(target)
  await checks.check(`${codec}: kafkajs to Java`, async () => {
    const topic = `${target.tag}-${codec}-to-java`
    await createTopic(kafka, topic, 1)
    await sendAll(target, topic, codec)
    const text = await call('kafka-console-consumer', `--topic ${topic} --from-beginning --max-messages 5`)
    assert.deepEqual(lines(text), valuesOf(codec).slice(0, 4))
  })
  await checks.check(`${codec}: Java to kafkajs`, async () => {
    const topic = `${target.tag}-${codec}-from-java`
    await createTopic(kafka, topic, 1)
    const input = valuesOf(codec)
      .slice(0, 4)
      .map(value => `${value}\n`)
      .join('')
    const args = `--topic ${topic} --compression-codec ${codec} --producer-property batch.size=500000 --producer-property linger.ms=100`
    await call('kafka-console-producer', args, { input })
    const messages = await read(kafka, topic, 4)
    assert.deepEqual(
      messages.map(message => String(message.value)),
      valuesOf(codec).slice(0, 4)
    )
  })
}

async function checkTopic(target: Target, codec: CodecName, checks: Checks): Promise<void> {
  await checks.check(`${codec}: the topic's own codec, from every other one`, async () => {
    const kafka = kafkaOf(target)
    const topic = `${target.tag}-${codec}-topic`
    const admin = kafka.admin()
    await admin.connect()
    const configEntries = [{ name: 'compression.type', value: codec }]
    await admin.createTopics({ topics: [{ topic, numPartitions: 1, replicationFactor: 1, configEntries }] })
    await admin.disconnect()
    for (const other of Object.keys(codecs) as CodecName[]) await sendAll(target, topic, other)
    await send(kafka, topic, [{ value: 'plain' }])
    const messages = await read(kafka, topic, 21)
    const expected = [...(Object.keys(codecs) as CodecName[]).flatMap(valuesOf), 'plain']
    assert.deepEqual(
      messages.map(message => String(message.value)),
      expected
    )
    assert.deepEqual(
      messages.map(message => message.offset),
      expected.map((_, i) => String(i))
    )
    if (target.tools === undefined) return
    const text = await callOf(target, target.tools)(
      'kafka-console-consumer',
      `--topic ${topic} --from-beginning --max-messages 21`
    )
    assert.equal(lines(text).length, 17)
    if (target.dataDirectory === undefined) return
    const file = join(target.dataDirectory, `${topic}-0`, '00000000000000000000.log')
    const dumped = await target.tools.ok('kafka-dump-log', ['--files', file])
    const stored = new Set([...dumped.matchAll(/compresscodec: (\w+)/g)].map(match => match[1]?.toLowerCase()))
    assert.deepEqual([...stored], [codec], 'every batch is stored in the codec of the topic')
  })
}
