// Goal: what is taken is given back, whoever waits gets his turn, large requests and common ones do not keep each other
// waiting for ever, answers get smaller and not none, and who holds what others wait for must move.
import { test } from 'tap'
import type { Clock } from '../../../broker/clock.ts'
import { AnswerLease } from '../../../broker/net/answers.ts'
import { type FrameRoom, MemoryBudget } from '../../../broker/net/budget.ts'
import type { Holder } from '../../../broker/net/shares.ts'

const MIB = 2 ** 20

/** Limits: 104 MiB for large requests (8 for common ones beside a giant), 16 for small ones, 32 for answers. */
function budget() {
  const timers: (() => void)[] = []
  const clock = {
    after: (_: number, fn: () => void) => {
      timers.push(fn)
      return { cancel() {} }
    }
  } as unknown as Clock
  const memory = new MemoryBudget({ clock, limitBytes: 192 * MIB, cacheBytes: 64 * MIB, maxFrameBytes: 96 * MIB })
  const used = () => Object.fromEntries(memory.accounts.map(each => [each.name, each.usedBytes / MIB]))
  return { memory, used, tick: () => timers.splice(0).map(fn => fn()) }
}

class Peer implements Holder {
  movedBytes = 0
  ended: string | null = null
  isGranted = false
  readonly room: FrameRoom

  constructor(memory: MemoryBudget, mib: number) {
    this.room = memory.takeFrame(mib * MIB, this, () => {
      this.isGranted = true
    })
  }

  get hasRoom(): boolean {
    return !this.room.isWaiting
  }

  abandon(reason: string): void {
    this.ended = reason
    this.room.giveBack()
  }
}

test('large requests: in order, common ones beside giants, and none for ever', async t => {
  const { memory, used } = budget()
  const giant = new Peer(memory, 96)
  t.ok(giant.hasRoom, 'the largest that is allowed fits')
  const next = new Peer(memory, 60)
  const common = [new Peer(memory, 4), new Peer(memory, 4), new Peer(memory, 4)]
  t.same(
    [next, ...common].map(each => each.hasRoom),
    [false, true, true, false]
  )
  t.equal(memory.waiting, 2)
  common[0]?.room.received()
  common[0]?.room.giveBack()
  t.ok(common[2]?.isGranted)
  giant.room.giveBack()
  t.ok(next.hasRoom)
  const third = new Peer(memory, 50)
  const late = new Peer(memory, 4)
  t.notOk(third.hasRoom)
  t.notOk(late.hasRoom, 'while a giant waits the others are few')
  common[1]?.room.giveBack()
  t.ok(late.hasRoom)
  t.notOk(third.hasRoom)
  next.room.giveBack()
  t.ok(third.hasRoom)
  const gone = new Peer(memory, 96)
  gone.room.giveBack()
  t.equal(memory.waiting, 0, 'who leaves does not wait')
  for (const each of [third, late, common[2] as Peer]) each.room.giveBack()
  t.equal(used()['large-requests'], 0)
  const many = Array.from({ length: 30 }, () => new Peer(memory, 4))
  t.equal(many.filter(each => each.hasRoom).length, 26, 'without giants common ones have it all')
  const last = new Peer(memory, 96)
  for (const each of many) each.room.giveBack()
  t.ok(last.hasRoom)
})

test('who holds a part of a large request must move while others wait', async t => {
  const { memory, tick } = budget()
  const [stuck, slow] = [new Peer(memory, 90), new Peer(memory, 4)]
  tick()
  t.equal(stuck.ended, null, 'nobody waits')
  const whole = new Peer(memory, 4)
  whole.room.received()
  const waiting = new Peer(memory, 90)
  for (let round = 0; round < 2; round++) {
    slow.movedBytes++
    tick()
  }
  t.match(stuck.ended, /half of a large request/)
  t.equal(slow.ended, null)
  t.equal(whole.ended, null, 'a whole request waits for this broker')
  t.ok(waiting.hasRoom)
  t.equal(memory.abandoned, 1)
  tick()
  tick()
  t.equal(waiting.ended, null)
})

test('answers take half of what is free, at least a little, and wait where that is too much', async t => {
  const { memory, used, tick } = budget()
  const leases = [50, 50, 50].map(wanted => {
    const lease = new AnswerLease(memory.answers.consumer)
    return { lease, mib: lease.ask(wanted * MIB, true) / MIB }
  })
  t.same(
    leases.map(each => each.mib),
    [16, 8, 4]
  )
  const small = new AnswerLease(memory.answers.consumer)
  t.equal(small.ask(1000, false), 1000)
  t.notOk(small.isShort)
  small.settle(1000, 10)
  t.equal(small.bytes, 10)
  const others = Array.from({ length: 300 }, () => new AnswerLease(memory.answers.consumer))
  for (const each of others) each.ask(MIB, true)
  t.ok(others.every(each => each.bytes >= 64 * 1024))
  const empty = new AnswerLease(memory.answers.consumer)
  t.equal(empty.ask(MIB, false), 0, 'what is not the first of its answer gets nothing')
  t.ok(empty.isShort)
  empty.settle(0, 40 * MIB)
  t.notOk(memory.answers.consumer.hasRoom)
  const begun: number[] = []
  memory.answers.consumer.whenFit(() => begun.push(1))
  memory.answers.consumer.whenFit(() => begun.push(2))()
  memory.answers.consumer.whenFit(() => begun.push(3))
  let ended = ''
  const holder = { movedBytes: 0, abandon: (reason: string) => (ended = reason) }
  memory.answers.consumer.heldBy(holder)
  tick()
  tick()
  t.match(ended, /not read/)
  empty.clear()
  t.same(begun, [1, 3], 'in order, without who left')
  for (const each of [...leases.map(each => each.lease), small, ...others]) each.clear()
  t.equal(used().answers, 0)
})

test('many who wait are not called from within each other, though each gives back at once most of what it got', async t => {
  const { memory } = budget()
  const full = new AnswerLease(memory.answers.consumer)
  full.settle(0, 100 * MIB)
  let [begun, depth, deepest] = [0, 0, 0]
  const leases: AnswerLease[] = []
  for (let i = 0; i < 5000; i++) {
    memory.answers.consumer.whenFit(() => {
      deepest = Math.max(deepest, ++depth)
      const lease = new AnswerLease(memory.answers.consumer)
      lease.settle(lease.ask(MIB, true), 10)
      leases.push(lease)
      begun++
      depth--
    })
  }
  full.clear()
  t.equal(begun, 5000)
  t.equal(deepest, 1)
  for (const each of leases) each.clear()
  t.equal(memory.waiting, 0)
})

test('small requests beyond their share', async t => {
  const { memory } = budget()
  memory.takeSmall(15 * MIB)
  t.notOk(memory.isTight)
  memory.takeSmall(MIB)
  t.ok(memory.isTight)
  memory.giveSmall(16 * MIB)
  t.notOk(memory.isTight)
  const room = memory.chargeFrame(200 * MIB)
  t.equal(memory.waiting, 0, 'what is here cannot wait')
  room.giveBack()
})
