// The quorum rule by rule: what each role answers, sends and waits for, and what is stored before it.
import { test } from 'tap'
import { ErrorCode } from '../../../protocol/errors.ts'
import {
  createQuorum,
  type Effect,
  type Input,
  nextDeadlineMs,
  step,
  toldHighWatermark
} from '../../../replication/quorum/step.ts'
import { Node, timeouts } from './driver.ts'

const kinds = (effects: readonly Effect[]) => effects.map(({ kind }) => kind)
const store = (epoch: number, leaderId: number, votedId: number): Effect => ({
  kind: 'store',
  epoch,
  leaderId,
  votedId
})
const advance = (to: number): Effect => ({ kind: 'advance-high-watermark', to })

/** Leads epoch `epoch` of three with `logEndOffset` records of epochs before, the LeaderChange appended. */
function leading(logEndOffset: number, voters = 3): Node {
  const node = new Node(voters, {}, logEndOffset, logEndOffset > 0 ? 4 : 0)
  node.tick()
  for (let id = 2; id <= voters && node.role === 'prospective'; id++) node.answered(id, true)
  for (let id = 2; id <= voters && node.role === 'candidate'; id++) node.answered(id, true)
  node.take({ kind: 'appended', logEndOffset: logEndOffset + 1, lastEpoch: node.quorum.epoch })
  return node
}

function following(leaderId = 2, epoch = 5): Node {
  const node = new Node(3, {}, 10, 4)
  node.begun(leaderId, epoch)
  return node
}

test('a sole voter leads a new epoch at each start, once that is on the disk', async t => {
  const stored = { leaderEpoch: 6, leaderId: 1, votedId: -1 }
  const node = new Node(1, { stored, isFormatted: false }, 40, 6)
  t.strictSame(node.started, [store(7, 1, -1), { kind: 'lead', epoch: 7, grantingVoters: [1] }])
  t.equal(nextDeadlineMs(node.quorum), Infinity)
  t.strictSame(node.take({ kind: 'appended', logEndOffset: 41, lastEpoch: 7 }), [])
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 40 }), [], 'records of earlier epochs wait for one of this')
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 41 }), [advance(41)])
  t.strictSame(new Node(1, { isFormatted: false }).started[0], store(1, 1, -1), 'the first start of all is epoch 1')
  t.strictSame(new Node(1, {}, 9, 8).started[0], store(9, 1, -1), 'above the epochs of the log')
})

test('three elect one: pre-votes in the old epoch, then votes in the next, stored before they are asked for', async t => {
  const node = new Node(3, { stored: { leaderEpoch: 4, leaderId: -1, votedId: 3 } }, 10, 4)
  t.strictSame(node.started, [{ kind: 'unattached', epoch: 4 }])
  const sends = (epoch: number, isPreVote: boolean): Effect[] =>
    [2, 3].map(to => ({ kind: 'send-vote', to, epoch, lastOffset: 10, lastOffsetEpoch: 4, isPreVote }))
  t.strictSame(node.tick(), sends(4, true))
  t.equal(node.quorum.votedId, 3, 'a pre-vote promises nothing')
  t.strictSame(node.answered(2, true), [store(5, -1, 1), { kind: 'unattached', epoch: 5 }, ...sends(5, false)])
  const late: Input = {
    kind: 'vote-answered',
    from: 3,
    requestEpoch: 4,
    isPreVote: true,
    epoch: 5,
    leaderId: -1,
    isGranted: true
  }
  t.strictSame(node.take(late), [], 'a pre-vote is no vote')
  t.strictSame(node.take({ ...late, isPreVote: false }), [], 'nor is one of an earlier epoch')
  t.strictSame(node.take({ ...late, from: 9, requestEpoch: 5, isPreVote: false }), [], 'nor that of a stranger')
  t.strictSame(node.take({ ...late, requestEpoch: 5 }), [], 'in no epoch')
  t.strictSame(node.answered(3, true), [
    store(5, 1, -1),
    { kind: 'lead', epoch: 5, grantingVoters: [1, 3] },
    { kind: 'send-begin', to: 2, epoch: 5 },
    { kind: 'send-begin', to: 3, epoch: 5 }
  ])
  t.strictSame(node.answered(2, true), [], 'once')
})

