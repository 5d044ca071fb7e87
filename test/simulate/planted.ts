// The bugs that are planted: where in the compiled program, what is there, and what stands there instead. Each is one that
// somebody has had, or a rule of durability that is left out.
import type { Invariant } from '../../clients/simulate/checkers/violation.ts'
import type { FaultKind } from '../../clients/simulate/faults.ts'

export interface Plant {
  readonly name: string
  /** The promises that it breaks; whoever sees another one broken has seen something else, a start that fails perhaps. */
  readonly expected: readonly Invariant[]
  readonly changes: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  /** Faults that bring it out; all by default. */
  readonly kinds?: readonly FaultKind[]
}

const one = (file: string, find: string, replace: string): Plant['changes'] => [{ file, find, replace }]

export const PLANTS: readonly Plant[] = [
  {
    name: 'commit below min ISR',
    expected: ['enough-copies'],
    changes: one('replication/leader.js', 'if (isUnderMinIsr(leader))\n        return;\n    let to', 'let to')
  },
  {
    name: 'truncate to the high watermark',
    expected: ['kept-prefix'],
    changes: one(
      'replication/follower.js',
      'if (input.divergingEpoch !== null) {',
      `if (follower.hasBegun !== true && follower.log.logEndOffset > follower.highWatermark) {
        follower.hasBegun = true
        truncate(follower, follower.highWatermark, effects)
        return
    }
    follower.hasBegun = true
    if (input.divergingEpoch !== null) {`
    )
  },
  {
    name: 'forget an epoch check: logs that part ways are not seen',
    expected: ['equal-prefix'],
    changes: one('broker/fetch-read.js', 'const diverging = divergence(target, partition)', 'const diverging = null')
  },
  {
    name: 'vote twice in an epoch',
    expected: ['one-leader'],
    changes: one('replication/quorum/election.js', 'return quorum.votedId === input.candidateId', 'return true')
  },
  {
    name: 'serve above the high watermark',
    expected: ['reads-committed'],
    changes: one(
      'broker/fetch-read.js',
      'return request.isolationLevel === READ_COMMITTED ? partition.lastStableOffset : partition.highWatermark',
      'return partition.logEndOffset'
    )
  },
  {
    name: 'ack before sync',
    expected: ['enough-copies'],
    changes: one(
      'storage/log-writer.js',
      'if (this.#wantedEnd < this.#writtenEnd)\n            this.#publish',
      'this.#publish'
    )
  },
  {
    name: 'a follower counts what it has not synced',
    expected: ['enough-copies'],
    changes: one(
      'replication/follower.js',
      "if (status !== 'fetching' || log.syncedEndOffset < log.logEndOffset)",
      "if (status !== 'fetching')"
    )
  },
  {
    name: 'keep a fenced broker in the in-sync set',
    expected: ['isr-alive'],
    changes: one(
      'replication/controller/brokers.js',
      "return [...withoutBroker(image, brokerId, 'gone', rules), fenced]",
      'return [fenced]'
    )
  },
  {
    name: 'elect who is not in sync',
    expected: ['complete-leader', 'progress'],
    changes: one(
      'replication/controller/election.js',
      'const isClean = (id) => (isr.includes(id) || (isr.length === 0 && elr.includes(id))) && mayLead(id)',
      'const isClean = (id) => mayLead(id)'
    )
  },
  {
    name: 'keep the epochs of what was cut off',
    expected: ['healthy-broker'],
    changes: one(
      'storage/log.js',
      'this.tail.truncateTo(end);\n        this.epochs.truncateFromEnd(end)',
      'this.tail.truncateTo(end)'
    )
  },
  {
    name: 'reuse an offset after truncation: the old batch is still served from memory',
    expected: ['reads-committed'],
    changes: one('storage/log.js', 'this.tail.truncateTo(end);\n', '')
  },
  {
    name: 'reuse an offset within an epoch after a failed write',
    expected: ['kept-prefix', 'one-batch'],
    changes: [
      {
        file: 'storage/log-writer.js',
        find: 'this.#failure ??= failure;\n        this.#drop();\n        this.#flushTimer?.cancel();\n        this.#settle();\n        if (isNews)',
        replace: 'this.#drop();\n        this.#settle();\n        if (isNews)'
      },
      {
        file: 'storage/log.js',
        find: 'this.options.onFailure({ error, operation, durableEndOffset: this.writer.durableEnd })',
        replace: 'this.truncateTo(this.writer.durableEnd).catch(() => {})'
      }
    ],
    kinds: ['failed-sync', 'disk-full', 'slow-disk', 'pause']
  },
  {
    name: 'take a failed sync for a good one',
    expected: ['complete-leader', 'enough-copies', 'contiguous-log'],
    changes: one('storage/sync-round.js', 'this.#o.onFailed(error);', ''),
    kinds: ['failed-sync', 'power-loss', 'power-loss-all', 'torn-write', 'kill']
  },
  {
    name: "lose a producer's sequence at failover",
    expected: ['sequence-known'],
    changes: one(
      'storage/log-append.js',
      'log.producers.update(batch, 0);\n        log.epochs.assign(epoch, base);',
      'log.epochs.assign(epoch, base);'
    )
  },
  {
    name: 'answer a duplicate before the high watermark',
    expected: ['acked-is-committed'],
    changes: one(
      'broker/handlers/produce.js',
      'if (acks === 0)\n        return reply;\n    const awaited',
      "if (acks === 0 || result.kind === 'duplicate')\n        return reply;\n    const awaited"
    )
  },
  {
    name: 'lead in an epoch of an earlier incarnation',
    expected: ['one-leader'],
    changes: one('broker/partitions.js', 'if (!this.#hasEntered && !this.#mayLeadAlone())', 'if (false)')
  },
  {
    name: 'serve a group commit before it is committed',
    expected: ['group-offsets'],
    changes: one(
      'broker/groups/shard.js',
      'this.#state.committedOffsets(groupId, this.#log.highWatermark)',
      'this.#state.offsets.get(groupId)'
    ),
    kinds: ['cut', 'isolate', 'slow-link', 'slow-disk', 'pause']
  },
  {
    name: 'keep a group commit after a rollback',
    expected: ['group-offsets'],
    changes: one('broker/groups/state.js', 'rollback(upto) {', 'rollback(upto) {\n        return;'),
    kinds: ['cut', 'isolate', 'slow-link', 'slow-disk', 'pause']
  },
  {
    name: 'a new voter with an empty disk votes',
    expected: ['complete-leader'],
    changes: one(
      'replication/quorum/state.js',
      'isFresh: stored === null && !isFormatted && voters.length > 1',
      'isFresh: false'
    )
  },
  {
    name: 'answer a produce at the write',
    expected: ['acked-is-committed'],
    changes: one(
      'broker/handlers/produce.js',
      'partition.whenCommitted(result.lastOffset + 1, awaited)',
      'partition.whenWritten(result.lastOffset + 1, awaited)'
    )
  },
  {
    name: "the cluster's snapshot leaves out what topics are set to",
    expected: ['one-image'],
    changes: one(
      'replication/metadata/image.js',
      'for (const { resourceType, resourceName, values } of this.#configs.values()) {',
      'for (const { resourceType, resourceName, values } of []) {'
    )
  },
  {
    name: "the cluster's log is cut before its snapshot is there",
    expected: ['healthy-broker'],
    changes: [
      {
        file: 'broker/metadata-snapshots.js',
        find: 'await this.#files.writeFileAtomically(this.#file(id), bytes);\n        this.#ids = await this.#list();',
        replace:
          'void this.#files.writeFileAtomically(this.#file(id), bytes).catch(() => {});\n this.#ids = [id, ...this.#ids];'
      },
      {
        file: 'broker/metadata-snapshots.js',
        find: 'return this.#ids[1]?.endOffset ?? 0',
        replace: 'return this.#ids[0]?.endOffset ?? 0'
      }
    ]
  },
  {
    name: 'give producer ids twice',
    expected: ['producer-ids'],
    changes: one('replication/controller/leaders.js', 'producerIdStart + PRODUCER_ID_BLOCK_SIZE', 'producerIdStart + 1')
  },
  {
    name: 'end a move before its replicas are in sync',
    expected: ['isr-alive', 'complete-leader'],
    changes: one(
      'replication/controller/election.js',
      'const isr = target.isr.filter(stays);\n    const replicas = target.replicas.filter(stays);\n    if (replicas.length === 0 || !replicas.every(id => isr.includes(id)))',
      'const replicas = target.replicas.filter(stays);\n const isr = replicas;\n    if (replicas.length === 0)'
    )
  }
]
