// A consumer without a group: reads its partitions from their beginning, batch by batch, and compares each with what is
// committed. The last look at the end of a run is made by readers too.
import { ErrorCode } from '../../../protocol/errors.ts'
import { fetch } from '../../../protocol/messages/fetch.ts'
import type { Offset } from '../../../protocol/types.ts'
import { checkFetched } from '../checkers/answers.ts'
import { Violation } from '../checkers/violation.ts'
import type { Ledger } from '../ledger.ts'
import { type Courier, sleep } from './courier.ts'

const FETCH_VERSION = 12
const MAX_WAIT_MS = 2000
const PATIENCE_MS = 4000

/** One fetch of one partition from whom Metadata names; gives where the next one begins, null when it failed. */
export async function fetchOnce(
  courier: Courier,
  name: string,
  ledger: Ledger,
  at: { readonly topic: string; readonly partition: number; readonly from: Offset; readonly maxBytes: number }
): Promise<Offset | null> {
  const leader = courier.leaderOf(at.topic, at.partition)
  if (leader === null) return null
  const { partition, from: fetchOffset, maxBytes: partitionMaxBytes } = at
  const partitions = [{ partition, currentLeaderEpoch: leader.leaderEpoch, fetchOffset, partitionMaxBytes }]
  const request = {
    ...{ maxWaitMs: MAX_WAIT_MS, minBytes: 1, maxBytes: at.maxBytes, isolationLevel: at.partition % 2 },
    ...{ sessionId: 0, sessionEpoch: -1, topics: [{ topic: at.topic, partitions }], forgottenTopicsData: [] },
    rackId: ''
  }
  const answer = await courier.ask(leader.nodeId, fetch, FETCH_VERSION, request, PATIENCE_MS)
  const found = answer.kind === 'answered' ? answer.response.responses[0]?.partitions[0] : undefined
  if (found === undefined || found.errorCode !== ErrorCode.NONE) {
    // A leader that was replaced, and does not know it, has not what was committed since.
    const isOfItsTime = (ledger.at(fetchOffset - 1)?.epoch ?? -1) <= leader.leaderEpoch
    if (found?.errorCode === ErrorCode.OFFSET_OUT_OF_RANGE && isOfItsTime) {
      throw new Violation('reads-committed', `${name}: ${ledger.name} has no offset ${fetchOffset}, says its leader`)
    }
    courier.forgetLeader(at.topic, at.partition)
    return null
  }
  return checkFetched(ledger, name, fetchOffset, found.records ?? NOTHING, found.highWatermark)
}

const NOTHING = Buffer.alloc(0)

export interface ReaderOptions {
  readonly name: string
  readonly courier: Courier
  readonly topic: string
  readonly ledger: Ledger
  readonly partition: number
}

export class Reader {
  position: Offset = 0
  readonly #o: ReaderOptions
  #isStopping = false

  constructor(options: ReaderOptions) {
    this.#o = options
  }

  stop(): void {
    this.#isStopping = true
  }

  /** Reads until stopped, or until everything below `upto` was read. */
  async run(upto = Number.POSITIVE_INFINITY): Promise<void> {
    const { courier, name, ledger, topic, partition } = this.#o
    const { clock, random } = courier.room
    while (!this.#isStopping && this.position < upto) {
      const maxBytes = 200 + random.below(20_000)
      const next = await fetchOnce(courier, name, ledger, { topic, partition, from: this.position, maxBytes })
      if (next !== null) this.position = next
      else {
        await sleep(clock, 50 + random.below(400))
        await courier.refresh()
      }
    }
    courier.close()
  }
}
