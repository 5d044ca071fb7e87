// What an operator did to topics of its own: what was answered without an error is there in the end, and every error is
// one that says what is wrong. What was never answered may have happened, now or later: nothing is said of it any more.
import { ErrorCode, errorName } from '../../../protocol/errors.ts'
import { demand } from './violation.ts'

export interface OwnTopic {
  readonly isThere: boolean
  readonly minInsyncReplicas?: string
}

/** What the faults of a run may bring about. */
const KNOWN = new Set<number>([
  ErrorCode.NONE,
  ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
  ErrorCode.REQUEST_TIMED_OUT,
  ErrorCode.NOT_CONTROLLER,
  ErrorCode.TOPIC_ALREADY_EXISTS,
  ErrorCode.INVALID_REPLICATION_FACTOR,
  ErrorCode.INVALID_REPLICA_ASSIGNMENT,
  ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
  ErrorCode.ELECTION_NOT_NEEDED,
  ErrorCode.NO_REASSIGNMENT_IN_PROGRESS,
  ErrorCode.BROKER_NOT_AVAILABLE,
  // The active controller's disk has failed.
  ErrorCode.KAFKA_STORAGE_ERROR
])

export function checkOperation(api: string, errorCode: number): void {
  demand(KNOWN.has(errorCode), 'operations', () => `${api} was answered with ${errorName(errorCode)}`)
}

export class Operations {
  /** By name; null: nobody knows. */
  readonly #topics = new Map<string, OwnTopic | null>()

  /** Asked for now: until it is answered nobody knows. */
  begin(name: string): void {
    if (!this.#topics.has(name)) this.#topics.set(name, { isThere: false })
  }

  /** `errorCode` undefined: no answer came. */
  end(name: string, errorCode: number | undefined, change: (known: OwnTopic) => OwnTopic): void {
    const known = this.#topics.get(name)
    if (known === undefined || known === null) return
    this.#topics.set(name, errorCode === ErrorCode.NONE ? change(known) : null)
  }

  /** In the end, by what a broker holds: the settings of a topic by its name, null where there is no such topic. */
  check(settingsOf: (name: string) => ReadonlyMap<string, string> | null): void {
    for (const [name, topic] of this.#topics) {
      if (topic === null) continue
      const settings = settingsOf(name)
      const { isThere, minInsyncReplicas } = topic
      demand(
        isThere === (settings !== null),
        'operations',
        () => `${name} was ${isThere ? 'created, and is not there' : 'deleted, and is there'}`
      )
      const value = settings?.get('min.insync.replicas')
      demand(
        !isThere || minInsyncReplicas === undefined || value === minInsyncReplicas,
        'operations',
        () => `${name}: min.insync.replicas was set to ${minInsyncReplicas} and is ${value}`
      )
    }
  }
}