test('one vote in one epoch, on the disk before it is given', async t => {
  const node = new Node(3, {}, 10, 4)
  const reply = { kind: 'reply', errorCode: 0, epoch: 5, leaderId: -1 } as const
  const [first, second, third] = node.asked(2, 5, false, 10, 4)
  t.strictSame([first, second], [store(5, -1, 2), { kind: 'unattached', epoch: 5 }])
  t.strictSame(third, { ...reply, token: 0, isGranted: true })
  t.strictSame(node.asked(3, 5, false, 99, 4), [{ ...reply, token: 1, isGranted: false }])
  t.strictSame(node.asked(2, 5, false, 10, 4), [{ ...reply, token: 2, isGranted: true }], 'the same one again')
  const restarted = new Node(3, { stored: { leaderEpoch: 5, leaderId: -1, votedId: 2 } }, 10, 4)
  t.notOk(restarted.grants(3, 5, false, 99, 4), 'over restarts')
  t.ok(restarted.grants(3, 6, false, 99, 4))
})

test('no vote to a shorter log, nor in an epoch that has a leader, nor by who led it', async t => {
  const node = new Node(3, {}, 10, 4)
  t.notOk(node.grants(2, 5, false, 9, 4))
  t.notOk(node.grants(2, 5, false, 99, 3))
  t.ok(node.grants(2, 5, false, 1, 4) === false && node.grants(3, 5, false, 1, 5) === false)
  t.equal(node.quorum.epoch, 5, 'but the epoch counts')
  t.notOk(following(2, 5).grants(3, 5, false, 99, 4))
  t.notOk(leading(10).grants(3, 5, false, 99, 4))
  t.notOk(new Node(3, { stored: { leaderEpoch: 5, leaderId: 1, votedId: -1 } }, 10, 4).grants(3, 5, false, 99, 4))
  t.notOk(
    new Node(3, { stored: { leaderEpoch: 3, leaderId: -1, votedId: -1 } }, 10, 5).grants(3, 5, false, 99, 4),
    'the file is older than the log'
  )
})

test('requests that cannot be', async t => {
  const node = following(2, 5)
  const error = (effects: readonly Effect[]) => effects.map(effect => effect.kind === 'reply' && effect.errorCode)
  t.strictSame(error(node.asked(3, 4, false)), [ErrorCode.FENCED_LEADER_EPOCH])
  t.strictSame(error(node.asked(9, 6, false)), [ErrorCode.INCONSISTENT_VOTER_SET])
  t.strictSame(error(node.asked(1, 6, false)), [ErrorCode.INVALID_REQUEST], 'from itself')
  t.strictSame(
    error(node.asked(3, 6, false, 1, 6)),
    [ErrorCode.INVALID_REQUEST],
    'a record of an epoch without a leader'
  )
  t.strictSame(error(node.asked(3, 6, true, 1, 7)), [ErrorCode.INVALID_REQUEST])
  t.strictSame(error(node.asked(3, 6, false, -1, 0)), [ErrorCode.INVALID_REQUEST])
  t.strictSame(error(node.begun(2, 4)), [ErrorCode.FENCED_LEADER_EPOCH])
  t.strictSame(error(node.begun(3, 5)), [ErrorCode.INVALID_REQUEST], 'a second leader')
  t.strictSame(error(node.begun(9, 6)), [ErrorCode.INCONSISTENT_VOTER_SET])
  t.strictSame(error(node.ended(2, 4, [])), [ErrorCode.FENCED_LEADER_EPOCH])
  t.equal(node.quorum.epoch, 5, 'nothing of it counts')
})

test('pre-votes: denied beside a leader who answers, granted when it is silent or gone', async t => {
  const node = following(2, 5)
  t.ok(node.grants(3, 5, true, 10, 4), 'it has not answered yet')
  node.fetchAnswered(-1)
  t.notOk(node.grants(3, 5, true, 99, 4))
  node.take({ kind: 'hinted', leaderId: 3 })
  t.notOk(node.grants(3, 5, true, 99, 4), 'somebody else is gone')
  node.take({ kind: 'hinted', leaderId: 2 })
  t.ok(node.grants(3, 5, true, 99, 4))
  t.notOk(node.grants(3, 5, true, 9, 4), 'a shorter log')
  node.fetchAnswered(-1)
  t.notOk(node.grants(3, 5, true, 99, 4), 'it answers after all')
  node.nowMs += timeouts.fetchMs
  t.ok(node.grants(3, 5, true, 99, 4))
  t.equal(node.quorum.votedId, -1)
  t.notOk(leading(10).grants(3, 5, true, 99, 4))
})

