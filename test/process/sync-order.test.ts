// Goal: an answer to acks=all leaves after an fdatasync of the right file has returned that had begun after the batch was
// written. A kill cannot show that (the page cache survives it), so a recorder inside the broker process does; and the
// same check must fail under page-cache, or it would prove nothing.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { decodeResponse, encodeRequest } from '../../protocol/frame.ts'
import { produce } from '../../protocol/messages/produce.ts'
import type { Offset } from '../../protocol/types.ts'
import { BrokerProcess } from './broker-process.ts'
import { batchFor, createTopic } from './load.ts'
import type { Recorded } from './recorder.ts'

const ANSWERS = 1_000
const PARTITIONS = 3
const IN_FLIGHT = 20
const RECORDER = fileURLToPath(new URL('./recorder.js', import.meta.url))

interface Answered {
  readonly correlationId: number
  readonly file: string
  readonly offset: Offset
}

/** Produces ANSWERS batches with acks=all under a policy; what was answered, and what the recorder saw. */
async function run(directory: string, policy: string): Promise<{ answered: Answered[]; events: Recorded[] }> {
  const recording = join(directory, `${policy}.json`)
  const broker = await BrokerProcess.start({
    directory: join(directory, policy),
    set: { 'moldau.log.flush.policy': policy },
    env: { MOLDAU_RECORD: recording },
    nodeOptions: ['--import', RECORDER]
  })
  const control = await broker.connect()
  await createTopic(control, 'orders', PARTITIONS)
  await control.close()
  const connection = await broker.connect()
  const answered: Answered[] = []
  const one = async (correlationId: number) => {
    const partition = correlationId % PARTITIONS
    const records = batchFor('v', correlationId, 1)
    const topicData = [{ name: 'orders', partitionData: [{ index: partition, records }] }]
    const frame = await connection.exchange(
      encodeRequest(produce, 9, correlationId, 'recorded', { acks: -1, timeoutMs: 30_000, topicData })
    )
    const result = decodeResponse(produce, 9, frame).body.responses[0]?.partitionResponses[0]
    if (result?.errorCode !== 0) throw new Error(`error ${result?.errorCode}`)
    answered.push({ correlationId, file: `orders-${partition}/${'0'.repeat(20)}.log`, offset: result.baseOffset })
  }
  let next = 1_000_000
  const lane = async () => {
    while (next < 1_000_000 + ANSWERS) await one(next++)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await connection.close()
  await broker.stop()
  return { answered, events: JSON.parse(readFileSync(recording, 'utf8')) as Recorded[] }
}

/** Answers that left before their batch was synced. */
function unsynced(answered: readonly Answered[], events: readonly Recorded[]): Answered[] {
  const responded = new Map<number, number>()
  events.forEach((event, at) => {
    if (event.kind === 'response') responded.set(event.correlationId, at)
  })
  return answered.filter(({ correlationId, file, offset }) => {
    const respondedAt = responded.get(correlationId) ?? -1
    const writtenAt = events.findIndex(
      event =>
        event.kind === 'write' &&
        event.file === file &&
        event.batches.some(([first, last]) => first <= offset && offset <= last)
    )
    if (writtenAt < 0 || respondedAt < 0) return true
    const begun = new Set<number>()
    for (let at = writtenAt + 1; at < respondedAt; at++) {
      const event = events[at] as Recorded
      if (event.kind === 'sync-begin' && event.file === file) begun.add(event.sync)
      else if (event.kind === 'sync-end' && event.ok && begun.has(event.sync)) return false
    }
    return true
  })
}

test('group-commit: every acks=all answer leaves after the sync that covers its batch', async t => {
  const { answered, events } = await run(t.testdir(), 'group-commit')
  t.equal(answered.length, ANSWERS)
  t.same(unsynced(answered, events), [])
  const syncs = events.filter(event => event.kind === 'sync-begin').length
  t.ok(syncs < ANSWERS, `one sync covers several answers: ${syncs} syncs`)
})

test('page-cache: the same check fails', async t => {
  const { answered, events } = await run(t.testdir(), 'page-cache')
  t.equal(answered.length, ANSWERS)
  t.equal(unsynced(answered, events).length, ANSWERS)
})
