// One broker on which a series of requests is played, and its answers, in which everything that no two brokers share (ids,
// addresses, times, the words of messages) is replaced by a name.
import { type Connection, connect } from '../../clients/connection.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { listOffsets } from '../../protocol/messages/list-offsets.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { batchesOf, endOfBatch } from '../../protocol/records/batch.ts'
import type { Api, RequestDraft, ResponseOf } from '../../protocol/schema.ts'
import { until } from './suite.ts'

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
      return cause instanceof Error && 'code' in cause && cause.code === 'ERR_DISCONNECTED' ? '<closed>' : String(cause)
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
    // The metadata may know of a leader before the broker knows that it leads.
    const topic = {
      name,
      partitions: Array.from({ length: partitions }, (_, partitionIndex) => ({ partitionIndex, timestamp: -1 }))
    }
    await until(`${name} is led`, 10_000, async () => {
      const answer = await this.ask(listOffsets, 7, { replicaId: -1, topics: [topic] })
      return typeof answer !== 'string' && answer.topics[0]?.partitions.every(each => each.errorCode === 0)
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

export const MESSAGE = '<message>'
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
