// Incremental fetch sessions (KIP-227): epochs, what a reply names, rotation, forgetting, and who is evicted.
import { test } from 'tap'
import { FetchSessions, type FetchTarget, newTarget, type SessionRequest } from '../../broker/fetch-sessions.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { ZERO_UUID } from '../../protocol/types.ts'

const target = (partition: number, topic = 'orders'): FetchTarget =>
  newTarget(topic, ZERO_UUID, {
    partition,
    fetchOffset: 0,
    partitionMaxBytes: 1000,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    logStartOffset: -1
  })

const result = (highWatermark: number, sizeInBytes = 0, errorCode: number = ErrorCode.NONE) => ({
  errorCode,
  highWatermark,
  lastStableOffset: highWatermark,
  logStartOffset: 0,
  sizeInBytes
})

const ask = (
  sessionId: number,
  sessionEpoch: number,
  targets: FetchTarget[] = [],
  more: Partial<SessionRequest> = {}
) => ({
  sessionId,
  sessionEpoch,
  usesTopicIds: false,
  isFollower: false,
  targets,
  forgotten: [],
  ...more
})

function sessions(slots = 10) {
  let id = 0
  return new FetchSessions(
    () => slots,
    () => ++id
  )
}

function opened(cache: FetchSessions, request: SessionRequest, nowMs = 0) {
  const context = cache.open(request, nowMs)
  if ('errorCode' in context) throw new Error(`refused with ${context.errorCode}`)
  return context
}

test('a session names only what changed, and what had data goes to the end', async t => {
  const cache = sessions()
  const first = opened(cache, ask(0, 0, [target(0), target(1), target(2)]))
  const { sessionId, include } = first.finish([result(5), result(0), result(0)])
  t.same(include, [true, true, true], 'a full fetch names everything')
  t.not(sessionId, 0)

  const second = opened(cache, ask(sessionId, 1))
  t.same(
    second.targets.map(each => each.partition),
    [0, 1, 2]
  )
  t.same(second.finish([result(5, 100), result(1), result(0)]).include, [true, true, false])

  const third = opened(cache, ask(sessionId, 2, [{ ...target(0), fetchOffset: 5 }]))
  t.same(
    third.targets.map(each => [each.partition, each.fetchOffset]),
    [
      [1, 0],
      [2, 0],
      [0, 5]
    ]
  )
  t.same(third.finish([result(1), result(0), result(5)]).include, [false, false, false])

  const forgotten = [{ topic: 'orders', topicId: ZERO_UUID, partition: 1 }]
  const fourth = opened(cache, ask(sessionId, 3, [], { forgotten }))
  t.same(
    fourth.targets.map(each => each.partition),
    [2, 0]
  )
  t.same(fourth.finish([result(0, 0, ErrorCode.NOT_LEADER_OR_FOLLOWER), result(5)]).include, [true, false])
  const fifth = opened(cache, ask(sessionId, 4))
  t.same(fifth.finish([result(0), result(5)]).include, [true, false], 'after an error it is named again')
})

test('a divergence is named, though nothing else has changed', async t => {
  const cache = sessions()
  const { sessionId } = opened(cache, ask(0, 0, [target(0), target(1)])).finish([result(5), result(5)])
  const second = opened(cache, ask(sessionId, 1))
  const diverging = { ...result(5), divergingEpoch: { epoch: 2, endOffset: 3 } }
  t.same(second.finish([result(5), diverging]).include, [false, true])
})

test('wrong epochs, unknown ids and a change of naming are refused', async t => {
  const cache = sessions()
  const { sessionId } = opened(cache, ask(0, 0, [target(0)])).finish([result(0)])
  t.same(cache.open(ask(sessionId, 7), 0), { errorCode: ErrorCode.INVALID_FETCH_SESSION_EPOCH })
  t.same(cache.open(ask(999, 1), 0), { errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND })
  t.same(cache.open(ask(sessionId, 1, [], { usesTopicIds: true }), 0), {
    errorCode: ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR
  })
  t.equal(opened(cache, ask(sessionId, -1, [target(0)])).finish([result(0)]).sessionId, 0)
  t.equal(cache.size, 0, 'the final epoch closes')
})

test('a full cache refuses quietly, replaces the stale, and lets followers in', async t => {
  const cache = sessions(2)
  const open = (nowMs: number, more: Partial<SessionRequest> = {}) =>
    opened(cache, ask(0, 0, [target(0)], more), nowMs).finish([result(0)]).sessionId
  const [a, b] = [open(0), open(0)]
  t.equal(open(1000), 0, 'sessionless is legal')
  const follower = open(1000, { isFollower: true })
  t.not(follower, 0)
  t.same(cache.open(ask(a, 1), 1000), { errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND })
  opened(cache, ask(follower, 1), 120_500).finish([result(0)])
  t.not(open(121_000), 0, 'b was idle for two minutes')
  t.same(cache.open(ask(b, 1), 121_000), { errorCode: ErrorCode.FETCH_SESSION_ID_NOT_FOUND })
  t.equal(cache.size, 2)
})
