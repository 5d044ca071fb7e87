// What the load asks of a broker before it begins: who leads, who coordinates, new topics and their end. Everything goes to the
// broker that Metadata names, so that a row runs against any cluster.
import { decodeResponse, encodeRequest } from '../../protocol/frame.ts'
import { createTopics } from '../../protocol/messages/create-topics.ts'
import { deleteTopics } from '../../protocol/messages/delete-topics.ts'
import { findCoordinator } from '../../protocol/messages/find-coordinator.ts'
import { metadata } from '../../protocol/messages/metadata.ts'
import type { Api, RequestDraft, ResponseOf } from '../../protocol/schema.ts'
import { Pipe } from './pipe.ts'

const PATIENCE_MS = 60_000
const COORDINATOR_ERRORS = new Set([14, 15, 16])

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** One request, one answer, decoded. */
export function ask<A extends Api>(pipe: Pipe, api: A, version: number, body: RequestDraft<A>): Promise<ResponseOf<A>> {
  return new Promise((resolve, reject) => {
    pipe.send(encodeRequest(api, version, 1, 'bench', body), frame => {
      try {
        resolve(decodeResponse(api, version, Buffer.from(frame)).body)
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Tries again until it is no error, for as long as anybody would wait. */
export async function untilDone<T>(what: string, attempt: () => Promise<T | null>, limitMs = PATIENCE_MS): Promise<T> {
  const end = performance.now() + limitMs
  for (;;) {
    const result = await attempt()
    if (result !== null) return result
    if (performance.now() > end) throw new Error(`${what}: not within ${limitMs / 1000} s`)
    await pause(10)
  }
}

export interface Topic {
  readonly name: string
  /** host:port of each partition's leader. */
  readonly leaders: readonly string[]
}

let topics = 0

export class Cluster {
  readonly pipe: Pipe

  private constructor(pipe: Pipe) {
    this.pipe = pipe
  }

  static async open(bootstrap: string): Promise<Cluster> {
    return new Cluster(await Pipe.open(bootstrap))
  }

  close(): void {
    this.pipe.close()
  }

  async createTopic(numPartitions: number, configs: Readonly<Record<string, string>> = {}): Promise<Topic> {
    const name = `bench-${process.pid}-${topics++}`
    await this.createTopics([name], numPartitions, configs)
    return await this.topic(name, numPartitions)
  }

  async createTopics(names: readonly string[], numPartitions: number, configs: Readonly<Record<string, string>> = {}) {
    const made = await ask(this.pipe, createTopics, 5, {
      topics: names.map(name => ({
        name,
        numPartitions,
        replicationFactor: 1,
        // So that the files of a row are gone soon after it.
        configs: Object.entries({ 'file.delete.delay.ms': '500', ...configs }).map(([key, value]) => ({
          name: key,
          value
        }))
      })),
      timeoutMs: PATIENCE_MS
    })
    const refused = made.topics.find(each => each.errorCode !== 0)
    if (refused) throw new Error(`topic not made: error ${refused.errorCode}, ${refused.errorMessage}`)
  }

  /** When every partition has a leader. */
  async topic(name: string, numPartitions: number): Promise<Topic> {
    return await untilDone(`leaders of ${name}`, async () => {
      const { brokers, topics: found } = await ask(this.pipe, metadata, 7, { topics: [{ name }] })
      const places = new Map(brokers.map(each => [each.nodeId, `${each.host}:${each.port}`]))
      const partitions = [...(found[0]?.partitions ?? [])].sort((a, b) => a.partitionIndex - b.partitionIndex)
      const leaders = partitions.map(each => (each.errorCode === 0 ? places.get(each.leaderId) : undefined))
      if (leaders.length !== numPartitions || leaders.includes(undefined)) return null
      return { name, leaders: leaders as string[] }
    })
  }

  async deleteTopics(names: readonly string[]): Promise<void> {
    const { responses } = await ask(this.pipe, deleteTopics, 5, { topicNames: [...names], timeoutMs: PATIENCE_MS })
    const refused = responses.find(each => each.errorCode !== 0)
    if (refused) throw new Error(`topic not deleted: error ${refused.errorCode}`)
  }

  /** host:port of who coordinates a group. */
  async coordinator(group: string): Promise<string> {
    return await untilDone(`coordinator of ${group}`, async () => {
      const found = await ask(this.pipe, findCoordinator, 2, { key: group, keyType: 0 })
      if (found.errorCode === 0) return `${found.host}:${found.port}`
      if (COORDINATOR_ERRORS.has(found.errorCode)) return null
      throw new Error(`no coordinator: error ${found.errorCode}`)
    })
  }
}