test('a follower stands when its leader is silent for the fetch time-out, soon after a hint, at once when it hands over', async t => {
  const silent = following()
  silent.nowMs = 1500
  silent.fetchAnswered(-1)
  t.equal(nextDeadlineMs(silent.quorum), 1500 + timeouts.fetchMs)
  t.strictSame(kinds(silent.tick()), ['unattached', 'send-vote', 'send-vote'])
  t.equal(silent.role, 'prospective')
  const hinted = following()
  hinted.fetchAnswered(-1)
  hinted.take({ kind: 'hinted', leaderId: 2 })
  t.equal(nextDeadlineMs(hinted.quorum), 15, 'half of 30 ms')
  const first = following()
  t.strictSame(kinds(first.ended(2, 5, [1, 3])), ['unattached', 'send-vote', 'send-vote', 'reply'])
  const second = following()
  t.strictSame(kinds(second.ended(2, 5, [3, 1])), ['reply'])
  t.equal(nextDeadlineMs(second.quorum), 50)
  t.ok(second.grants(3, 5, true, 10, 4), 'after the first one')
  const told = following()
  told.take({ kind: 'leader-told', from: 3, epoch: 5, leaderId: -1 })
  t.equal(nextDeadlineMs(told.quorum), timeouts.fetchMs, 'another one may not know')
  told.take({ kind: 'leader-told', from: 2, epoch: 5, leaderId: -1 })
  t.equal(nextDeadlineMs(told.quorum), 15, 'the leader itself says that it does not lead')
})

test('who would not be elected goes back to its leader; who is elected by nobody asks again, ever more slowly', async t => {
  const node = following()
  node.tick()
  t.strictSame(kinds(node.answered(3, false)), [], 'the other one may not be there')
  t.strictSame(node.answered(2, false), [{ kind: 'follow', leaderId: 2, epoch: 5 }])
  t.equal(nextDeadlineMs(node.quorum), node.nowMs + timeouts.fetchMs)
  const gone = following()
  gone.take({ kind: 'hinted', leaderId: 2 })
  gone.tick()
  gone.answered(3, false)
  gone.answered(2, false)
  t.equal(gone.role, 'prospective', 'not to one that is gone')
  const waits = [1, 2, 3, 4].map(() => {
    const before = gone.nowMs
    const to = gone.tick().map(effect => effect.kind === 'send-vote' && effect.to)
    t.strictSame(to, [2, 3])
    return gone.nowMs - before
  })
  t.strictSame(waits, [30, 40, 60, 100])
  t.strictSame(gone.begun(2, 5).slice(0, 1), [{ kind: 'follow', leaderId: 2, epoch: 5 }], 'it is there after all')
})

test('a split election ends soon, and the next one is another epoch', async t => {
  const node = following()
  node.tick()
  node.answered(3, true)
  t.equal(node.role, 'candidate')
  const before = node.nowMs
  node.answered(3, false)
  t.ok(nextDeadlineMs(node.quorum) <= before + 40, 'whoever is silent is not waited for')
  node.tick()
  while (node.role === 'candidate') node.tick()
  t.strictSame([node.role, node.quorum.epoch, node.quorum.votedId], ['prospective', 6, 1])
  node.answered(3, true)
  t.equal(node.quorum.epoch, 7)
  t.strictSame(kinds(node.asked(3, 8, false, 10, 4)), ['store', 'unattached', 'reply'], 'a higher epoch ends it')
  t.equal(node.quorum.votedId, 3)
})

test('a higher epoch ends a leadership, whoever names it', async t => {
  const names: [string, (node: Node) => Effect[]][] = [
    ['Vote', node => node.asked(2, 7, false, 0, 0)],
    ['pre-vote', node => node.asked(2, 7, true, 0, 0)],
    ['an answer', node => node.take({ kind: 'begin-answered', from: 2, epoch: 7, leaderId: -1 })]
  ]
  for (const [name, take] of names) {
    const node = leading(10)
    const effects = take(node)
    t.strictSame(
      effects.slice(0, 3),
      [{ kind: 'resigned', epoch: 5 }, store(7, -1, -1), { kind: 'unattached', epoch: 7 }],
      name
    )
    t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 11 }), [])
  }
  t.strictSame(leading(10).begun(3, 7).slice(0, 3), [
    { kind: 'resigned', epoch: 5 },
    store(7, 3, -1),
    { kind: 'follow', leaderId: 3, epoch: 7 }
  ])
})

