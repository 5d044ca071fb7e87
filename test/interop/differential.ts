// The same requests, in every version, to the broker under test and to an Apache Kafka beside it: the answers must be
// equal. What differs between any two brokers (ids, addresses, times, the words of messages) is replaced by a name.
// What is different on purpose stands in `ON_PURPOSE`, with its reason.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type Connection, connect } from '../../clients/connection.ts'
import { apiVersions } from '../../protocol/messages/api-versions.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { batchesOf, endOfBatch } from '../../protocol/records/batch.ts'
import { prepareCompression } from '../../protocol/records/compression.ts'
import type { Api, RequestDraft, ResponseOf } from '../../protocol/schema.ts'
import { clusterScenarios } from './differential-cluster.ts'
import { groupScenarios } from './differential-groups.ts'
import { recordScenarios } from './differential-records.ts'
import { topicScenarios } from './differential-topics.ts'
import { noTools } from './java-tools.ts'
import type { Checks, Suite, Target } from './suite.ts'
import { until } from './suite.ts'
import { startBroker } from './target.ts'

const settings = {
  'group.initial.rebalance.delay.ms': '0',
  'num.partitions': '1',
  'offsets.topic.num.partitions': '1',
  'auto.create.topics.enable': 'false'
}

export const differential: Suite = {
  name: 'differential',
  settings,
  async run(target, checks) {
    if (target.tools === undefined) return checks.skip('all', noTools)
    await prepareCompression()
    const program = target.tools.program
    const kafka = await startBroker({ kind: 'kafka', program }, join(target.scratch, 'kafka'), settings)
    try {
      const ranges = await rangesOf(target)
      for (const scenario of [...topicScenarios, ...recordScenarios, ...groupScenarios, ...clusterScenarios]) {
        const range = ranges.get(scenario.api.key)
        if (range === undefined) {
          checks.skip(scenario.name, `${scenario.api.name} (${scenario.api.key}) is not advertised`)
          continue
        }
        for (let version = range[0]; version <= range[1]; version++) {
          if (version < (scenario.fromVersion ?? 0)) continue
          await compare(scenario, version, target, kafka.bootstrap, checks)
        }
      }
    } finally {
      await kafka.stop()
    }
  }
}

/** A series of calls; `version` is the one of `api` that it is about. */
export interface Scenario {
  name: string
  api: Api
  fromVersion?: number
  play(stage: Stage, version: number): Promise<void>
}

/** One broker, on which a scenario is played. */
export class Stage {
  readonly tag: string
  readonly answers: { step: string; answer: unknown }[] = []
  readonly #bootstrap: string
  readonly #names = new Names()
  #connection: Connection | undefined
  #clientId: string

  constructor(bootstrap: string, tag: string) {
    this.#bootstrap = bootstrap
    this.tag = tag
    this.#clientId = 'differential'
  }

  /** Sends, and writes the answer down, with everything that no two brokers share replaced. */
  async call<A extends Api>(
    what: string,
    api: A,
    version: number,
    request: RequestDraft<A>
  ): Promise<ResponseOf<A> | null> {
    const answer = await this.ask(api, version, request)
    this.answers.push({ step: `${what}: ${api.name} v${version}`, answer: this.#names.normal(answer, '') })
    return typeof answer === 'string' ? null : answer
  }

  /** Sends without writing down: to prepare. A connection that the broker closes is an answer. */
  async ask<A extends Api>(api: A, version: number, request: RequestDraft<A>): Promise<ResponseOf<A> | string> {
    this.#connection ??= await this.#connect()
    let timer: NodeJS.Timeout | undefined
    try {
      return await Promise.race([
        this.#connection.send(api, version, request),
        new Promise<string>(resolve => {
          timer = setTimeout(resolve, 15_000, '<no answer>')
        })
      ])
    } catch (cause) {
      this.#connection = undefined
      return cause instanceof Error && 'code' in cause && cause.code === 'ERR_CLOSED' ? '<closed>' : String(cause)
    } finally {
      clearTimeout(timer)
    }
  }

  async createTopic(name: string, partitions = 1, configs: Record<string, string> = {}): Promise<string> {
    const entries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
    const topics = [{ name, numPartitions: partitions, replicationFactor: 1, configs: entries }]
    const created = await this.ask(createTopics, 7, { topics, timeoutMs: 10_000 })
    if (typeof created === 'string') throw new Error(`creating ${name}: ${created}`)
    await until(`${name} can be used`, 10_000, async () => {
      const answer = await this.ask(metadata, 12, { topics: [{ name }] })
      return typeof answer !== 'string' && answer.topics[0]?.partitions.every(each => each.leaderId >= 0)
        ? true
        : undefined
    })
    await this.settle()
    return created.topics[0]?.topicId ?? ''
  }

  /** Apache Kafka answers a change before its own cache knows of it. */
  settle(): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, 250))
  }

  async close(): Promise<void> {
    await this.#connection?.close()
    this.#connection = undefined
  }

  #connect(): Promise<Connection> {
    const [host = '', port = ''] = this.#bootstrap.split(':')
    return connect(host, Number(port), { clientId: this.#clientId })
  }
}

