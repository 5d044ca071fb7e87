// A broker's own membership, against a controller that the test plays: it comes back by itself from whatever took it out,
// says in each life only what an earlier one stored, reports while answers are late, and always gets away.
import { test } from 'tap'
import { createLogger } from '../../broker/log.ts'
import { Registration } from '../../broker/registration.ts'
import { ErrorCode } from '../../protocol/errors.ts'
import { MoldauError } from '../../protocol/failure.ts'
import type { MetadataImage } from '../../replication/metadata/image.ts'
import { TestClock } from '../storage/log-fixture.ts'
import { turns } from './controller-fixture.ts'

const { NONE, BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH, DUPLICATE_BROKER_REGISTRATION } = ErrorCode

interface Beat {
  readonly errorCode?: number
  readonly isFenced?: boolean
  readonly shouldShutDown?: boolean
}

const timedOut = () => Promise.reject(new MoldauError('ERR_TIMEOUT', 'nobody'))

class Story {
  readonly clock = new TestClock(0)
  /** What was asked, in order: `r<previous epoch>` and `b<epoch>`, with `!` for a wish to stop. */
  readonly asked: string[] = []
  readonly stored: number[] = []
  /** What the controller answers next; then NONE. */
  registrations: (number | 'silence')[] = []
  beats: (Beat | 'silence' | Promise<Beat>)[] = []
  epoch = 10
  isAlone = false
  isOffline = false
  looks = 0
  readonly registration = new Registration({
    channel: {
      registerBroker: ({ previousBrokerEpoch }) => {
        this.asked.push(`r${previousBrokerEpoch}`)
        const errorCode = this.registrations.shift() ?? NONE
        if (errorCode === 'silence') return timedOut()
        return Promise.resolve({ throttleTimeMs: 0, errorCode, brokerEpoch: errorCode === NONE ? ++this.epoch : -1 })
      },
      registerController: () => Promise.resolve({ throttleTimeMs: 0, errorCode: NONE, errorMessage: null }),
      heartbeat: async ({ brokerEpoch, wantShutDown }) => {
        this.asked.push(`b${brokerEpoch}${wantShutDown ? '!' : ''}`)
        const beat = await (this.beats.shift() ?? {})
        if (beat === 'silence') return timedOut()
        const live = { throttleTimeMs: 0, errorCode: NONE, isCaughtUp: true, isFenced: false, shouldShutDown: false }
        return { ...live, ...beat }
      }
    },
    ...{ nodeId: 1, clusterId: () => 'c', incarnationId: 'i', endpoints: [], controllerEndPoints: [], rack: null },
    ...{
      logDirs: ['d'],
      offlineLogDirs: () => (this.isOffline ? ['d'] : []),
      metadataEndOffset: () => 5,
      clock: this.clock
    },
    heartbeatIntervalMs: () => 500,
    previousBrokerEpoch: async () => this.stored.at(-1) ?? 7,
    isAlone: async () => {
      this.looks++
      return this.isAlone
    },
    logger: createLogger({ level: 'silent' }),
    onRegistered: epoch => {
      this.stored.push(epoch)
    }
  })

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10) {
      this.clock.advance(10)
      await turns(1)
    }
  }

  async start(): Promise<void> {
    await this.registration.register()
    await this.registration.unfence()
    this.asked.length = 0
  }
}

test('in: registered, unfenced, then a sign of life at each interval', async t => {
  const story = new Story()
  story.registrations = ['silence', DUPLICATE_BROKER_REGISTRATION]
  const registering = story.registration.register()
  await story.pass(250)
  await registering
  t.strictSame(story.asked, ['r7', 'r7', 'r7'], 'no controller, a predecessor that is not yet gone, then in')
  t.strictSame(story.stored, [11])
  t.equal(story.registration.brokerEpoch, 11)
  story.beats = [{ isFenced: true }, 'silence']
  const unfencing = story.registration.unfence()
  await story.pass(60)
  await unfencing
  t.strictSame(story.asked.slice(3), ['b11', 'b11', 'b11'])
  await story.pass(1600)
  t.strictSame(story.asked.slice(6), ['b11', 'b11', 'b11'])
})

test('refused for good, or by a controller that has trouble of its own', async t => {
  const { INCONSISTENT_CLUSTER_ID, INVALID_REGISTRATION, UNSUPPORTED_VERSION } = ErrorCode
  for (const refusal of [INCONSISTENT_CLUSTER_ID, INVALID_REGISTRATION, UNSUPPORTED_VERSION]) {
    const story = new Story()
    story.registrations = [refusal]
    await t.rejects(story.registration.register(), { code: 'ERR_WRONG_DIRECTORY' })
  }
  const story = new Story()
  story.registrations = [
    ErrorCode.KAFKA_STORAGE_ERROR,
    ErrorCode.UNKNOWN_SERVER_ERROR,
    ErrorCode.NOT_LEADER_OR_FOLLOWER
  ]
  const registering = story.registration.register()
  await Promise.race([registering, story.pass(400)])
  await registering
  t.equal(story.registration.brokerEpoch, 11)
})