test('a majority of synced ends is the high watermark, from the own epoch on, and nobody counts for more than it last said', async t => {
  const node = leading(10)
  t.strictSame(node.fetched(2, 10), [])
  t.strictSame(node.fetched(3, 10), [], 'not past the epoch start')
  t.equal(toldHighWatermark(node.quorum), -1)
  t.strictSame(node.fetched(2, 11), [], 'one of three, for the own sync has not returned')
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 11 }), [advance(11)])
  t.equal(toldHighWatermark(node.quorum), 11)
  node.take({ kind: 'appended', logEndOffset: 20, lastEpoch: 5 })
  t.strictSame(node.fetched(9, 20), [], 'an observer is not counted')
  t.strictSame(node.fetched(-1, 20), [], 'nor is a consumer')
  t.strictSame(node.fetched(3, 20), [], 'two of three, but 2 is at 11')
  t.strictSame(node.fetched(3, 0), [], 'it lost its disk')
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 20 }), [], 'and what it had is not counted on')
  t.strictSame(node.fetched(2, 15), [advance(15)])
  t.equal(node.quorum.highWatermark, 15)
  const four = leading(0, 4)
  four.take({ kind: 'appended', logEndOffset: 9, lastEpoch: 1 })
  four.take({ kind: 'synced', syncedEndOffset: 9 })
  t.strictSame(four.fetched(2, 9), [], 'two of four are no majority')
  t.strictSame(four.fetched(3, 7), [advance(7)])
})

test('a leader without a majority that fetches resigns after 1.5 fetch time-outs, and asks the best to follow', async t => {
  const node = leading(10)
  const since = node.nowMs
  node.nowMs += 1000
  node.fetched(3, 11)
  node.take({ kind: 'stalled', forMs: 500 })
  let effects: Effect[] = []
  for (let ticks = 0; node.role === 'leader' && ticks < 50; ticks++) effects = node.tick()
  t.equal(node.nowMs, since + 1000 + 3000, 'the stall is not credited beyond now')
  const end = (to: number): Effect => ({ kind: 'send-end', to, epoch: 5, preferredSuccessors: [3, 2] })
  t.strictSame(effects, [{ kind: 'resigned', epoch: 5 }, { kind: 'unattached', epoch: 5 }, end(2), end(3)])
  t.notOk(node.grants(3, 5, false, 99, 4), 'its vote in this epoch is its own')
  node.tick()
  t.equal(node.role, 'prospective')
  t.notOk(node.grants(3, 5, false, 99, 4), 'still not')
  const stopping = leading(10)
  t.equal(stopping.take({ kind: 'stopping' })[0]?.kind, 'resigned')
  t.equal(nextDeadlineMs(stopping.quorum), Infinity, 'stands no more')
  t.ok(stopping.grants(3, 6, false, 99, 5), 'but votes')
})

test('voters are told who leads until they fetch, and again when they cease to', async t => {
  const node = leading(10)
  const told = () => node.tick().map(effect => effect.kind === 'send-begin' && effect.to)
  t.strictSame(told(), [2, 3])
  node.fetched(2, 11)
  t.strictSame(told(), [3])
  node.fetched(3, 11)
  node.tick()
  node.nowMs += 500
  node.fetched(3, 11)
  t.strictSame(told(), [2], 'silent for half a fetch time-out')
})

test('a follower applies what is committed and synced here', async t => {
  const node = following()
  node.take({ kind: 'appended', logEndOffset: 20, lastEpoch: 5 })
  t.strictSame(node.fetchAnswered(15), [advance(10)])
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 20 }), [advance(15)])
  t.strictSame(node.fetchAnswered(12), [], 'never back')
  t.strictSame(node.take({ kind: 'truncated', logEndOffset: 15, lastEpoch: 5, syncedEndOffset: 15 }), [])
  t.strictSame(node.take({ kind: 'fetch-answered', from: 3, epoch: 5, highWatermark: 20 }), [], 'not the leader')
  t.equal(toldHighWatermark(node.quorum), -1)
})

test('a new leader tells nobody what it learned as a follower: more may have been told before', async t => {
  const node = following()
  node.fetchAnswered(8)
  node.tick()
  for (const kind of ['prospective', 'candidate']) if (node.role === kind) node.answered(3, true)
  t.equal(node.role, 'leader')
  t.strictSame([node.quorum.highWatermark, toldHighWatermark(node.quorum)], [8, -1])
})

const fresh = { isFormatted: false }

test('an empty directory asks all: who hears of a log that is not empty votes for nobody', async t => {
  const node = new Node(3, fresh)
  t.strictSame(kinds(node.started), ['unattached', 'send-vote', 'send-vote'], 'nothing is written down')
  t.notOk(node.grants(2, 1, false), 'no vote')
  t.ok(node.grants(2, 1, true), 'a pre-vote of an empty log')
  t.notOk(node.grants(2, 1, true, 5, 1), 'of no other: the vote would not follow')
  node.answered(2, true)
  node.answered(3, false)
  while (node.nowMs < 5000) t.notOk(kinds(node.tick()).includes('store'))
  t.equal(node.role, 'fresh')
})

