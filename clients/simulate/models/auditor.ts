// Somebody who only asks where a group is, as tools and dashboards do, at any moment and of whoever coordinates it. What it
// is told must have been committed, for good.
import { ErrorCode } from '../../../protocol/errors.ts'
import { findCoordinator } from '../../../protocol/messages/find-coordinator.ts'
import { offsetFetch } from '../../../protocol/messages/offset-fetch.ts'
import { type Courier, sleep } from './courier.ts'
import type { Group } from './group.ts'
import type { Load } from './load.ts'

const VERSIONS = { findCoordinator: 3, offsetFetch: 7 }
const PATIENCE_MS = 3000

export interface AuditorOptions {
  readonly courier: Courier
  readonly group: Group
  readonly load: Load
  readonly topic: string
  readonly partitions: number
  /** The group's coordinator of the newest epoch that was seen. */
  readonly isCoordinator: (nodeId: number) => boolean
}

export class Auditor {
  readonly #o: AuditorOptions
  #isStopping = false

  constructor(options: AuditorOptions) {
    this.#o = options
  }

  stop(): void {
    this.#isStopping = true
  }

  async run(): Promise<void> {
    const { courier, load } = this.#o
    const { clock, random } = courier.room
    while (!this.#isStopping) {
      const isBusy = load.restMs(clock.monotonicMs()) === 0
      await sleep(clock, isBusy ? 50 + random.below(900) : 3000)
      await this.#ask()
    }
    courier.close()
  }

  async #ask(): Promise<void> {
    const { courier, group, topic, partitions } = this.#o
    const find = { key: group.groupId, keyType: 0 }
    const found = await courier.ask(courier.anyNode(), findCoordinator, VERSIONS.findCoordinator, find, PATIENCE_MS)
    if (found.kind !== 'answered' || found.response.errorCode !== ErrorCode.NONE) return
    const partitionIndexes = Array.from({ length: partitions }, (_, index) => index)
    const since = partitionIndexes.map(partition => group.positionOf(partition).atLeast)
    const request = { groupId: group.groupId, requireStable: false, topics: [{ name: topic, partitionIndexes }] }
    const answer = await courier.ask(found.response.nodeId, offsetFetch, VERSIONS.offsetFetch, request, PATIENCE_MS)
    if (answer.kind !== 'answered' || answer.response.errorCode !== ErrorCode.NONE) return
    // A coordinator that was replaced while it stood still, and does not know it yet, may tell what was true before.
    const isPresent = this.#o.isCoordinator(found.response.nodeId)
    for (const { partitionIndex, errorCode, committedOffset } of answer.response.topics[0]?.partitions ?? []) {
      if (errorCode !== ErrorCode.NONE) continue
      group.told(partitionIndex, isPresent ? (since[partitionIndex] ?? -1) : -1, committedOffset)
    }
  }
}