test('forgotten, fenced, refused, unanswered: it comes back by itself', async t => {
  for (const lost of [BROKER_ID_NOT_REGISTERED, STALE_BROKER_EPOCH]) {
    const story = new Story()
    await story.start()
    story.beats = [{ errorCode: lost }, { isFenced: true }]
    await story.pass(530)
    t.strictSame(story.asked, ['b11', 'r7', 'b12', 'b12'], 'registered, and unfenced, without waiting for an interval')
    t.strictSame(story.stored, [11, 12])
  }
  const story = new Story()
  await story.start()
  story.beats = [{ isFenced: true }, 'silence', { errorCode: ErrorCode.UNKNOWN_SERVER_ERROR }]
  await story.pass(600)
  t.strictSame(story.asked, ['b11', 'b11', 'b11', 'b11'])
  await story.pass(500)
  t.strictSame(story.asked.length, 5, 'back at its interval')
})

test('what an earlier life stored is said throughout this one, whatever this one stores', async t => {
  const story = new Story()
  await story.start()
  story.beats = [{ errorCode: BROKER_ID_NOT_REGISTERED }]
  await story.pass(510)
  t.equal(story.asked[1], 'r7', 'not 11: that would say that a crash before this life lost nothing')
})

test('news are reported at once, also while an answer is under way', async t => {
  const story = new Story()
  await story.start()
  story.registration.reportNow()
  await story.pass(20)
  t.strictSame(story.asked, ['b11'])
  let answer = (_: Beat): void => {}
  story.beats = [
    new Promise<Beat>(resolve => {
      answer = resolve
    })
  ]
  await story.pass(510)
  story.registration.reportNow()
  await story.pass(100)
  t.strictSame(story.asked, ['b11', 'b11'], 'one at a time')
  answer({})
  await story.pass(20)
  t.strictSame(story.asked, ['b11', 'b11', 'b11'])
})

test('out: asks until it may go, and goes in any case', async t => {
  const orderly = new Story()
  await orderly.start()
  orderly.beats = [{}, { isFenced: true }, { shouldShutDown: true }]
  const stopped = orderly.registration.stop()
  await orderly.pass(100)
  await stopped
  t.strictSame(orderly.asked, ['b11!', 'b11!', 'b11!'])
  await orderly.pass(2000)
  t.equal(orderly.asked.length, 3, 'no sign of life from the dead')
  t.equal(orderly.clock.timerCount, 0)

  const alone = new Story()
  await alone.start()
  alone.isAlone = true
  alone.beats = ['silence']
  await alone.registration.stop()
  t.strictSame([alone.asked, alone.looks], [['b11!'], 1], 'nobody is left: no reason to wait')

  const unlucky = new Story()
  await unlucky.start()
  unlucky.beats = Array.from({ length: 1000 }, () => 'silence' as const)
  const leaving = unlucky.registration.stop()
  await unlucky.pass(4800)
  let isGone = false
  void leaving.then(() => {
    isGone = true
  })
  await turns(1)
  t.notOk(isGone, 'a controller may still be elected')
  await unlucky.pass(300)
  await leaving

  const hurried = new Story()
  await hurried.start()
  let answer = (_: Beat): void => {}
  hurried.beats = [
    new Promise<Beat>(resolve => {
      answer = resolve
    }),
    { shouldShutDown: true }
  ]
  await hurried.pass(510)
  await hurried.registration.stop()
  answer({ isFenced: true })
  await hurried.pass(1000)
  t.strictSame(hurried.asked, ['b11', 'b11!'], 'an answer that comes late changes nothing')

  for (const isOffline of [false, true]) {
    const leading = new Story()
    const image = { topicsById: new Map([['t', { partitions: [{ leader: 1 }] }]]) } as unknown as MetadataImage
    leading.registration.followMetadata({ image, onChange: () => () => {} })
    await leading.start()
    leading.isOffline = isOffline
    leading.beats = [{ shouldShutDown: true }]
    let isGone = false
    const going = leading.registration.stop().then(() => {
      isGone = true
    })
    await leading.pass(900)
    t.equal(isGone, isOffline, 'it waits to read who leads instead, unless it cannot read any more')
    await leading.pass(200)
    await going
  }

  const never = new Story()
  await never.registration.stop()
  t.strictSame(never.asked, [], 'it never was in')
})
