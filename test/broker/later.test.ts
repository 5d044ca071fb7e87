// An answer that comes later: told once, in the call that brings it, to one who came before or after it.
import { test } from 'tap'
import { isLater, Later } from '../../broker/later.ts'

test('a later answer', async t => {
  const told: unknown[] = []
  const tell = (what: unknown): void => void told.push(what)
  const before = new Later<number>()
  before.then(tell, tell)
  before.settle(1)
  t.same(told, [1], 'at once')
  const after = new Later<number>()
  after.settle(2)
  after.then(tell, tell)
  const failed = new Later<number>()
  failed.fail('no')
  failed.then(() => tell('wrong'), tell)
  t.same(told, [1, 2, 'no'])
  t.throws(() => before.settle(3), 'once')
  t.throws(() => before.then(tell, tell), 'to one')
  const awaited = new Later<string>()
  setImmediate(() => awaited.settle('here'))
  t.equal(await awaited, 'here')
  t.ok(isLater(awaited) && isLater(Promise.resolve(1)) && !isLater(1))
})

test('what becomes of a later answer', async t => {
  const ok = new Later<number>()
  const doubled = ok.map(
    value => value * 2,
    () => -1
  )
  ok.settle(4)
  t.equal(await doubled, 8)
  const bad = new Later<number>()
  const mended = bad.map(
    value => value,
    error => (error === 'no' ? 7 : 0)
  )
  bad.fail('no')
  t.equal(await mended, 7)
  const thrown = new Later<number>()
  const refused = thrown.map(
    () => {
      throw new Error('cannot be encoded')
    },
    () => 'answered'
  )
  // Whoever brings the answer is not to blame for what becomes of it.
  thrown.settle(1)
  await t.rejects(Promise.resolve(refused as unknown as Promise<string>), { message: 'cannot be encoded' })
})
