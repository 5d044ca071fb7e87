// A member of a classic consumer group: finds its coordinator, joins, takes its partitions, reads on from what the group has
// committed, commits, and beats its heart; begins again when it is told to, and at times dies without a word.
import { ErrorCode } from '../../../protocol/errors.ts'
import { heartbeat } from '../../../protocol/messages/heartbeat.ts'
import { leaveGroup } from '../../../protocol/messages/leave-group.ts'
import { offsetCommit } from '../../../protocol/messages/offset-commit.ts'
import { offsetFetch } from '../../../protocol/messages/offset-fetch.ts'
import type { Offset } from '../../../protocol/types.ts'
import type { Ledger } from '../ledger.ts'
import { type Courier, sleep } from './courier.ts'
import type { Group } from './group.ts'
import { type Membership, memberOf } from './joining.ts'
import { fetchOnce } from './reader.ts'

const VERSIONS = { heartbeat: 4, offsetCommit: 8, offsetFetch: 7, leaveGroup: 4 }
const PATIENCE_MS = 4000
const HEARTBEAT_MS = 1500

export interface MemberOptions {
  readonly name: string
  readonly courier: Courier
  readonly group: Group
  readonly topic: string
  readonly ledgers: readonly Ledger[]
  /** Whether that node coordinates the group, by what is committed. */
  readonly isCoordinator: (nodeId: number) => boolean
}

export class Member {
  readonly #o: MemberOptions
  #isStopping = false
  /** Rounds of joining that were finished. */
  generations = 0

  constructor(options: MemberOptions) {
    this.#o = options
  }

  stop(): void {
    this.#isStopping = true
  }

  async run(): Promise<void> {
    const { courier } = this.#o
    const { clock, random } = courier.room
    let memberId = ''
    while (!this.#isStopping) {
      const membership = await memberOf(this.#o, memberId)
      if (membership === null) {
        await sleep(clock, 50 + random.below(300))
        continue
      }
      memberId = membership.memberId
      if (membership.generationId < 0) continue
      this.generations++
      const mayStay = await this.#live(membership)
      if (!mayStay) memberId = ''
    }
    courier.close()
  }

  /** One generation. False: the next one is joined as somebody new. */
  async #live(membership: Membership): Promise<boolean> {
    const { random } = this.#o.courier.room
    const positions = await this.#positions(membership)
    if (positions === null) return true
    const generation = { isOver: false, mayStay: true }
    const over = (errorCode: number): void => {
      generation.isOver = true
      if (errorCode === ErrorCode.UNKNOWN_MEMBER_ID || errorCode === ErrorCode.FENCED_INSTANCE_ID) {
        generation.mayStay = false
      }
    }
    const beating = this.#beat(membership, generation, over)
    await Promise.all(
      [...positions].map(([partition, from]) => this.#read(membership, partition, from, generation, over))
    )
    await beating
    // Now and then one dies without a word, or leaves.
    const chance = this.#isStopping ? 0 : random.below(12)
    if (chance === 1 || this.#isStopping) await this.#leave(membership)
    return generation.mayStay && chance > 1
  }

  async #positions(membership: Membership): Promise<Map<number, Offset> | null> {
    const { courier, group, topic } = this.#o
    const { generationId, memberId, partitions } = membership
    for (const partition of partitions) group.assigned(generationId, partition, memberId)
    const since = new Map(partitions.map(partition => [partition, group.positionOf(partition).atLeast]))
    const request = {
      ...{ groupId: group.groupId, requireStable: true },
      topics: [{ name: topic, partitionIndexes: [...partitions] }]
    }
    if (partitions.length === 0) return new Map()
    const { nodeId } = membership
    const answer = await courier.ask(nodeId, offsetFetch, VERSIONS.offsetFetch, request, PATIENCE_MS)
    if (answer.kind !== 'answered' || answer.response.errorCode !== ErrorCode.NONE) return null
    const positions = new Map<number, Offset>()
    // As for the auditor: one that was replaced while it stood still may not know it yet.
    const isPresent = this.#o.isCoordinator(nodeId)
    for (const told of answer.response.topics[0]?.partitions ?? []) {
      if (told.errorCode !== ErrorCode.NONE) return null
      const known = isPresent ? (since.get(told.partitionIndex) ?? -1) : -1
      group.told(told.partitionIndex, known, told.committedOffset)
      positions.set(told.partitionIndex, Math.max(0, told.committedOffset))
    }
    return positions
  }

  async #beat(membership: Membership, generation: { isOver: boolean }, over: (code: number) => void): Promise<void> {
    const { courier, group } = this.#o
    const { nodeId, generationId, memberId } = membership
    while (!generation.isOver) {
      await sleep(courier.room.clock, HEARTBEAT_MS)
      if (this.#isStopping) generation.isOver = true
      if (generation.isOver) return
      const request = { groupId: group.groupId, generationId, memberId }
      const answer = await courier.ask(nodeId, heartbeat, VERSIONS.heartbeat, request, PATIENCE_MS)
      if (answer.kind !== 'answered') over(ErrorCode.NONE)
      else if (answer.response.errorCode !== ErrorCode.NONE) over(answer.response.errorCode)
    }
  }

  async #read(
    membership: Membership,
    partition: number,
    from: Offset,
    generation: { isOver: boolean },
    over: (code: number) => void
  ): Promise<void> {
    const { courier, topic, name, ledgers } = this.#o
    const { clock, random } = courier.room
    let position = from
    while (!generation.isOver) {
      const at = { topic, partition, from: position, maxBytes: 500 + random.below(50_000) }
      const next = await fetchOnce(courier, name, ledgers[partition] as Ledger, at)
      if (next === null) {
        await sleep(clock, 50 + random.below(400))
        await courier.refresh()
      } else if (next > position) {
        position = next
        if (!generation.isOver) await this.#commit(membership, partition, position, over)
      }
    }
  }

  async #commit(
    membership: Membership,
    partition: number,
    offset: Offset,
    over: (code: number) => void
  ): Promise<void> {
    const { courier, group, topic } = this.#o
    const { nodeId, generationId, memberId } = membership
    group.committing(partition, offset)
    const request = {
      ...{ groupId: group.groupId, generationIdOrMemberEpoch: generationId, memberId },
      topics: [
        { name: topic, partitions: [{ partitionIndex: partition, committedOffset: offset, committedMetadata: null }] }
      ]
    }
    const answer = await courier.ask(nodeId, offsetCommit, VERSIONS.offsetCommit, request, PATIENCE_MS)
    if (answer.kind !== 'answered') return over(ErrorCode.NONE)
    const errorCode = answer.response.topics[0]?.partitions[0]?.errorCode ?? ErrorCode.UNKNOWN_SERVER_ERROR
    if (errorCode === ErrorCode.NONE) group.committed(partition, offset)
    else over(errorCode)
  }

  async #leave({ nodeId, memberId }: Membership): Promise<void> {
    const { courier, group } = this.#o
    const request = { groupId: group.groupId, members: [{ memberId, groupInstanceId: null }] }
    await courier.ask(nodeId, leaveGroup, VERSIONS.leaveGroup, request, PATIENCE_MS)
  }
}
