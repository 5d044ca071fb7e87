// A whole broker in this process, on real files and sockets, whose time moves when the test says so (so that idle
// connections must be let live); and a raw client that
// says in one call what a test wants said.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Broker, startBroker } from '../../broker/broker.ts'
import { systemRandom } from '../../broker/clock.ts'
import { loadConfig } from '../../broker/config.ts'
import { createLogger } from '../../broker/log.ts'
import { type Connection, connect } from '../../clients/connection.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { fetch } from '../../protocol/messages/fetch.ts'
import { incrementalAlterConfigs } from '../../protocol/messages/incremental-alter-configs.ts'
import { listOffsets } from '../../protocol/messages/list-offsets.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import { produce } from '../../protocol/messages/produce.ts'
import { type BatchDraft, buildBatch } from '../../protocol/records/builder.ts'
import type { FaultyFiles } from '../storage/catalog-fixture.ts'
import { CatalogClock, FaultyFiles as Recorder } from '../storage/catalog-fixture.ts'

export const EARLIEST = -2
export const LATEST = -1

export interface Record {
  readonly key?: string | null
  readonly value: string | Buffer | null
  readonly timestamp?: number
}

export class World {
  readonly broker: Broker
  readonly clock: CatalogClock
  readonly files: FaultyFiles
  readonly lines: { readonly level: string; readonly msg: string }[]
  readonly directory: string
  /** From now on no sync returns; the answer lets them go on. */
  readonly holdSyncs: () => () => void
  /** The test makes the disk fail. */
  mayFail = false
  readonly #opened: Connection[] = []
  #client: Connection | null = null

  constructor(parts: Pick<World, 'broker' | 'clock' | 'files' | 'lines' | 'directory' | 'holdSyncs'>) {
    this.broker = parts.broker
    this.clock = parts.clock
    this.files = parts.files
    this.lines = parts.lines
    this.directory = parts.directory
    this.holdSyncs = parts.holdSyncs
  }

  /** A new connection to the listener of that name. */
  async connect(listenerName = 'PLAINTEXT'): Promise<Connection> {
    const listener = this.broker.listeners.find(each => each.name === listenerName)
    const connection = await connect('127.0.0.1', listener?.port ?? 0)
    this.#opened.push(connection)
    return connection
  }

  async client(): Promise<Connection> {
    this.#client ??= await this.connect()
    return this.#client
  }

  async create(name: string, configs: { readonly [key: string]: string } = {}, numPartitions = 1) {
    const topic = {
      name,
      numPartitions,
      replicationFactor: -1,
      configs: Object.entries(configs).map(([name, value]) => ({ name, value }))
    }
    const reply = await (await this.client()).send(createTopics, 7, { topics: [topic], timeoutMs: 10_000 })
    return reply.topics[0]!
  }

  /** Sets one dynamic setting (null: undoes it); gives the error code. */
  async set(resourceType: number, resourceName: string, name: string, value: string | null): Promise<number> {
    const configs = [{ name, configOperation: value === null ? 1 : 0, value }]
    const request = { resources: [{ resourceType, resourceName, configs }] }
    const reply = await (await this.client()).send(incrementalAlterConfigs, 1, request)
    return reply.responses[0]!.errorCode
  }

  /** One batch to partition 0. */
  async produce(topic: string, records: readonly Record[], draft: Partial<BatchDraft> = {}, acks = -1) {
    const batch = buildBatch({
      ...draft,
      records: records.map(({ key = null, value, timestamp = this.clock.nowMs() }) => ({
        timestamp,
        key: key === null ? null : Buffer.from(key),
        value: typeof value === 'string' ? Buffer.from(value) : value
      }))
    })
    const topicData = [{ name: topic, partitionData: [{ index: 0, records: batch }] }]
    const reply = await (await this.client()).send(produce, 9, { acks, timeoutMs: 10_000, topicData })
    return reply.responses[0]!.partitionResponses[0]!
  }

