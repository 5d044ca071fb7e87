// OffsetForLeaderEpoch 2-4: where a leader epoch ends in this log, so that a client or follower finds where it and the
// leader part ways (KIP-101, KIP-279, KIP-320).
import { ErrorCode } from '../../protocol/errors.ts'
import { offsetForLeaderEpoch } from '../../protocol/messages/offset-for-leader-epoch.ts'
import { refusalOf } from '../epoch-check.ts'
import type { Services } from '../services.ts'
import { handler } from './handler.ts'

export const onOffsetForLeaderEpoch = handler(offsetForLeaderEpoch, (request, _context, services) => ({
  topics: request.topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(each => ({ partition: each.partition, ...answerOne(topic, each, services) }))
  }))
}))

function answerOne(
  topic: string,
  asked: { partition: number; currentLeaderEpoch: number; leaderEpoch: number },
  services: Services
) {
  const located = services.partitions.locate(topic, null, asked.partition)
  const errorCode = refusalOf(asked.currentLeaderEpoch, located)
  if (located.partition === null || errorCode !== ErrorCode.NONE) return { errorCode }
  const { log } = located.partition
  const { leaderEpoch, endOffset } = log.epochs.endOffsetFor(asked.leaderEpoch, log.logEndOffset)
  return { errorCode: ErrorCode.NONE, leaderEpoch, endOffset }
}
