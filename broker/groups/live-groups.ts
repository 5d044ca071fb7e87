// The live groups of one partition: runs their steps, keeps the replies that are parked under tokens, knows who is to be
// looked at when. What is to be stored it hands to its owner, and goes on when that is committed.
import { ErrorCode } from '../../protocol/errors.ts'
import { type ClassicGroup, createGroup, groupFrom, type Now, type Token } from './classic-group.ts'
import { Deadlines } from './deadlines.ts'
import type { GroupLogger } from './ports.ts'
import type { GroupMetadata } from './records.ts'
import { step } from './step.ts'
import type { Effect, Input, StepSettings } from './turn.ts'

export interface LiveGroupsOwner {
  readonly partition: number
  readonly logger: GroupLogger
  readonly settings: StepSettings
  now(): Now
  /** The last stored generation of a group, committed or about to be. */
  stored(groupId: string): GroupMetadata | undefined
  /** Stores a generation; resolves to NONE once it is committed, else to the code to tell. */
  store(groupId: string, value: GroupMetadata): Promise<number>
  /** `earliestMs` may have moved. */
  reschedule(): void
}

export class LiveGroups {
  readonly #owner: LiveGroupsOwner
  readonly #groups: Map<string, ClassicGroup> = new Map()
  readonly #deadlines = new Deadlines<ClassicGroup>()
  readonly #parked: Map<Token, (reply: never) => void> = new Map()
  #lastToken = 0
  #isClosed = false

  constructor(owner: LiveGroupsOwner) {
    this.#owner = owner
  }

  get size(): number {
    return this.#groups.size
  }

  get all(): ReadonlyMap<string, ClassicGroup> {
    return this.#groups
  }

  get earliestMs(): number {
    return this.#deadlines.earliestMs
  }

  get(groupId: string): ClassicGroup | undefined {
    return this.#groups.get(groupId)
  }

  /** A group as its last stored generation says; nothing happens to it before `start`. */
  add(groupId: string, stored: GroupMetadata): void {
    this.#groups.set(groupId, groupFrom(groupId, stored))
  }

  /** The members of all groups that were added have one session to show up from now on. */
  start(): void {
    for (const group of [...this.#groups.values()]) this.run(group, { kind: 'loaded' })
  }

  /** A step of a group, which is made where there is none. The reply is here where the step gives it (most heartbeats),
   *  or comes when a later one does. */
  ask<T extends object>(groupId: string, makeInput: (token: Token) => Input): T | Promise<T> {
    const token = ++this.#lastToken
    let answered: T | null = null
    let tell = (reply: T): void => {
      answered = reply
    }
    this.#parked.set(token, reply => tell(reply))
    this.run(this.#groups.get(groupId) ?? this.#make(groupId), makeInput(token))
    if (answered !== null) return answered
    return new Promise<T>(resolve => {
      tell = resolve
    })
  }

  run(group: ClassicGroup, input: Input): void {
    this.#perform(group, step(group, input, this.#owner.now(), this.#owner.settings))
    // Nobody in it, nobody on the way, nothing stored: it leaves no trace.
    const isHollow = group.state === 'Empty' && group.generationId === 0 && group.pendingJoins.size === 0
    if (isHollow && !this.#owner.stored(group.groupId)) {
      this.remove(group.groupId)
      return
    }
    this.#deadlines.set(group, group.checkAtMs)
    this.#owner.reschedule()
  }

  remove(groupId: string): void {
    const group = this.#groups.get(groupId)
    if (!group) return
    this.#groups.delete(groupId)
    this.#deadlines.set(group, Infinity)
  }

  judge(nowMs: number): void {
    for (const group of this.#deadlines.takeDue(nowMs)) this.run(group, { kind: 'ticked' })
  }

  /** Everything that is parked is answered. */
  close(errorCode: number): void {
    this.#isClosed = true
    for (const group of this.#groups.values()) {
      this.#perform(group, step(group, { kind: 'resigned', errorCode }, this.#owner.now(), this.#owner.settings))
    }
    this.#groups.clear()
  }

  #make(groupId: string): ClassicGroup {
    const stored = this.#owner.stored(groupId)
    const group = stored ? groupFrom(groupId, stored) : createGroup(groupId, this.#owner.now().wallMs)
    this.#groups.set(groupId, group)
    return group
  }

  /** In order; a reply behind a record leaves when that is committed, or says that it was not. */
  #perform(group: ClassicGroup, effects: readonly Effect[]): void {
    let before: Promise<number> | null = null
    for (const effect of effects) {
      switch (effect.kind) {
        case 'reply': {
          const { token, reply } = effect
          if (before) {
            void before.then(errorCode =>
              this.#reply(token, errorCode === ErrorCode.NONE ? reply : { ...reply, errorCode })
            )
          } else this.#reply(token, reply)
          break
        }
        case 'store':
          before = this.#store(group, effect)
          break
        case 'changed': {
          const { partition, logger } = this.#owner
          const { from, to, reason } = effect
          const { groupId, generationId, members } = group
          logger.info({ partition, groupId, generationId, members: members.size, from, to, reason }, 'group changed')
          break
        }
        default:
          effect satisfies never
      }
    }
  }

  #reply(token: Token, reply: object): void {
    const resolve = this.#parked.get(token)
    this.#parked.delete(token)
    resolve?.(reply as never)
  }

  async #store(group: ClassicGroup, { ticket, value }: Extract<Effect, { kind: 'store' }>): Promise<number> {
    const errorCode = await this.#owner.store(group.groupId, value)
    if (this.#isClosed) return errorCode
    const isStored = errorCode === ErrorCode.NONE
    this.run(group, isStored ? { kind: 'stored', ticket } : { kind: 'store-failed', ticket, errorCode })
    return errorCode
  }
}