  async fetch(topic: string, fetchOffset: number, o: { maxBytes?: number; partitionMaxBytes?: number } = {}) {
    const partitions = [{ partition: 0, fetchOffset, partitionMaxBytes: o.partitionMaxBytes ?? 1 << 30 }]
    const request = { maxWaitMs: 0, minBytes: 0, maxBytes: o.maxBytes ?? 1 << 30, topics: [{ topic, partitions }] }
    const reply = await (await this.client()).send(fetch, 12, request)
    return reply.responses[0]!.partitions[0]!
  }

  /** The offset for EARLIEST, LATEST, or a time. */
  async offset(topic: string, timestamp: number): Promise<number> {
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, timestamp }] }]
    const reply = await (await this.client()).send(listOffsets, 7, { replicaId: -1, topics })
    return reply.topics[0]!.partitions[0]!.offset
  }

  async metadata(topics: readonly string[], connection?: Connection) {
    const request = { topics: topics.map(name => ({ name })), allowAutoTopicCreation: true }
    return (connection ?? (await this.client())).send(metadata, 8, request)
  }

  /** Names of the files of partition 0. */
  filesOf(topic: string): string[] {
    return readdirSync(`${this.directory}/${topic}-0`).sort()
  }

  logFiles(topic: string): string[] {
    return this.filesOf(topic).filter(each => each.endsWith('.log'))
  }

  /** Lets time pass, a little each turn, until that is done. */
  async passing<T>(work: Promise<T>, stepMs = 1): Promise<T> {
    let isDone = false
    const done = work.finally(() => {
      isDone = true
    })
    await until(() => {
      if (!isDone) this.clock.advance(stepMs)
      return isDone
    }, 'an answer')
    return done
  }

  async stop(): Promise<void> {
    for (const each of this.#opened) await each.close()
    await this.broker.stop()
    rmSync(this.directory, { recursive: true })
  }
}

/** A disk whose syncs can be held back. */
class Brake {
  #held: Promise<void> | null = null

  /** From now on no sync returns; the answer lets them go on. */
  hold(): () => void {
    let release = (): void => {}
    this.#held = new Promise(resolve => {
      release = resolve
    })
    return () => {
      this.#held = null
      release()
    }
  }

  on(files: FaultyFiles): FaultyFiles {
    const fdatasync = async (fd: number) => {
      await this.#held
      return files.fdatasync(fd)
    }
    return new Proxy(files, { get: (target, key) => (key === 'fdatasync' ? fdatasync : Reflect.get(target, key)) })
  }
}

/** Starts a broker with these settings (`key=value`) beside those that a test needs; stops it with the test. */
export async function worldOf(t: Test, ...set: string[]): Promise<World> {
  // Not t.testdir(): that is removed before a teardown runs, and a broker writes until it has stopped.
  const directory = mkdtempSync(join(tmpdir(), 'moldau-test-'))
  const clock = new CatalogClock()
  const brake = new Brake()
  const files = brake.on(Recorder.create())
  const lines: World['lines'] = []
  const log = createLogger({ level: 'info', to: { write: line => lines.push(JSON.parse(line)) } })
  const { config } = loadConfig({
    set: ['listeners=PLAINTEXT://127.0.0.1:0', `log.dirs=${directory}`, 'connections.max.idle.ms=-1', ...set]
  })
  const onFatal = (reason: Error) => world.mayFail || t.fail(reason.message)
  const broker = await startBroker({ config, log, clock, random: systemRandom, files, onFatal })
  const world: World = new World({ broker, clock, files, lines, directory, holdSyncs: () => brake.hold() })
  t.teardown(() => world.stop())
  return world
}

/** Lets the process go on until the condition holds. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let turn = 0; turn < 20_000; turn++) {
    if (await holds()) return
    await new Promise(resolve => setImmediate(resolve))
  }
  throw new Error(`never happened: ${what}`)
}