/** Keys whose values belong to one broker, and what stands for a value that is not the default. */
const OWN: Record<string, unknown[]> = {
  throttleTimeMs: [],
  host: [''],
  port: [-1],
  clusterId: [null, ''],
  producerId: [-1],
  sessionId: [0],
  logDir: [''],
  totalBytes: [-1],
  usableBytes: [-1],
  logAppendTimeMs: [-1],
  directoryId: [],
  replicaDirectoryId: [],
  clientInstanceId: [],
  subscriptionId: [],
  lastFetchTimestamp: [-1],
  lastCaughtUpTimestamp: [-1]
}

const MESSAGE = '<message>'
const isMessage = (key: string): boolean => key === 'errorMessage' || key === 'batchIndexErrorMessage'
/** Whatever Kafka says, or does not say, of an error is matched by any words, or none. */
const messageOf = (text: unknown, isError: boolean): unknown =>
  isError || text === 'NONE' || text === '' ? MESSAGE : text

/** Apache Kafka cuts the last batch where the limit falls; clients drop what is not whole. */
function wholeBatches(records: Buffer): Buffer {
  let end = 0
  for (const position of batchesOf(records)) end = endOfBatch(records, position)
  return records.subarray(0, end)
}

/** Differences that are no faults: a part of the path, and why. */
const ON_PURPOSE: [path: RegExp, why: string][] = [
  [/^duplicate .*logAppendTimeMs/, 'a record keeps the time of its creation, whether its first answer came or not'],
  [/^two batches: Produce .*logStartOffset/, 'the log was found, and its start says more than -1'],
  [/^unknown .*: Fetch .*abortedTransactions/, 'nobody looks at them in an answer with an error'],
  [/^unknown operation: IncrementalAlterConfigs .*errorCode/, 'INVALID_REQUEST says more than UNKNOWN_SERVER_ERROR'],
  [/^broker (controller\.listener\.names|process\.roles) \.synonyms/, 'both have a default here'],
  [/^broker listener\.security\.protocol\.map \.readOnly/, 'listeners are opened at the start']
]

/** Replaces what belongs to one broker. Ids get a number, so that the same id is the same name again. */
class Names {
  readonly #ids = new Map<string, string>()

  normal(value: unknown, key: string): unknown {
    if (Buffer.isBuffer(value)) return (key === 'records' ? wholeBatches(value) : value).toString('hex')
    if (Array.isArray(value)) return this.#list(value, key)
    if (value !== null && typeof value === 'object') {
      const isError = 'errorCode' in value ? value.errorCode !== 0 : true
      return Object.fromEntries(
        Object.entries(value).map(([name, inner]) => [
          name,
          isMessage(name) ? messageOf(inner, isError) : this.normal(inner, name)
        ])
      )
    }
    const keep = OWN[key]
    if (keep !== undefined) return keep.includes(value) ? value : `<${key}>`
    if (key === 'topicId' || key === 'memberId' || key === 'leader') return this.#id(String(value), key)
    return value
  }

  #list(values: unknown[], key: string): unknown[] {
    const list = values.map(value => this.normal(value, key))
    const isOfObjects = list.some(value => value !== null && typeof value === 'object')
    return isOfObjects ? list.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : list
  }

  #id(value: string, key: string): string {
    if (value === '' || /^0{8}-/.test(value)) return value
    const known = this.#ids.get(value)
    if (known !== undefined) return known
    const name = `<${key === 'topicId' ? 'topic' : 'member'}-${this.#ids.size}>`
    this.#ids.set(value, name)
    return name
  }
}

async function rangesOf(target: Target): Promise<Map<number, readonly [number, number]>> {
  const stage = new Stage(target.bootstrap, '')
  const answer = await stage.ask(apiVersions, 3, { clientSoftwareName: 'interop', clientSoftwareVersion: '1' })
  await stage.close()
  if (typeof answer === 'string') throw new Error(`ApiVersions: ${answer}`)
  return new Map(answer.apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]]))
}

async function compare(
  scenario: Scenario,
  version: number,
  target: Target,
  kafka: string,
  checks: Checks
): Promise<void> {
  const name = `${scenario.name} ${scenario.api.name} v${version}`
  await checks.check(name, async () => {
    // Both get the same names, and a scenario is played once for each version.
    const tag = `${target.tag}-${scenario.name}-${scenario.api.name}-${version}`
    const stages = [new Stage(kafka, tag), new Stage(target.bootstrap, tag)] as const
    await Promise.all(stages.map(stage => scenario.play(stage, version)))
    await Promise.all(stages.map(stage => stage.close()))
    const differences = stages[0].answers
      .flatMap(({ step, answer }, i) => differencesOf(answer, stages[1].answers[i]?.answer, step))
      .filter(difference => !ON_PURPOSE.some(([path]) => path.test(difference)))
    assert.equal(differences.length, 0, `Apache Kafka | this broker\n${differences.slice(0, 30).join('\n')}`)
  })
}

function differencesOf(expected: unknown, actual: unknown, path: string): string[] {
  const isTree = (value: unknown): value is Record<string, unknown> => value !== null && typeof value === 'object'
  if (isTree(expected) && isTree(actual)) {
    const keys = new Set([...Object.keys(expected), ...Object.keys(actual)])
    return [...keys].flatMap(key => differencesOf(expected[key], actual[key], `${path} .${key}`))
  }
  // Words are free, but only where there is an error: some clients show a message as one (kafkajs).
  if (expected === MESSAGE && (actual === null || actual === MESSAGE)) return []
  return Object.is(expected, actual) ? [] : [`${path}: ${JSON.stringify(expected)} | ${JSON.stringify(actual)}`]
}