test('an empty directory is a voter when every voter is empty, above every epoch heard of', async t => {
  const node = new Node(3, fresh)
  t.strictSame(node.answered(2, true), [])
  node.asked(3, 6, true)
  t.strictSame(node.answered(3, true), [], 'the grant of before is of an earlier epoch')
  t.strictSame(node.answered(2, true), [store(6, -1, 1)])
  t.notOk(node.grants(2, 6, false), 'an earlier life may have voted in it')
  t.ok(node.grants(2, 7, false))
})

test('an empty directory follows once it has heard all, and is a voter behind the high watermark told then', async t => {
  const node = new Node(3, fresh)
  t.strictSame(kinds(node.begun(2, 6)), ['unattached', 'send-vote', 'send-vote', 'reply'])
  t.strictSame(node.answered(2, false, 2), [], 'that one may be a leader of the past')
  t.strictSame(node.answered(3, false, 2), [{ kind: 'follow', leaderId: 2, epoch: 6 }])
  t.strictSame(node.fetchAnswered(-1), [])
  t.strictSame(node.fetchAnswered(20), [advance(0)])
  node.take({ kind: 'appended', logEndOffset: 30, lastEpoch: 6 })
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 19 }), [advance(19)])
  node.fetchAnswered(25)
  t.ok(node.quorum.isFresh)
  t.notOk(node.grants(3, 7, false, 99, 6))
  t.strictSame(kinds(node.begun(3, 7)), ['follow', 'reply'], 'and another leader begins anew')
  node.fetchAnswered(25)
  t.strictSame(node.take({ kind: 'synced', syncedEndOffset: 25 }), [store(7, 3, -1), advance(25)])
  t.notOk(node.quorum.isFresh)
})

test('where some are silent, an empty directory hears a majority of the rest, when old candidates have given up', async t => {
  const node = new Node(5, fresh)
  for (const id of [2, 3, 4]) node.answered(id, false, 2)
  t.equal(node.role, 'fresh', 'node 5 may count a vote that this node gave before')
  node.nowMs = 2 * timeouts.electionMs
  node.answered(2, false, 2)
  node.answered(3, false, 2)
  t.equal(node.role, 'fresh')
  node.answered(4, false, 2)
  t.equal(node.role, 'follower')
})

test('a restart takes up where the file ends, and asks soon', async t => {
  const follower = new Node(3, { stored: { leaderEpoch: 5, leaderId: 2, votedId: 3 } }, 10, 4)
  t.strictSame(follower.started, [{ kind: 'follow', leaderId: 2, epoch: 5 }])
  const leader = new Node(3, { stored: { leaderEpoch: 5, leaderId: 1, votedId: -1 } }, 10, 5)
  t.strictSame(leader.started, [{ kind: 'unattached', epoch: 5 }])
  t.equal(leader.role, 'resigned')
  t.equal(leader.quorum.leaderId, -1, 'nobody is sent to it')
  t.ok(nextDeadlineMs(leader.quorum) <= 100)
  leader.tick()
  t.strictSame(leader.answered(2, false, 3, 6), [store(6, 3, -1), { kind: 'follow', leaderId: 3, epoch: 6 }])
})

test('before its log is known a node votes for nobody', async t => {
  const quorum = createQuorum({ nodeId: 1, voters: [1, 2, 3], timeouts, stored: null, isFormatted: true })
  const input = {
    kind: 'vote-requested',
    token: 1,
    candidateId: 2,
    epoch: 5,
    lastOffset: 0,
    lastOffsetEpoch: 0
  } as const
  const [reply, ...more] = step(quorum, { ...input, isPreVote: false }, { nowMs: 0, chance: 0 })
  t.ok(reply?.kind === 'reply' && !reply.isGranted && reply.errorCode === ErrorCode.BROKER_NOT_AVAILABLE)
  t.strictSame([more, quorum.epoch, nextDeadlineMs(quorum)], [[], 0, Infinity])
})

test('who failed leads, votes and stands no more', async t => {
  const node = leading(10)
  t.strictSame(kinds(node.take({ kind: 'failed' })), ['resigned', 'unattached', 'send-end', 'send-end'])
  t.equal(nextDeadlineMs(node.quorum), Infinity)
  const [reply] = node.asked(2, 9, false, 99, 8)
  t.ok(reply?.kind === 'reply' && reply.errorCode === ErrorCode.BROKER_NOT_AVAILABLE && !reply.isGranted)
  t.strictSame(node.take({ kind: 'leader-told', from: 2, epoch: 9, leaderId: 2 }), [])
})
